"""Fakes at the seams of the stream loop, and short ways to write events.

`Windows` runs the real pure window functions over a dictionary, and is held to the suite of the real ones
(`tests/contract/test_windows.py`); what a fake holds back, the test lets go by hand.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from shop_catalogue import shop_history

from agents.engine.ports import Windows as WindowsPort
from agents.model.decision import Decision, Verdict
from agents.model.history import History
from agents.shop.events import ChargebackReceived, DomainEvent, PaymentFailed, PaymentSucceeded
from tables import ring, rings, window
from tables.event import Event, to_json
from tables.window import Entry, WindowSpec

NOON = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
#: Milliseconds since 1970.
NOON_MS = 1_714_564_800_000
PAYMENT: dict[str, Any] = {
    "payment_id": "p-1",
    "order_id": "o-1",
    "customer_id": "ada",
    "amount_minor": 2000,
    "currency": "EUR",
    "method": "card",
    "country": "DE",
    "device_id": "d-1",
}


def event_of(kind: type[DomainEvent] | str, event_id: str, at: datetime, **changes: Any) -> Event:
    """An event with the data of a payment and `changes`."""
    data = PAYMENT | changes
    if kind is PaymentFailed:
        data = {"reason": "declined"} | data
    name = kind if isinstance(kind, str) else kind.__name__
    return Event(id=event_id, source="urn:test:shop", type=name, time=at, data=data)


def paid(event_id: str, before: timedelta = timedelta(0), **changes: Any) -> Event:
    """A payment of its own that long before noon."""
    return event_of(PaymentSucceeded, event_id, NOON - before, **({"payment_id": f"p-{event_id}"} | changes))


def failed(event_id: str, before: timedelta) -> Event:
    """A refused payment of its own that long before noon."""
    return event_of(PaymentFailed, event_id, NOON - before, payment_id=f"p-{event_id}")


def charged_back(event_id: str, before: timedelta = timedelta(days=3)) -> Event:
    """A chargeback of a payment of its own that long before noon."""
    return event_of(ChargebackReceived, event_id, NOON - before, payment_id=f"p-{event_id}")


def history_of(event: Event, *earlier: Event) -> History:
    """The history of `event` after `earlier`, which lie at the offsets from 0."""
    entries = [Entry(seq, seq, each.time, each.id, to_json(each)) for seq, each in enumerate(earlier)]
    return shop_history(event, tuple(entries))


@dataclass
class Consumer:
    """What Faust's consumer would see: places acknowledged and given up, each list in order."""

    acknowledged: list[tuple[int, int]] = field(default_factory=list)
    discarded: list[tuple[int, int]] = field(default_factory=list)

    def offsets(self, partition: int = 0) -> list[int]:
        """The offsets acknowledged in one partition."""
        return [offset for where, offset in self.acknowledged if where == partition]


@dataclass
class Delivery:
    """One record of a timeline; and the batch of it alone, for who fetched no other."""

    consumer: Consumer
    offset: int
    key: bytes | None
    value: bytes | None
    partition: int = 0
    headers: Sequence[tuple[str, bytes | None]] = ()
    topic: str = "timeline-customer"
    timestamp: int | None = NOON_MS
    stale: bool = False
    held: int = 0

    @property
    def records(self) -> Sequence[Delivery]:
        return [self]

    def hold(self) -> None:
        self.held += 1

    def release(self) -> None:
        self.held -= 1
        place = (self.partition, self.offset)
        if not self.held and place not in self.consumer.acknowledged:
            self.consumer.discarded.append(place)

    def done(self, offset: int) -> None:
        assert offset == self.offset + 1
        self.consumer.acknowledged.append((self.partition, self.offset))


@dataclass
class Batch:
    """Records of a partition that were fetched together."""

    consumer: Consumer
    records: Sequence[Delivery]
    stale: bool = False
    held: int = 0
    #: Everything before this offset was done.
    done_before: int = 0

    @property
    def topic(self) -> str:
        return self.records[0].topic

    @property
    def partition(self) -> int:
        return self.records[0].partition

    def hold(self) -> None:
        self.held += 1

    def release(self) -> None:
        self.held -= 1
        if not self.held:
            left = [record.offset for record in self.records if record.offset >= self.done_before]
            self.consumer.discarded += [(self.partition, offset) for offset in left]

    def done(self, offset: int) -> None:
        covered = [r.offset for r in self.records if self.done_before <= r.offset < offset]
        self.consumer.acknowledged += [(self.partition, each) for each in covered]
        self.done_before = offset


class Windows(WindowsPort):
    """Rings in memory. The changelog has an entry at once, unless its offset is in `held`."""

    def __init__(self, spec: WindowSpec) -> None:
        self._spec = spec
        self.folded: list[int] = []
        #: The offsets of what was written together.
        self.flushed: list[list[int]] = []
        self._unwritten: list[int] = []
        self.held: dict[int, asyncio.Future[None]] = {}
        self._slots: dict[tuple[int, str], dict[bytes, bytes]] = {}

    @property
    def spec(self) -> WindowSpec:
        return self._spec

    def hold(self, offset: int) -> asyncio.Future[None]:
        """Let the changelog wait for the entry of this offset; the test settles the future."""
        self.held[offset] = asyncio.get_running_loop().create_future()
        return self.held[offset]

    def fold(
        self, partition: int, entity: str, *, offset: int, time: datetime, event_id: str, payload: bytes
    ) -> list[Entry]:
        self.folded.append(offset)
        before = self.read(partition, entity)
        entry = window.fold(
            before,
            offset=offset,
            time=time,
            event_id=event_id,
            payload=payload,
            ring=self.spec.ring_of(payload),
        )
        if entry is None:
            return before
        slots = self._slots.setdefault((partition, entity), {})
        writes = rings.writes(entity, rings.decoded(slots.items(), self.spec), entry, self.spec)
        slots.update((key, ring.encode(written)) for key, written in writes)
        self._unwritten.append(offset)
        return self.read(partition, entity)

    def flush(self, partition: int) -> Awaitable[None] | None:  # noqa: ARG002 - one changelog for all
        written, self._unwritten = self._unwritten, []
        if not written:
            return None
        self.flushed.append(written)
        return asyncio.ensure_future(self._stored([self.held[offset] for offset in written if offset in self.held]))

    @staticmethod
    async def _stored(held: Sequence[asyncio.Future[None]]) -> None:
        for each in held:
            await each

    def read(self, partition: int, entity: str) -> list[Entry]:
        ring.prefix(entity)  # refuses what cannot be a key
        slots = self._slots.get((partition, entity), {})
        return rings.entries(rings.decoded(slots.items(), self.spec), self.spec)


async def idle() -> None:
    """Return when everything that can go on without the test has gone on: the fakes answer within a few turns."""
    for _ in range(200):
        await asyncio.sleep(0)


def tell_the_history(_: PaymentSucceeded, history: History) -> Decision:
    """Rules whose reason names what they knew."""
    return Decision(outcome="seen", reason=" ".join(event.id for event in history.events()))


class Later:
    """A brain that decides as `tell_the_history`, and has to be waited for."""

    def decide_now(self, history: History) -> Verdict | None:  # noqa: ARG002 - it always waits
        return None

    async def decide(self, history: History, crowded: asyncio.Event | None = None) -> Verdict:  # noqa: ARG002
        reason = " ".join(event.id for event in history.events())
        return Verdict(decision=Decision(outcome="seen", reason=reason), brain="later")
