"""Looking back: the last events of an entity before one of them, from its timeline, of every type.

Records of one entity are found by their key among those of its whole partition, so a look back reads that partition
backwards, a stretch at a time, until it has enough. Copies are shown as the log has them. An event that no agent
decided on has to be looked for from the beginning of the log. Fails with aiokafka's `KafkaError`, or
`TimelineUnreadable`: `UnknownEvent`, `AmbiguousEvent`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

import orjson

from agents.replay.records import TimelineRecord
from app.kafka.timelines import TimelineReader, TimelineUnreadable
from app.timemachine.knowledge import event_json
from app.timemachine.recorded import RecordedDecisions

#: Events shown when nobody asks for more or fewer, and the most there are.
DEFAULT_EVENTS: Final = 50
MAX_EVENTS: Final = 500

#: Offsets of the first stretch read backwards; each further one is twice as long, up to the last number.
_STRETCH: Final = 2_000
_LONGEST_STRETCH: Final = 200_000


class UnknownEvent(TimelineUnreadable):
    """The timeline has no such event."""


class AmbiguousEvent(TimelineUnreadable):
    """Several sources have an event with this id."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Lookback:
    """What an entity's timeline says, up to a moment."""

    entity: str
    entity_id: str
    partition: int
    #: The event looked back from; None means from the end of the log.
    before: TimelineRecord | None
    #: Oldest first.
    events: Sequence[TimelineRecord]


async def look_back(
    reader: TimelineReader,
    decisions: RecordedDecisions,
    entity: str,
    entity_id: str,
    *,
    before: str | None = None,
    source: str | None = None,
    events: int = DEFAULT_EVENTS,
) -> Lookback:
    """The last `events` events of the entity before the event with the id `before`, or the newest ones.

    `source` is that of the event. Without it the id may not be of several among those that were decided on, or, where
    none was, among all. Raises `UnknownEvent`, `AmbiguousEvent`, and `outbox.errors.DatabaseUnavailable`.
    """
    partition = await reader.partition_of(entity_id)
    first, end = (await reader.partitions())[partition]
    key = entity_id.encode()
    if before is None:
        found = await _newest(reader, partition, key, first, end, events)
        return Lookback(entity=entity, entity_id=entity_id, partition=partition, before=None, events=found)
    wanted = _Wanted(key, before, source)
    places = await decisions.places_of(entity, entity_id, before, source)
    _require_one(before, {decided for decided, *_ in places})
    for _, decided_in, offset in places:
        if decided_in != partition or offset < first:
            continue
        for record in await reader.read_offsets(partition, [offset]):
            if wanted.source_of(record) is not None:
                found = await _newest(reader, partition, key, first, record.offset, events)
                return Lookback(entity=entity, entity_id=entity_id, partition=partition, before=record, events=found)
    scanned = await _scan(reader, partition, (first, end), wanted, events)
    _require_one(before, scanned)
    for record, found in scanned.values():
        return Lookback(entity=entity, entity_id=entity_id, partition=partition, before=record, events=found)
    raise UnknownEvent(
        f"{entity} {entity_id} has no event {before} in {reader.topic}[{partition}] (offsets {first} to {end - 1})"
    )


def lookback_json(found: Lookback) -> dict[str, Any]:
    """A look back, for programs."""
    return {
        "entity": found.entity,
        "entity_id": found.entity_id,
        "partition": found.partition,
        "before": None if found.before is None else event_json(found.before),
        "events": [event_json(record) for record in found.events],
    }


@dataclass(frozen=True, slots=True)
class _Wanted:
    """An event of the entity with this key; of any source when that is None."""

    key: bytes
    event_id: str
    source: str | None

    def source_of(self, record: TimelineRecord) -> str | None:
        """The source of the record's event, if it is the one."""
        if record.key != self.key or record.value is None:
            return None
        try:
            document = orjson.loads(record.value)
        except orjson.JSONDecodeError:
            return None
        if not isinstance(document, dict) or document.get("id") != self.event_id:
            return None
        source = str(document.get("source", ""))
        return source if self.source in {None, source} else None


async def _scan(
    reader: TimelineReader, partition: int, span: tuple[int, int], wanted: _Wanted, events: int
) -> Mapping[str, tuple[TimelineRecord, Sequence[TimelineRecord]]]:
    """By source the first such record from the beginning on, and what was before it; one does for a known source."""
    found: dict[str, tuple[TimelineRecord, Sequence[TimelineRecord]]] = {}
    seen: deque[TimelineRecord] = deque(maxlen=events)
    async with aclosing(reader.read(partition, *span)) as records:
        async for record in records:
            source = wanted.source_of(record)
            if source is not None and source not in found:
                found[source] = (record, tuple(seen))
                if wanted.source is not None:
                    break
            if record.key == wanted.key:
                seen.append(record)
    return found


def _require_one(event_id: str, sources: Collection[str]) -> None:
    if len(sources) > 1:
        raise AmbiguousEvent(f"event {event_id} is of several sources, say which: {', '.join(sorted(sources))}")


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
