"""Stream loop: fold in arrival order, decide side by side, acknowledge in order.

Events of one entity are decided one after another, those of different entities at the same time. An event is
acknowledged when its window entry is in the changelog, its decision is committed, and the same holds for every
earlier event of its partition; so whatever is killed, the event comes again until that is true. Input that can never
be decided becomes a dead letter and is then acknowledged. Anything unexpected stops the worker (`crash`): redelivery
is safe, going on is not.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, Protocol

from agents.engine.acks import Acknowledgeable, OrderedAcks
from agents.engine.brain import Brain
from agents.engine.lanes import Lanes
from agents.engine.record import HOLD_FOR, decision_record, escalations
from agents.engine.routing import read_timeline
from agents.engine.stamps import instant, remark
from agents.model.agent import Agent
from agents.model.history import History, keep
from agents.model.types import Received, Types
from outbox.errors import Echo
from outbox.records import DeadLetter, DecisionRecord, Origin
from outbox.supervision import is_being_cancelled
from tables.errors import Permanent
from tables.event import Event, InvalidEvent
from tables.window import Entry, WindowSpec, history

log = logging.getLogger(__name__)

#: Events of one agent and worker that may be in flight. Bounds memory: 1,000 histories of 50 events are some 20 MB.
IN_FLIGHT: Final = 1000

#: Events of one entity that may wait for a slow brain before it is told to decide at once: a busy entity would wait
#: ever longer, and hold up all others when its ring has no slack left. Own choice.
CROWD: Final = 16


class Delivery(Acknowledgeable, Protocol):
    """One record of a timeline."""

    @property
    def key(self) -> bytes | None:
        """The entity id."""

    @property
    def value(self) -> bytes | None:
        """A structured CloudEvent."""

    @property
    def headers(self) -> Sequence[tuple[str, bytes]]:
        """Kafka headers."""

    @property
    def stamp_ms(self) -> int | None:
        """The record's timestamp as it was written, in milliseconds since 1970: any number, or none."""

    @property
    def stale(self) -> bool:
        """Whether a rebalance began since this was read: nothing may be written for it, it comes again."""

    def discard(self) -> None:
        """Give the input up unacknowledged."""


class Folded(Protocol):
    """What folding an event left behind."""

    @property
    def entries(self) -> Sequence[Entry]:
        """The ring of the entity afterwards."""

    @property
    def stored(self) -> Sequence[Awaitable[object]]:
        """One per changelog record: done when Kafka has it; fails when Kafka never will."""


class Windows(Protocol):
    """The agent's windows (`tables.table.WindowTable`)."""

    @property
    def spec(self) -> WindowSpec:
        """How much is remembered."""

    def fold(
        self, partition: int, entity: str, *, offset: int, time: datetime, event_id: str, payload: bytes
    ) -> Folded:
        """Remember an event."""

    def read(self, partition: int, entity: str) -> Sequence[Entry]:
        """The ring of an entity."""


class Writer(Protocol):
    """Where decisions and dead letters are committed (`outbox.writer.DecisionWriter`)."""

    async def record(self, record: DecisionRecord) -> bool:
        """Commit a decision."""

    async def record_all(self, records: Sequence[DecisionRecord]) -> Sequence[bool | Permanent]:
        """Commit decisions in their order; one outcome each, where `record` raises."""

    async def bury(self, letter: DeadLetter) -> None:
        """Commit a dead letter."""


