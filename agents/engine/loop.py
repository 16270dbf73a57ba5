"""Stream loop: what was fetched of a partition is folded, decided and written in parts, and acknowledged in order.

A part is some records that follow each other. Its events are folded and decided in arrival order without a pause; then
its entries go to RocksDB and to the changelog as one piece, and its decisions to PostgreSQL as another, while the next
part is decided. A part is acknowledged when its entries are in the changelog, its decisions are committed, and the same
holds for everything earlier of its partition; so whatever is killed, it comes again until that is true.

Only an event whose brain waits, or whose decision has effects, is a part of its own: it and what follows of its entity
are decided one after another, beside those of other entities (`agents.engine.lanes`). Input that can never be decided
becomes a dead letter and is then acknowledged. Anything unexpected stops the worker (`crash`): redelivery is safe,
going on is not.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from agents.engine.acks import OrderedAcks, Ticket
from agents.engine.brain import Brain
from agents.engine.expectations import expected
from agents.engine.inputs import Asked, Inputs
from agents.engine.lanes import Depths, Lanes
from agents.engine.ports import Batch, Record, Windows, Writer
from agents.engine.record import HOLD_FOR, decision_record
from agents.engine.undecided import Mark, Undecided
from agents.model.agent import Agent
from agents.model.decision import Verdict
from agents.model.history import History, keep
from agents.model.types import Received
from outbox.records import DeadLetter, DecisionRecord
from outbox.supervision import is_being_cancelled
from tables.errors import Permanent
from tables.window import history

log = logging.getLogger(__name__)

#: Events of one agent and worker that may be in flight. Bounds memory: 1,000 histories of 50 events are some 20 MB.
IN_FLIGHT: Final = 1000

#: Records of a part. Each part costs a transaction and a batch of the changelog, and nothing else of the worker runs
#: while it is folded and decided: some tens of milliseconds (own choice).
PART_RECORDS: Final = 100

#: Events of one entity that may wait for a slow brain before it is told to decide at once: a busy entity would wait
#: ever longer, and hold up all others when its ring has no slack left. Own choice.
CROWD: Final = 16


@dataclass(slots=True)
class _Part:
    """Records that end together."""

    #: Those that are remembered or decided on.
    marks: list[Mark] = field(default_factory=list)
    decided: list[tuple[Asked, DecisionRecord]] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)
    records: int = 0
    #: The offset behind the last one.
    end: int = 0

    def add(self, record: Record, mark: Mark | None = None) -> None:
        """Take in the next record, with the mark of its event if that is remembered or decided on."""
        self.records += 1
        self.end = record.offset + 1
        if mark is not None:
            self.marks.append(mark)


class StreamLoop:
    """Drives one agent with a brain. `now` is the wall clock (UTC); `crash` must stop the worker and may return.

    `inputs` read for the agent. `hold_for` is how long a decision waits for a person when its brain asks for one.
    """

    def __init__(
        self,
        agent: Agent,
        *,
        inputs: Inputs,
        brain: Brain,
        windows: Windows,
        writer: Writer,
        now: Callable[[], datetime],
        crash: Callable[[BaseException], Awaitable[None]],
        in_flight: int = IN_FLIGHT,
        hold_for: timedelta = HOLD_FOR,
    ) -> None:
        self._agent = agent
        self._types = inputs.types
        self._inputs = inputs
        self._brain = brain
        self._windows = windows
        self._writer = writer
        self._now = now
        self._crash = crash
        self._hold_for = hold_for
        self._tracing = inputs.tracing
        self._most_in_flight = in_flight
        self._lanes = Lanes()
        self._tasks: set[asyncio.Task[None]] = set()
        self._undecided = Undecided()
        self._in_flight = 0
        self._ended = asyncio.Event()
        #: Inputs in flight, for readiness.
        self.acks = OrderedAcks()
        #: Records taken since the start.
        self.taken = 0

    async def accept(self, batch: Batch) -> None:
        """Take what was fetched; returns when it is folded and on its way, or waits while too much is in flight.

        Must be called in the order of the timeline. Raises what the window table raises when it cannot read or write:
        then the worker must stop.
        """
        part = _Part()
        batch.hold()
        self.taken += len(batch.records)
        for record in batch.records:
            read = self._inputs.read(batch, record)
            entity_id = None if isinstance(read, DeadLetter) else read[1]
            if part.records >= PART_RECORDS or not self._has_room(entity_id):
                self._close(batch, part)
                part = _Part()
                await asyncio.sleep(0)
                await self._room(entity_id)
            if batch.stale:
                break
            self._in_flight += 1
            if isinstance(read, DeadLetter):
                part.letters.append(read)
                part.add(record)
            else:
                part = self._take(batch, record, *read, part=part)
        self._close(batch, part)
        batch.release()

    @property
    def waiting(self) -> Depths:
        """Entities with events that wait for each other, those events, and those of the entity that has most."""
        return self._lanes.depths()

    async def stop(self) -> None:
        """Drop what is in flight unacknowledged; it comes again."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._lanes.cancel()

    def _take(self, batch: Batch, record: Record, received: Received, entity_id: str, *, part: _Part) -> _Part:
        """Fold an event and decide on it, as far as it matters; the part that what follows belongs to."""
        event = received.event
        reacts = event.type in self._agent.reacts_to
        if event.type in self._agent.remembers:
            assert record.value is not None
            ring = self._windows.fold(
                batch.partition,
                entity_id,
                offset=record.offset,
                time=event.time,
                event_id=event.id,
                payload=record.value,
            )
            if ring and ring[-1].payload is record.value:
                keep(ring[-1], received, self._types)
        elif reacts:
            ring = self._windows.read(batch.partition, entity_id)
        else:
            part.add(record)
            return part
        mark = self._undecided.add(entity_id)
        if not reacts:
            part.add(record, mark)
            return part
        spec = self._windows.spec
        entries = history(ring, spec, offset=record.offset, time=event.time, event_id=event.id, source=event.source)
        trace = None if self._tracing is None else self._tracing.deciding(self._agent.name, batch, record, event)
        asked = Asked(batch, record, History(received, entries, self._types), entity_id, trace)
        return self._decide(asked, mark, part)

    def _decide(self, asked: Asked, mark: Mark, part: _Part) -> _Part:
        """Decide at once where that can be; the part that what follows belongs to."""
        if self._lanes.depth(asked.entity_id):
            return self._apart(asked, mark, part, self._ask)
        try:
            verdict = self._brain.decide_now(asked.known)
            if verdict is None:
                return self._apart(asked, mark, part, self._ask)
            record = self._record(asked, verdict)
        except Permanent as error:
            part.letters.append(self._refused(asked, error))
        else:
            if record.effects:
                # They may have to wait, and what follows of the entity behind them.
                return self._apart(asked, mark, part, partial(self._write, record))
            part.decided.append((asked, record))
        part.add(asked.record, mark)
        return part

    def _apart(
        self, asked: Asked, mark: Mark, part: _Part, job: Callable[[Asked], Coroutine[Any, Any, DeadLetter | None]]
    ) -> _Part:
        """Do this in the turn of the entity, behind what came before it; the part that what follows belongs to."""
        stored = self._close(asked.batch, part)
        ticket = self.acks.track(asked.batch, end=asked.record.offset + 1, records=1)

        async def run() -> None:
            letter = await job(asked)
            if letter is not None:
                await self._writer.bury(letter)
            if stored is not None:
                await stored

        self._lanes.submit(asked.entity_id, lambda: self._end(ticket, [mark], run()))
        return _Part()

    def _close(self, batch: Batch, part: _Part) -> Awaitable[None] | None:
        """Write a part; what is done when its entries, and whatever else was folded, are in the changelog."""
        flushed = self._windows.flush(batch.partition)
        stored = None if flushed is None else asyncio.ensure_future(flushed)
        if part.records:
            ticket = self.acks.track(batch, end=part.end, records=part.records)
            task = asyncio.create_task(
                self._end(ticket, part.marks, self._settle(batch, part, stored)), name=f"part of {self._agent.name}"
            )
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return stored

    async def _settle(self, batch: Batch, part: _Part, stored: Awaitable[None] | None) -> None:
        """Commit what was decided and what is dead; return when the changelog has the entries as well."""
        if part.decided:
            with self._together(batch, part):
                outcomes = await self._writer.record_all([record for _, record in part.decided])
            for (asked, _), outcome in zip(part.decided, outcomes, strict=True):
                if isinstance(outcome, Permanent):
                    part.letters.append(self._refused(asked, outcome))
                elif asked.trace is not None:
                    asked.trace.ended(outcome)
        if part.letters:
            await asyncio.gather(*map(self._writer.bury, part.letters))
        if stored is not None:
            await stored

    async def _ask(self, asked: Asked) -> DeadLetter | None:
        """Decide when the brain has, and commit; what is dead, if it is."""
        crowded = self._lanes.crowded(asked.entity_id, min(CROWD, self._windows.spec.slack))
        try:
            with nullcontext() if asked.trace is None else asked.trace.asking():
                verdict = await self._brain.decide(asked.known, crowded)
            record = self._record(asked, verdict)
        except Permanent as error:
            return self._refused(asked, error)
        return await self._write(record, asked)

    async def _write(self, record: DecisionRecord, asked: Asked) -> DeadLetter | None:
        try:
            is_new = await self._writer.record(record)
        except Permanent as error:
            return self._refused(asked, error)
        if asked.trace is not None:
            asked.trace.ended(is_new)
        return None

    def _refused(self, asked: Asked, error: Permanent) -> DeadLetter:
        if asked.trace is None:
            return self._inputs.refused(asked, error)
        with asked.trace.asking():
            letter = self._inputs.refused(asked, error)
        asked.trace.ended(error)
        return letter

    def _together(self, batch: Batch, part: _Part) -> AbstractContextManager[None]:
        if self._tracing is None:
            return nullcontext()
        traces = [asked.trace for asked, _ in part.decided if asked.trace is not None]
        return self._tracing.together(self._agent.name, batch, traces)

    def _record(self, asked: Asked, verdict: Verdict) -> DecisionRecord:
        decided_at = self._now()
        outcome = verdict.decision.outcome
        record = decision_record(
            self._agent,
            asked.known,
            verdict,
            origin=asked.origin,
            entity_id=asked.entity_id,
            decided_at=decided_at,
            hold_for=self._hold_for,
            expecting=expected(self._agent, asked.known, outcome, decided_at=decided_at) if self._agent.expects else (),
        )
        return record if asked.trace is None else asked.trace.decided(record)

    async def _end(self, ticket: Ticket, marks: Sequence[Mark], work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except asyncio.CancelledError as error:
            if is_being_cancelled():
                raise
            await self._crash(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, this must not be acknowledged
            await self._crash(error)
        else:
            self._in_flight -= ticket.records
            for mark in marks:
                self._undecided.done(mark)
            ticket.finish()
            self._ended.set()

    def _has_room(self, entity_id: str | None) -> bool:
        """Whether one more event may be in flight, and of this entity.

        Of an entity no more than its ring can still tell apart when they come again.
        """
        if self._in_flight >= self._most_in_flight:
            return False
        return entity_id is None or self._undecided.count(entity_id) <= self._windows.spec.slack

    async def _room(self, entity_id: str | None) -> None:
        while not self._has_room(entity_id):
            self._ended.clear()
            await self._ended.wait()
