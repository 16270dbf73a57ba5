"""Sources of a replay: records of a timeline and recorded decisions, from Kafka and PostgreSQL or from lists."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Protocol

from agents.replay.records import RecordedDecision, TimelineRecord


class TimelineSource(Protocol):
    """One timeline."""

    async def partitions(self) -> Mapping[int, tuple[int, int]]:
        """By partition the first offset that is still there, and the end: the offset after the last."""

    def read(self, partition: int, start: int, end: int) -> AsyncIterator[TimelineRecord]:
        """The records with `start <= offset < end` that are still there, in their order."""


class DecisionSource(Protocol):
    """The decisions as they were recorded."""

    def read(
        self, topic: str, partition: int, agents: Collection[str], start: int, end: int
    ) -> AsyncIterator[RecordedDecision]:
        """Those of these agents on events at `start <= offset < end`, in the order of the offsets."""

    async def about(self, agent: str, event_source: str, event_id: str) -> RecordedDecision | None:
        """The agent's decision on this event, wherever the event is."""

    async def is_dead(self, agent: str, topic: str, partition: int, offset: int) -> bool:
        """Whether the event there became a dead letter of this agent, be it that PostgreSQL refused the decision."""


class MemoryTimeline:
    """A timeline in a list. The log begins and ends with its records."""

    def __init__(self, records: Sequence[TimelineRecord]) -> None:
        self._records: dict[int, list[TimelineRecord]] = {}
        for record in sorted(records, key=lambda record: record.offset):
            self._records.setdefault(record.partition, []).append(record)

    async def partitions(self) -> Mapping[int, tuple[int, int]]:
        """As far as there are records."""
        return {number: (records[0].offset, records[-1].offset + 1) for number, records in self._records.items()}

    async def read(self, partition: int, start: int, end: int) -> AsyncIterator[TimelineRecord]:
        """Those in the list."""
        for record in self._records.get(partition, ()):
            if start <= record.offset < end:
                yield record


class MemoryDecisions:
    """Recorded decisions in a list. `dead` are the dead letters: agent, topic, partition, offset."""

    def __init__(self, decisions: Sequence[RecordedDecision], dead: Collection[tuple[str, str, int, int]] = ()) -> None:
        self._dead = frozenset(dead)
        self._decisions = sorted(decisions, key=lambda each: each.offset)
        self._by_event = {(each.agent, each.event_source, each.event_id): each for each in decisions}

    async def read(
        self, topic: str, partition: int, agents: Collection[str], start: int, end: int
    ) -> AsyncIterator[RecordedDecision]:
        """Those in the list."""
        for each in self._decisions:
            if (
                (each.topic, each.partition) == (topic, partition)
                and each.agent in agents
                and start <= each.offset < end
            ):
                yield each

    async def about(self, agent: str, event_source: str, event_id: str) -> RecordedDecision | None:
        """The one in the list; one that does not say its source may be about any."""
        return self._by_event.get((agent, event_source, event_id)) or self._by_event.get((agent, None, event_id))

    async def is_dead(self, agent: str, topic: str, partition: int, offset: int) -> bool:
        """Whether it is in the list."""
        return (agent, topic, partition, offset) in self._dead
