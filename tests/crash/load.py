"""Load: a shop that goes on selling whatever breaks, with everything a checker has to cope with in its events.

Forty customers, several events of each, some sent twice, some late, some broken, some with an id that another source
has used; the messages that follow from a customer's payments share a few keys, so that there is an order to keep. A few
records in a hundred are stories of orders, several told at the same time (`orders`). The producers are idempotent: what
was acknowledged is in Kafka once, and only that is counted. A record that must become a dead letter says so in a
header; half of those have a timestamp that is no time. Batches are compressed with every codec there is, one for each
key, so that its order is kept.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import threading
import time
import zlib
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Final, Self

import orders
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from evidence import BROKEN
from lenient import ODD, odd_writing
from sale import SOURCE, Failure, Sale, event
from transactions import Transactions
from waiting import PATIENCE_SECONDS

TOPIC: Final = "payments"
#: All that Kafka knows.
CODECS: Final = (None, "gzip", "snappy", "lz4", "zstd")
CUSTOMERS: Final = 40
OPENING: Final = datetime(2020, 1, 1, tzinfo=UTC)
#: Fifty events of a customer take some forty days, so that the age of the window counts as well as its length.
BETWEEN_EVENTS: Final = timedelta(minutes=30)
#: The stamp of a record, in milliseconds since 1970: the year 0, which is none.
IMPOSSIBLE_MS: Final = -62_135_683_200_000
_POLL_SECONDS: Final = 0.5

_KINDS: Final = ("PaymentSucceeded",) * 8 + ("PaymentFailed", "ChargebackReceived")
_RUBBISH: Final = (b'{"specversion": "1.0", "id": ', None, b"\xff\xfe not text", b"[]", b'{"specversion": "1.0"}')


def sales(seed: int, name: str, now: datetime) -> Iterator[Sale]:
    """Records without end, the same for the same arguments; ids, customers and orders carry `name`."""
    chance = random.Random(seed)
    recent: deque[Sale] = deque(maxlen=200)
    stories: deque[Iterator[Sale]] = deque()
    number = begun = 0
    while True:
        draw = chance.random()
        if draw < 0.02:
            stamp = IMPOSSIBLE_MS if number % 2 else None
            yield Sale(TOPIC, b"broken-%d" % number, chance.choice(_RUBBISH), (BROKEN,), stamp_ms=stamp)
            continue
        if draw < 0.05 and recent:
            yield chance.choice(recent)
            continue
        if draw < 0.06 and recent:
            number += 1
            yield _sale(chance, number, name, namesake=chance.choice(recent))
            continue
        # The first two, of which money is given back, by then: a short load has some too.
        if draw < 0.08 or begun < min(2, number // 10):
            stories.append(orders.story(begun, name, now))
            begun += 1
        sale = _next(stories) if draw < 0.21 else None
        if sale is None:
            number += 1
            sale = _sale(chance, number, name)
        recent.append(sale)
        yield sale


def payments(seed: int, name: str) -> Iterator[Sale]:
    """Payments without end, the same for the same arguments."""
    chance = random.Random(seed)
    for number in itertools.count(1):
        yield _sale(chance, number, name)


def codec_of(key: bytes) -> str | None:
    """How a batch with this key is compressed; a producer for each codec keeps the order of a key."""
    return CODECS[zlib.crc32(key) % len(CODECS)]


def _next(stories: deque[Iterator[Sale]]) -> Sale | None:
    """The next record of the story whose turn it is; None when all are told."""
    while stories:
        story = stories.popleft()
        sale = next(story, None)
        if sale is not None:
            stories.append(story)
            return sale
    return None


def _sale(chance: random.Random, number: int, name: str, *, namesake: Sale | None = None) -> Sale:
    """An event of a customer; with a `namesake` of its id, from another source, with a header whose name is no text."""
    customer = f"{name}-c-{chance.randrange(CUSTOMERS)}"
    kind = chance.choice(_KINDS)
    at = OPENING + number * BETWEEN_EVENTS
    if chance.random() < 0.02:
        at -= timedelta(days=chance.randrange(1, 60))
    data: dict[str, Any] = {
        "payment_id": f"{name}-p-{number}",
        # A few payments share an order: their scores share a Kafka key.
        "order_id": f"{customer}-o-{number // 400}",
        "customer_id": customer,
        "amount_minor": chance.randrange(500, 20_000),
        "currency": "EUR",
        "method": "card",
        "country": chance.choice(("DE", "FR", "IT")),
        "device_id": f"device-{chance.randrange(4)}",
    }
    if kind == "PaymentFailed":
        data["reason"] = "card declined"
    binary = number % 3 == 0
    if namesake is None or namesake.event_id is None:
        return event(TOPIC, kind, f"{name}-e-{number}", data, at=at, binary=binary)
    sale = event(TOPIC, kind, namesake.event_id, data, at=at, binary=binary, source=f"{SOURCE}:{number}")
    return replace(sale, headers=(*sale.headers, ODD))


@dataclass
class Acknowledged:
    """What Kafka said it has."""

    #: Names of the events.
    ids: set[str] = field(default_factory=set)
    #: The decisions that have to be made on them: agent and name of the event.
    due: set[tuple[str, str]] = field(default_factory=set)
    failures: list[Failure] = field(default_factory=list)
    copies: int = 0
    broken: int = 0
    #: Sent, and nobody knows.
    unsure: int = 0

    @property
    def to_refund(self) -> dict[str, str]:
        """The orders that were made to fail, and the payment to be given back for it, as far as all of it is sent."""
        return {one.order_id: one.payment_id for one in self.failures if one.events <= self.ids}


class Load:
    """Sends in a thread of its own for as long as the block lasts, or until `limit` records were sent.

    With `transactional`, transactions are committed and aborted beside it.
    """

    def __init__(
        self,
        kafka: str,
        *,
        seed: int,
        name: str,
        per_second: float = 50.0,
        limit: int | None = None,
        transactional: bool = False,
    ) -> None:
        self.acknowledged = Acknowledged()
        #: Records Kafka has taken or refused.
        self.answers = 0
        self._kafka = kafka
        self._sales = sales(seed, name, datetime.now(UTC))
        self._pause_seconds = 1 / per_second
        self._limit = limit
        self._pending: set[asyncio.Future[Any]] = set()
        self._stopping = threading.Event()
        self._abandoned = threading.Event()
        self._is_over = threading.Event()
        #: Events in Kafka transactions beside all others, when they are wanted.
        self.transactions: Transactions | None = None
        if transactional:
            self.transactions = Transactions(
                kafka, payments(seed, f"{name}-t"), seed=seed, name=name, acknowledge=self._acknowledge
            )
        # Nothing waits for it at the end of the process, whatever it waits for itself.
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            # The broker may be gone for good: what is under way is nobody's business any more.
            self._abandoned.set()
        self.stop()

    def stop(self) -> None:
        """Send nothing more and wait for what is under way; the broker must be there."""
        self._stopping.set()
        self.wait()

    def wait(self) -> None:
        """Wait until `limit` records were sent and acknowledged, for as long as any is."""
        seen, moved_at = -1, time.monotonic()
        while self._thread.is_alive():
            self._thread.join(_POLL_SECONDS)
            if self.answers != seen:
                seen, moved_at = self.answers, time.monotonic()
            assert time.monotonic() - moved_at < PATIENCE_SECONDS, (
                f"Kafka has acknowledged nothing for {PATIENCE_SECONDS:.0f} s after {seen} records,"
                f" {len(self._pending)} are under way"
            )

    def _run(self) -> None:
        with odd_writing():
            asyncio.run(self._send())

    async def _send(self) -> None:
        sent = 0
        producers: dict[str | None, AIOKafkaProducer] = {}
        transacting = asyncio.create_task(self._transact())
        while not self._stopping.is_set() and sent != self._limit:
            try:
                sale = next(self._sales)
                await self._put(await self._producer(producers, codec_of(sale.key)), sale)
                sent += 1
            except (KafkaError, OSError):
                await _close(producers)
            await asyncio.sleep(self._pause_seconds)
        self._is_over.set()
        while not self._abandoned.is_set() and (self._pending or not transacting.done()):
            await asyncio.wait(self._pending or {transacting}, timeout=_POLL_SECONDS)
        transacting.cancel()
        await asyncio.gather(transacting, return_exceptions=True)
        await _close(producers)

    async def _transact(self) -> None:
        if self.transactions is not None:
            await self.transactions.run(self._is_over.is_set)

    async def _producer(self, producers: dict[str | None, AIOKafkaProducer], codec: str | None) -> AIOKafkaProducer:
        if codec not in producers:
            options = {"acks": "all", "enable_idempotence": True, "compression_type": codec}
            producers[codec] = AIOKafkaProducer(bootstrap_servers=self._kafka, **options)
            await producers[codec].start()
        return producers[codec]

    async def _put(self, producer: AIOKafkaProducer, sale: Sale) -> None:
        self.acknowledged.unsure += 1
        future = await producer.send(
            sale.topic, key=sale.key, value=sale.value, headers=list(sale.headers), timestamp_ms=sale.stamp_ms
        )
        self._pending.add(future)
        future.add_done_callback(lambda done: self._on_answer(done, sale))

    def _on_answer(self, done: asyncio.Future[Any], sale: Sale) -> None:
        self._pending.discard(done)
        self.answers += 1
        if done.cancelled() or done.exception() is not None:
            return
        self.acknowledged.unsure -= 1
        self._acknowledge(sale)

    def _acknowledge(self, sale: Sale) -> None:
        counts = self.acknowledged
        if sale.name is None:
            counts.broken += 1
        elif sale.name in counts.ids:
            counts.copies += 1
        else:
            counts.ids.add(sale.name)
            counts.due.update((agent, sale.name) for agent in sale.deciders)
            if sale.failure is not None:
                counts.failures.append(sale.failure)


async def _close(producers: dict[str | None, AIOKafkaProducer]) -> None:
    while producers:
        _, producer = producers.popitem()
        with suppress(TimeoutError, KafkaError, OSError):
            async with asyncio.timeout(5):
                await producer.stop()
