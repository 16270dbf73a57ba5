"""Replaying a slice: decides again on what is in a file, without Kafka and PostgreSQL, and says what differs.

Where a language model decided, its recorded replies do; nobody is asked. Fails with `SliceUnreadable`, or ValueError
for an agent that nobody knows.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agents.brains.redaction import Redaction
from agents.engine.routing import timeline
from agents.model.agent import Agent
from agents.model.catalogue import Catalogue
from agents.model.text import escaped
from agents.model.types import Types
from agents.replay.comparison import Comparison, HistoryKind, Kind, differing
from agents.replay.deciders import RecordedDecider
from agents.replay.engine import Replay
from agents.replay.span import Part, Span
from agents.replay.windows import ReplayWindows
from app.timemachine.slices import Slice, load

#: Differences told one by one; the rest are counted.
MAX_TOLD: Final = 20


@dataclass(frozen=True, slots=True)
class Replayed:
    """What came of a replay: every decision of then or now, in the order of the log."""

    comparisons: Sequence[Comparison]

    @property
    def same(self) -> Sequence[Comparison]:
        """Decided as before."""
        return self._of(Kind.SAME)

    @property
    def changed(self) -> Sequence[Comparison]:
        """Decided otherwise: another outcome, reason, confidence, or other messages."""
        return self._of(Kind.CHANGED)

    @property
    def missing(self) -> Sequence[Comparison]:
        """Decided then, and not now."""
        return self._of(Kind.MISSING)

    @property
    def new(self) -> Sequence[Comparison]:
        """Decided now, and not then."""
        return self._of(Kind.NEW)

    @property
    def is_same(self) -> bool:
        """Whether everything was decided as before. False when there was nothing to decide: that proves nothing."""
        return bool(self.comparisons) and len(self.same) == len(self.comparisons)

    def explain(self) -> str:
        """What differs, for the message of an assertion."""
        if not self.comparisons:
            return "nothing was compared: the slice holds no decision of these agents"
        different = [each for each in self.comparisons if each.kind is not Kind.SAME]
        lines = [f"{len(self.same)} same, {len(different)} not"]
        for each in different[:MAX_TOLD]:
            lines += _told(each)
        if len(different) > MAX_TOLD:
            lines.append(f"and {len(different) - MAX_TOLD} more")
        return "\n".join(lines)

    def _of(self, kind: Kind) -> Sequence[Comparison]:
        return [each for each in self.comparisons if each.kind is kind]


def replay_file(path: Path, catalogue: Catalogue, agents: Iterable[Agent | str] | None = None) -> Replayed:
    """Replay the slice in a file. `agents` are names or agents of one's own; those of the slice without it.

    An agent of one's own is compared with the decisions recorded under its name. An event loop may run meanwhile.
    """
    cut = load(path)
    wanted = [_agent(each, catalogue) for each in (cut.header.agents if agents is None else agents)]
    with ThreadPoolExecutor(1) as thread:
        return Replayed(thread.submit(asyncio.run, replay(cut, wanted, catalogue.types)).result())


async def replay(cut: Slice, agents: Sequence[Agent], types: Types) -> Sequence[Comparison]:
    """Replay a slice, one timeline after the other."""
    header, recorded = cut.header, cut.recorded()
    found: list[Comparison] = []
    with (
        tempfile.TemporaryDirectory() as directory,
        closing(ReplayWindows(Path(directory) / "windows", durable=False)) as windows,
    ):
        running = Replay(
            agents,
            types=types,
            decider=RecordedDecider(Redaction(header.llm_redact)),
            windows=windows,
            decisions=recorded,
            span=Span(from_at=header.since, to_at=header.until),
            window_events=header.window_events,
        )
        for topic in cut.topics:
            if topic not in {timeline(agent.entity.name) for agent in agents}:
                continue
            source = cut.timeline(topic)
            for number, (first, end) in sorted((await source.partitions()).items()):
                part = Part(topic=topic, partition=number, first=first, start=first, end=end)
                found += [each async for each in running.compare(part, source.read(number, first, end))]
    return found


def _agent(wanted: Agent | str, catalogue: Catalogue) -> Agent:
    if isinstance(wanted, Agent):
        return wanted
    if wanted not in catalogue.agents:
        raise ValueError(f"no agent is called {wanted}: {', '.join(catalogue.agents)}, or give the agent itself")
    return catalogue.agents[wanted]


def _told(comparison: Comparison) -> Sequence[str]:
    then, now = comparison.recorded, comparison.decided
    place = f"{comparison.topic}[{comparison.partition}]@{comparison.offset}"
    lines = [f"{comparison.kind}: {comparison.agent} on {escaped(comparison.event_id)} at {place}"]
    if then is not None:
        lines.append(f"  then {escaped(f'{then.outcome} ({then.confidence:.2f}): {then.reason}')}")
    if now is not None:
        lines.append(f"  now  {escaped(f'{now.outcome} ({now.confidence:.2f}): {now.reason}')}")
    if then is not None and now is not None:
        lines.append(f"  differs in {', '.join(differing(then, now))}")
    if comparison.problem is not None:
        lines.append(f"  {escaped(comparison.problem)}")
    if comparison.history not in {None, HistoryKind.SAME}:
        lines.append(f"  it did not know what was known then (history: {comparison.history})")
    return lines
