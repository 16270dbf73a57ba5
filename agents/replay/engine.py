"""Replay: rebuilds what agents knew from the log of a timeline, decides again, and compares with what was recorded.

A partition is read in the order of its offsets. Every record is folded into the windows of the agents that remember its
type, and decided on by those that react to it, with the code that does both live; so a history is the one the agent
had, unless Kafka has dropped some of it. Nothing is published and nothing written but windows of the replay's own.
Input that was a dead letter then, or whose decision PostgreSQL refused, comes to no decision now either.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from agents.engine.record import decision_record
from agents.engine.routing import timeline
from agents.model.agent import Agent
from agents.model.history import History, keep
from agents.model.types import Received, Types
from agents.replay.comparison import Comparison, history_kind, kind_of, missing
from agents.replay.deciders import Decider
from agents.replay.due import Due
from agents.replay.reading import Read, read_record
from agents.replay.records import RecordedDecision, TimelineRecord
from agents.replay.sources import DecisionSource
from agents.replay.span import Part, Span
from agents.replay.windows import ReplayWindows
from outbox.records import Origin
from tables.errors import Permanent
from tables.event import Event, InvalidEvent, type_of
from tables.window import Entry, WindowSpec, history

#: Records between two checkpoints: what a replay that is interrupted does again (own choice; some seconds of work).
CHECKPOINT_RECORDS: Final = 20_000

#: Called with the partition and the offset to go on from, when everything before has been compared and taken.
Checkpoint = Callable[[Part, int], None]


@dataclass(frozen=True, slots=True)
class _Mark:
    """Between comparisons: whatever is before this offset has been handed over."""

    offset: int


#: A decision still to be made.
_Job = Callable[[], Coroutine[Any, Any, Comparison | None]]


class Replay:
    """Replays agents over the partitions of their timelines, with windows in `windows`.

    Decisions are compared with those recorded under the agents' names. `window_events` is the setting of that name.
    `checkpoint` is called now and then, before the windows are committed: what it notes in them is committed with them.
    Up to `concurrency` decisions are made at the same time.
    """

    def __init__(
        self,
        agents: Sequence[Agent],
        *,
        types: Types,
        decider: Decider,
        windows: ReplayWindows,
        decisions: DecisionSource,
        span: Span,
        window_events: int | None = None,
        checkpoint: Checkpoint = lambda _part, _offset: None,
        concurrency: int = 1,
    ) -> None:
        self._agents = agents
        self._types = types
        self._decider = decider
        self._windows = windows
        self._decisions = decisions
        self._span = span
        self._checkpoint = checkpoint
        self._concurrency = concurrency
        self._specs = {
            agent.name: agent.window if window_events is None else replace(agent.window, events=window_events)
            for agent in agents
        }

    async def compare(self, part: Part, records: AsyncIterator[TimelineRecord]) -> AsyncIterator[Comparison]:
        """Replay a partition from `part.start` on; yields every decision of then or now, in the order of the offsets.

        `records` are those from there to `part.end`. Raises what the sources and RocksDB raise.
        """
        started: deque[asyncio.Task[Comparison | None]] = deque()
        try:
            async for step in self._steps(part, records):
                if self._concurrency > 1 and not isinstance(step, _Mark):
                    started.append(asyncio.ensure_future(_made(step)))
                while len(started) >= (1 if isinstance(step, _Mark) else self._concurrency):
                    made = await started.popleft()
                    if made is not None:
                        yield made
                if isinstance(step, _Mark):
                    self._checkpoint(part, step.offset)
                    self._windows.commit()
                elif self._concurrency == 1 and (made := await _made(step)) is not None:
                    yield made
        finally:
            for task in started:
                task.cancel()

    async def _steps(
        self, part: Part, records: AsyncIterator[TimelineRecord]
    ) -> AsyncIterator[Comparison | _Job | _Mark]:
        agents = [agent for agent in self._agents if timeline(agent.entity.name) == part.topic]
        types = frozenset[str]().union(*(agent.reacts_to | agent.remembers for agent in agents))
        names = [agent.name for agent in agents]
        due = Due(self._decisions.read(part.topic, part.partition, names, part.start, part.end))
        count = 0
        async for record in records:
            async for lost in self._lost(due, record.offset):
                yield lost
            rows = {row.agent: row for row in await due.at(record.offset)}
            if self._span.is_about(record) and (rows or type_of(record.value) in types):
                for step in await self._take(part, agents, record, rows):
                    yield step
            count += 1
            if self._windows.is_full or count % CHECKPOINT_RECORDS == 0:
                yield _Mark(record.offset + 1)
        async for lost in self._lost(due, part.end):
            yield lost
        yield _Mark(part.end)

    async def _lost(self, due: Due, offset: int) -> AsyncIterator[Comparison]:
        async for row in due.before(offset):
            if self._span.covers_offset(row.offset):
                yield missing(row, "the log has no record at its offset")

    async def _take(
        self, part: Part, agents: Sequence[Agent], record: TimelineRecord, rows: Mapping[str, RecordedDecision]
    ) -> Sequence[Comparison | _Job]:
        """Fold a record; what there is to compare and to decide about it."""
        covers = self._span.covers(record)
        try:
            read = read_record(record, self._types)
        except InvalidEvent as error:
            return [missing(row, str(error)) for row in rows.values() if covers]
        steps: list[Comparison | _Job] = []
        for agent in agents:
            row = rows.get(agent.name)
            if row is not None and not row.is_about(read.event):
                if covers:
                    steps.append(
                        missing(row, f"the log has another event at its offset: {' of '.join(read.event.key[::-1])}")
                    )
                row = None
            step = await self._step(agent, part, read, row, covers=covers)
            if step is not None:
                steps.append(step)
        return steps

    async def _step(
        self, agent: Agent, part: Part, read: Read, row: RecordedDecision | None, *, covers: bool
    ) -> Comparison | _Job | None:
        event, received = read.event, read.received
        remembers, reacts = event.type in agent.remembers, event.type in agent.reacts_to
        # Invalid data is a dead letter to whoever remembers or reacts to it.
        is_valid = not isinstance(received, InvalidEvent)
        ring = self._remembered(agent, part, read) if is_valid and (remembers or reacts) else ()
        if not reacts:
            problem = f"agent {agent.name} does not react to {event.type}"
            return missing(row, problem, event, read.entity_id) if row is not None and covers else None
        row, is_passed = await self._row(agent, read, row, covers=covers)
        if is_passed or not covers:
            return None
        if isinstance(received, InvalidEvent):
            return None if row is None else missing(row, str(received), event, read.entity_id)
        spec, offset = self._specs[agent.name], read.record.offset
        known = History(received, _known(ring, spec, offset, event), self._types)
        return partial(self._decide, agent, part, read, known, row)

    def _remembered(self, agent: Agent, part: Part, read: Read) -> Sequence[Entry]:
        place = (agent.name, part.partition, read.entity_id)
        spec = self._specs[agent.name]
        event, value = read.event, read.record.value
        if event.type not in agent.remembers or value is None:
            return self._windows.read(place, spec)
        ring = self._windows.fold(
            place, spec, offset=read.record.offset, time=event.time, event_id=event.id, payload=value
        )
        if ring and ring[-1].payload is value and isinstance(read.received, Received):
            keep(ring[-1], read.received, self._types)
        return ring

    async def _row(
        self, agent: Agent, read: Read, row: RecordedDecision | None, *, covers: bool
    ) -> tuple[RecordedDecision | None, bool]:
        """What is recorded about this record, and whether it is to be passed over as it was live.

        That is a copy of an event decided elsewhere, and what became a dead letter.
        """
        event = read.event
        key = f"{agent.name}\0{event.source}\0{event.id}".encode()
        if row is None and self._windows.noted(key) is not None:
            return None, True
        if row is None and covers:
            # Decided in another partition, later, or since the rows of this one were read.
            row = await self._decisions.about(agent.name, event.source, event.id)
            if row is not None and (row.topic, row.partition, row.offset) != read.place:
                return None, True
            if row is None and await self._decisions.is_dead(agent.name, *read.place):
                return None, True
        self._windows.note(key)
        return row, False

    async def _decide(
        self, agent: Agent, part: Part, read: Read, known: History, row: RecordedDecision | None
    ) -> Comparison | None:
        record, event = read.record, read.event
        try:
            verdict = await self._decider.decide(agent, known, row)
            decided = decision_record(
                agent,
                known,
                verdict,
                origin=Origin(topic=record.topic, partition=record.partition, offset=record.offset, at=record.at),
                entity_id=read.entity_id,
                # Nobody compares it; the clock has no place in a replay.
                decided_at=record.at,
                recorded_id=None if row is None else row.key,
            )
        except Permanent as error:
            return None if row is None else missing(row, _line(error), event, read.entity_id)
        return Comparison(
            kind=kind_of(row, decided),
            agent=agent.name,
            event_source=event.source,
            event_id=event.id,
            event_type=event.type,
            entity_id=read.entity_id,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            recorded=row,
            decided=decided,
            history=None if row is None else history_kind(row, decided, first_offset=part.first),
        )


def _known(ring: Sequence[Entry], spec: WindowSpec, offset: int, event: Event) -> tuple[Entry, ...]:
    return history(ring, spec, offset=offset, time=event.time, event_id=event.id, source=event.source)


async def _made(step: Comparison | _Job) -> Comparison | None:
    return step if isinstance(step, Comparison) else await step()


def _line(error: Exception) -> str:
    """What happened and why; the exception of an agent is the cause of its `DecisionFailed`."""
    cause = error.__cause__
    return str(error) if cause is None else f"{error}: {cause}"
