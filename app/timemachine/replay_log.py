"""A whole log through the replay engine, from sources of any kind into a state that may have begun before.

Raises what the sources raise, and `StateUnusable` when Kafka has dropped what a replay that goes on still has to read.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from agents.engine.routing import timeline
from agents.model.agent import Agent
from agents.model.types import Types
from agents.replay.code import DecidingCode, changed_code
from agents.replay.deciders import Decider
from agents.replay.engine import Replay
from agents.replay.records import TimelineRecord
from agents.replay.sources import DecisionSource, TimelineSource
from agents.replay.span import Part, Span
from app.timemachine.state import ReplayState, StateUnusable


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is replayed, and by whom it is decided."""

    agents: Sequence[Agent]
    types: Types
    decider: Decider
    span: Span
    #: The setting of that name.
    window_events: int | None = None
    #: The type and the partition of the one entity it is about.
    only: tuple[str, int] | None = None
    #: Decisions made at the same time.
    concurrency: int = 1
    #: What the agents decide by in this replay, by their names.
    codes: Mapping[str, DecidingCode] = field(default_factory=dict)

    @property
    def entities(self) -> Sequence[str]:
        """Whose timelines are read."""
        found: dict[str, None] = {agent.entity.name: None for agent in self.agents}
        return [each for each in found if self.only is None or each == self.only[0]]


async def replay_log(
    plan: Plan,
    state: ReplayState,
    *,
    timelines: Mapping[str, TimelineSource],
    decisions: DecisionSource,
    on_begin: Callable[[int], None] = lambda _offsets: None,
    on_progress: Callable[[int], None] = lambda _offsets: None,
) -> None:
    """Replay what is left to do. `on_begin` hears how many offsets that is, `on_progress` how many more are done."""
    await _prepare(plan, state, timelines)
    on_begin(sum(part.end - part.start for part in state.parts))
    engine = Replay(
        plan.agents,
        types=plan.types,
        decider=plan.decider,
        windows=state.windows,
        decisions=decisions,
        span=plan.span,
        window_events=plan.window_events,
        checkpoint=state.checkpoint,
        concurrency=plan.concurrency,
    )
    sources = {timeline(entity): source for entity, source in timelines.items()}
    for part in state.parts:
        if part.start < part.end:
            source = sources[part.topic].read(part.partition, part.start, part.end)
            async with aclosing(_watched(source, part, on_progress)) as records:
                async for comparison in engine.compare(part, records):
                    recorded = comparison.recorded
                    code = None if recorded is None else changed_code(recorded.code, plan.codes.get(recorded.agent))
                    state.take(comparison, code)


async def _prepare(plan: Plan, state: ReplayState, timelines: Mapping[str, TimelineSource]) -> None:
    """See how much of the log there is; a replay that goes on must find what it left."""
    found = {
        (timeline(entity), partition): offsets
        for entity in plan.entities
        for partition, offsets in (await timelines[entity].partitions()).items()
        if plan.only is None or plan.only == (entity, partition)
    }
    if state.is_new:
        state.begin([_part(place, offsets, plan.span) for place, offsets in sorted(found.items())])
        return
    for part in state.parts:
        first, _ = found.get((part.topic, part.partition), (part.end, part.end))
        if part.start < min(first, part.end):
            raise StateUnusable(
                f"{part.topic}[{part.partition}] begins at offset {first} by now and this replay was at {part.start}:"
                " begin anew in another directory"
            )


def _part(place: tuple[str, int], offsets: tuple[int, int], span: Span) -> Part:
    (topic, partition), (first, end) = place, offsets
    return Part(topic=topic, partition=partition, first=first, start=first, end=max(first, span.end_within(end)))


async def _watched(
    records: AsyncIterator[TimelineRecord], part: Part, on_progress: Callable[[int], None]
) -> AsyncGenerator[TimelineRecord, None]:
    done = part.start
    try:
        async for record in records:
            yield record
            on_progress(record.offset + 1 - done)
            done = record.offset + 1
        on_progress(part.end - done)
    finally:
        # A consumer must not stay open until somebody collects it.
        if isinstance(records, AsyncGenerator):
            await records.aclose()


def summary(state: ReplayState, settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a finished replay came to, without the differences. Where nothing was compared nothing is the same.

    `settings` is what was asked for; `agents` in it are their names.
    """
    return {
        "same": state.totals.decisions > 0 and state.totals.different == 0,
        "decisions": state.totals.decisions,
        "different": state.totals.different,
        "agents": state.totals.by_agent(settings["agents"]),
        "settings": settings,
        "log": [
            {"topic": each.topic, "partition": each.partition, "first_offset": each.first, "end_offset": each.end}
            for each in state.parts
        ],
    }