class StreamLoop:
    """Drives one agent with a brain. `now` is the wall clock (UTC); `crash` must stop the worker and may return.

    `types` are those of the loaded domains. `hold_for` is how long a decision waits for a person when its brain asks
    for one.
    """

    def __init__(
        self,
        agent: Agent,
        *,
        types: Types,
        brain: Brain,
        windows: Windows,
        writer: Writer,
        now: Callable[[], datetime],
        crash: Callable[[BaseException], Awaitable[None]],
        in_flight: int = IN_FLIGHT,
        hold_for: timedelta = HOLD_FOR,
    ) -> None:
        self._agent = agent
        self._types = types
        self._brain = brain
        self._windows = windows
        self._writer = writer
        self._now = now
        self._crash = crash
        self._hold_for = hold_for
        self._room = asyncio.Semaphore(in_flight)
        self._lanes = Lanes()
        #: Inputs in flight, for readiness.
        self.acks = OrderedAcks()

    async def accept(self, delivery: Delivery) -> None:
        """Take one input; returns when it is folded and on its way, or waits while too much is in flight.

        Must be called in the order of the timeline, inside Faust's stream iteration. Raises what the window table
        raises when it cannot read or write: then the worker must stop.
        """
        await self._room.acquire()
        try:
            # Read as the history will read it: what the window holds must stay readable for every later decision.
            event, entity_id = read_timeline(delivery.key, delivery.value)
            matters = event.type in self._agent.remembers or event.type in self._agent.reacts_to
            received = self._types.receive(event) if matters else Received(event, None)
        except InvalidEvent as error:
            self._give_up(delivery, error.reason, str(error))
            return
        except Exception as error:
            # Reading is pure: it would end the worker at every start.
            log.exception("agent %s cannot read %s", self._agent.name, _origin(delivery))
            self._give_up(delivery, "unprocessable", type(error).__name__)
            return
        await self._lanes.room(entity_id, self._windows.spec.slack + 1)
        if delivery.stale:
            delivery.discard()
            self._room.release()
            return
        ring, stored = self._remember(received, entity_id, delivery)
        if event.type in self._agent.reacts_to:
            known = History(received, self._known(event, ring, delivery), self._types)
            self._submit(entity_id, delivery, lambda: self._decide(known, entity_id, delivery, stored))
        else:
            self._submit(entity_id, delivery, lambda: _all(stored))

    def _give_up(self, delivery: Delivery, reason: str, detail: str) -> None:
        letter = _dead_letter(self._agent, delivery, reason, detail)
        self._submit(f"dead letter {delivery.partition}", delivery, lambda: self._writer.bury(letter))

    async def stop(self) -> None:
        """Drop what is in flight unacknowledged; it comes again."""
        await self._lanes.cancel()

    def _remember(
        self, received: Received, entity_id: str, delivery: Delivery
    ) -> tuple[Sequence[Entry], Sequence[Awaitable[object]]]:
        """The ring of the entity with this event, if it is to be remembered, and its pending changelog records."""
        event = received.event
        if event.type in self._agent.remembers:
            assert delivery.value is not None
            folded = self._windows.fold(
                delivery.partition,
                entity_id,
                offset=delivery.offset,
                time=event.time,
                event_id=event.id,
                payload=delivery.value,
            )
            if folded.entries and folded.entries[-1].payload is delivery.value:
                keep(folded.entries[-1], received, self._types)
            return folded.entries, folded.stored
        if event.type in self._agent.reacts_to:
            return self._windows.read(delivery.partition, entity_id), ()
        return (), ()

    def _known(self, event: Event, ring: Sequence[Entry], delivery: Delivery) -> tuple[Entry, ...]:
        spec = self._windows.spec
        return history(ring, spec, offset=delivery.offset, time=event.time, event_id=event.id, source=event.source)

    async def _decide(
        self, known: History, entity_id: str, delivery: Delivery, stored: Sequence[Awaitable[object]]
    ) -> None:
        try:
            crowded = self._lanes.crowded(entity_id, min(CROWD, self._windows.spec.slack))
            verdict = await self._brain.decide(known, crowded)
            record = decision_record(
                self._agent,
                known,
                verdict,
                origin=_origin(delivery),
                entity_id=entity_id,
                decided_at=self._now(),
                hold_for=self._hold_for,
            )
            if await self._writer.record(record):
                log.debug("decided %s on %s: %s", record.agent, record.event_id, record.outcome)
        except Echo as echo:
            # Nothing of it is published, so the chain ends here; a person hears once of its correlation.
            log.warning("refused, agents answer each other: %s", echo)
            letter = _dead_letter(self._agent, delivery, echo.reason, str(echo), about=echo.correlation_id)
            await self._bury(letter, known, entity_id)
        except Permanent as error:
            log.exception("agent %s cannot decide on event %s", self._agent.name, known.event.id)
            await self._bury(_dead_letter(self._agent, delivery, error.reason, str(error)), known, entity_id)
        await _all(stored)

    async def _bury(self, letter: DeadLetter, known: History, entity_id: str) -> None:
        """Bury what cannot be decided; whom it is about and a person hear of it as well."""
        tells = escalations(self._agent, known, entity_id, failure=letter.reason, why=letter.detail)
        await self._writer.bury(replace(letter, tells=tells))

    def _submit(self, key: str, delivery: Delivery, job: Callable[[], Awaitable[None]]) -> None:
        ticket = self.acks.track(delivery)

        async def run() -> None:
            try:
                await job()
            except asyncio.CancelledError as error:
                if is_being_cancelled():
                    raise
                await self._crash(error)
            except Exception as error:  # noqa: BLE001 - whatever it is, this event must not be acknowledged
                await self._crash(error)
            else:
                ticket.finish()
                self._room.release()

        self._lanes.submit(key, run)


async def _all(stored: Sequence[Awaitable[object]]) -> None:
    for one in stored:
        await one


def _origin(delivery: Delivery) -> Origin:
    return Origin(
        topic=delivery.topic, partition=delivery.partition, offset=delivery.offset, at=instant(delivery.stamp_ms)
    )


def _dead_letter(agent: Agent, delivery: Delivery, reason: str, detail: str, *, about: str | None = None) -> DeadLetter:
    return DeadLetter(
        consumer=agent.name,
        reason=reason,
        detail=detail + remark(delivery.stamp_ms),
        origin=_origin(delivery),
        key=delivery.key,
        value=delivery.value,
        headers=tuple(delivery.headers),
        about=about,
    )
