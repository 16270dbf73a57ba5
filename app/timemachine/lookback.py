"""Looking back: the last events of an entity before one of them, from its timeline, of every type.

Records of one entity are found by their key among those of its whole partition, so a look back reads that partition
backwards, a stretch at a time, until it has enough. Copies are shown as the log has them. An event that no agent
decided on has to be looked for from the beginning of the log. Fails with aiokafka's `KafkaError`, or

TimelineUnreadable
└── UnknownEvent    this entity's timeline has no event with this id, or no longer
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

import orjson

from agents.replay.records import TimelineRecord
from agents.routing import Entity
from app.timemachine.recorded import RecordedDecisions
from app.timemachine.timelines import TimelineReader, TimelineUnreadable

#: Events shown when nobody asks for more or fewer, and the most there are.
DEFAULT_EVENTS: Final = 50
MAX_EVENTS: Final = 500

#: Offsets of the first stretch read backwards; each further one is twice as long, up to the last number.
_STRETCH: Final = 2_000
_LONGEST_STRETCH: Final = 200_000


class UnknownEvent(TimelineUnreadable):
    """The timeline has no such event."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Lookback:
    """What an entity's timeline says, up to a moment."""

    entity: Entity
    entity_id: str
    partition: int
    #: The event looked back from; None means from the end of the log.
    before: TimelineRecord | None
    #: Oldest first.
    events: Sequence[TimelineRecord]


async def look_back(
    reader: TimelineReader,
    decisions: RecordedDecisions,
    entity: Entity,
    entity_id: str,
    *,
    before: str | None = None,
    events: int = DEFAULT_EVENTS,
) -> Lookback:
    """The last `events` events of the entity before the event with the id `before`, or the newest ones.

    Raises `UnknownEvent`, and `outbox.errors.DatabaseUnavailable`.
    """
    partition = await reader.partition_of(entity_id)
    first, end = (await reader.partitions())[partition]
    key = entity_id.encode()
    if before is None:
        found = await _newest(reader, partition, key, first, end, events)
        return Lookback(entity=entity, entity_id=entity_id, partition=partition, before=None, events=found)
    place = await decisions.place_of(entity, entity_id, before)
    if place is not None and place[0] == partition and first <= place[1]:
        for record in await reader.read_offsets(partition, [place[1]]):
            if _is(record, key, before):
                found = await _newest(reader, partition, key, first, record.offset, events)
                return Lookback(entity=entity, entity_id=entity_id, partition=partition, before=record, events=found)
    seen: deque[TimelineRecord] = deque(maxlen=events)
    async with aclosing(reader.read(partition, first, end)) as records:
        async for record in records:
            if _is(record, key, before):
                found = tuple(seen)
                return Lookback(entity=entity, entity_id=entity_id, partition=partition, before=record, events=found)
            if record.key == key:
                seen.append(record)
    raise UnknownEvent(
        f"{entity} {entity_id} has no event {before} in {reader.topic}[{partition}] (offsets {first} to {end - 1})"
    )


async def _newest(
    reader: TimelineReader, partition: int, key: bytes, first: int, end: int, events: int
) -> Sequence[TimelineRecord]:
    """The last records with this key from `first` on and before `end`, oldest first."""
    found: deque[TimelineRecord] = deque()
    stretch = _STRETCH
    while len(found) < events and end > first:
        start = max(first, end - stretch)
        wanted = events - len(found)
        older: deque[TimelineRecord] = deque(maxlen=wanted)
        async for record in reader.read(partition, start, end):
            if record.key == key:
                older.append(record)
        found.extendleft(reversed(older))
        end, stretch = start, min(2 * stretch, _LONGEST_STRETCH)
    return tuple(found)


def _is(record: TimelineRecord, key: bytes, event_id: str) -> bool:
    if record.key != key or record.value is None:
        return False
    try:
        document = orjson.loads(record.value)
    except orjson.JSONDecodeError:
        return False
    return isinstance(document, dict) and document.get("id") == event_id
