"""Recording: cuts a slice out of Kafka and PostgreSQL.

It holds everything a replay needs: records of the timelines from the first one still there, because windows reach
back, and the decisions on them. Fails as the readers do, or with `SliceTooLarge`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import Final

from agents.engine.routing import timeline
from agents.model.agent import Agent
from agents.replay.records import RecordedDecision, TimelineRecord
from app.kafka.timelines import TimelineReader
from app.timemachine.recorded import RecordedDecisions
from app.timemachine.slices import Slice, SliceHeader
from tables.errors import Fatal
from tables.event import InvalidEvent, parse

#: Records of one slice, which is held in memory while it is written and replayed (own choice).
MAX_RECORDS: Final = 500_000


class SliceTooLarge(Fatal):
    """More records than a slice holds."""


@dataclass(kw_only=True)
class Recorder:
    """Cuts a slice of what `agents` read and decided. `reader_of` gives the reader of a type's timeline."""

    reader_of: Callable[[str], TimelineReader]
    decisions: RecordedDecisions
    agents: Sequence[Agent]
    header: SliceHeader
    max_records: int = MAX_RECORDS
    _records: list[TimelineRecord] = field(default_factory=list)
    _decisions: list[RecordedDecision] = field(default_factory=list)
    _dead: list[tuple[str, str, int, int]] = field(default_factory=list)

    async def record(self) -> Slice:
        """Read everything that the header speaks of, as it is now."""
        only = self.header.entity
        for entity in sorted({agent.entity.name for agent in self.agents}):
            if only is None or only[0] == entity:
                await self._timeline(entity, None if only is None else only[1])
        return Slice(header=self.header, records=self._records, decisions=self._decisions, dead=self._dead)

    async def _timeline(self, entity: str, entity_id: str | None) -> None:
        reader = self.reader_of(entity)
        places = await reader.partitions()
        chosen = sorted(places) if entity_id is None else [await reader.partition_of(entity_id)]
        agents = [agent for agent in self.agents if agent.entity.name == entity]
        for partition in chosen:
            records = await self._partition(reader, partition, *places[partition], key=entity_id)
            self._records += records
            self._decisions += await self._decided(timeline(entity), partition, agents, records)

    async def _partition(
        self, reader: TimelineReader, partition: int, first: int, end: int, *, key: str | None
    ) -> Sequence[TimelineRecord]:
        wanted = None if key is None else key.encode()
        found: list[TimelineRecord] = []
        async with aclosing(reader.read(partition, first, end)) as records:
            async for record in records:
                if self.header.until is not None and record.at >= self.header.until:
                    break
                if wanted is None or record.key == wanted:
                    found.append(record)
                if len(self._records) + len(found) > self.max_records:
                    raise SliceTooLarge(f"more than {self.max_records} records: choose an entity, or an earlier end")
        return found

    async def _decided(
        self, topic: str, partition: int, agents: Sequence[Agent], records: Sequence[TimelineRecord]
    ) -> Sequence[RecordedDecision]:
        if not records:
            return ()
        offsets = {record.offset for record in records}
        names = [agent.name for agent in agents]
        read = self.decisions.read(topic, partition, names, min(offsets), max(offsets) + 1)
        found = {(each.agent, each.event_source, each.event_id): each async for each in read if each.offset in offsets}
        for agent in agents:
            for (source, event_id), offset in _reacted_to(agent, records).items():
                if (agent.name, source, event_id) in found:
                    continue
                # A copy of an event that was decided before the log begins: it is no new one.
                earlier = await self.decisions.about(agent.name, source, event_id)
                if earlier is not None:
                    found[agent.name, source, event_id] = earlier
                elif await self.decisions.is_dead(agent.name, topic, partition, offset):
                    self._dead.append((agent.name, topic, partition, offset))
        return sorted(found.values(), key=lambda each: (each.offset, each.agent))


def _reacted_to(agent: Agent, records: Sequence[TimelineRecord]) -> Mapping[tuple[str, str], int]:
    """The events the agent would decide on: the offset of the first record of each, by source and id."""
    offsets: dict[tuple[str, str], int] = {}
    for record in records:
        with suppress(InvalidEvent):
            event = parse(record.value, ())
            if event.type in agent.reacts_to:
                offsets.setdefault(event.key, record.offset)
    return offsets
