"""What Kafka still has of an entity, read within bounds.

Records of an entity are found by their key among those of its partition. Where the partition is longer than may be
read, the places that decisions name are looked at first, then the end of the log, then what lies around those places:
what was not read is known. Whatever goes wrong leaves what was read until then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final

from aiokafka.errors import KafkaError

from agents.replay.records import TimelineRecord
from app.kafka.timelines import TimelineReader, TimelineUnreadable
from app.story.material import Part

#: Bytes of records that one entity may bring.
MOST_BYTES: Final = 16 * 1024 * 1024
#: Records read at the end of a partition before anything else of it: what happened last.
TAIL_RECORDS: Final = 10_000
#: Records read on both sides of the places that decisions name.
MARGIN_RECORDS: Final = 2_000
#: Records between which nobody looks for more than this are read together.
_NEAR: Final = 2_000


@dataclass(kw_only=True)
class LogOfEntity:
    """Records of one entity, and how much of its partition was read."""

    entity: str
    entity_id: str
    topic: str
    partition: int | None = None
    #: The first offset that is still there, and the end.
    first: int = 0
    end: int = 0
    #: By offset.
    records: dict[int, TimelineRecord] = field(default_factory=dict)
    read: list[tuple[int, int]] = field(default_factory=list)
    #: Why not everything was read; None when it was.
    problem: str | None = None
    bytes: int = 0

    @property
    def part(self) -> Part | None:
        """The same for the story."""
        if self.partition is None:
            return None
        return Part(topic=self.topic, partition=self.partition, first=self.first, read=tuple(self.read))

    def in_order(self) -> Sequence[TimelineRecord]:
        """The records, oldest first."""
        return [self.records[offset] for offset in sorted(self.records)]


async def read_entity(
    reader: TimelineReader,
    entity: str,
    entity_id: str,
    *,
    known: Sequence[int],
    most_records: int,
    deadline: float,
    before: int | None = None,
) -> LogOfEntity:
    """Read what the timeline has of the entity until the deadline (by the loop's clock).

    `known` are offsets that decisions name. At most about `most_records` records of the partition are looked at.
    """
    found = LogOfEntity(entity=entity, entity_id=entity_id, topic=reader.topic)
    try:
        async with asyncio.timeout_at(deadline):
            found.partition = await reader.partition_of(entity_id)
            found.first, found.end = (await reader.partitions())[found.partition]
            end = found.end if before is None else min(found.end, before)
            spans = spans_of(found.first, end, known, most_records)
            for start, stop in spans:
                await _read(reader, found, start, stop)
            if sum(stop - start for start, stop in spans) < end - found.first:
                found.problem = f"{found.topic}[{found.partition}] is longer than is looked at"
    except TimeoutError:
        found.problem = f"Kafka was not read to the end in time: {found.topic}"
    except (KafkaError, TimelineUnreadable, OSError) as error:
        found.problem = f"{found.topic}: {_said(error)}"
    return found


def spans_of(first: int, end: int, known: Sequence[int], most: int) -> Sequence[tuple[int, int]]:
    """What to read of a partition, in this order: from and before which offsets, about `most` records in all.

    No offset is in two of them.
    """
    if end <= first:
        return []
    if end - first <= most:
        return [(first, end)]
    spans: list[tuple[int, int]] = []
    room = most
    near = _joined([(max(first, at), min(end, at + 1)) for at in sorted(set(known)) if first <= at < end])
    margin = _joined([(max(first, a - MARGIN_RECORDS), min(end, b + MARGIN_RECORDS)) for a, b in near])
    # The newest first: it is what a person looks for, and what is near to now is what is open.
    for start, stop in (
        *near[::-1],
        (max(first, end - TAIL_RECORDS), end),
        *margin[::-1],
        (max(first, end - most), end),
    ):
        for piece in _without(start, stop, spans):
            if room <= 0:
                return spans
            begin = max(piece[0], piece[1] - room)
            spans.append((begin, piece[1]))
            room -= piece[1] - begin
    return spans


def _joined(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans in order, those that touch or lie near each other as one."""
    joined: list[tuple[int, int]] = []
    for start, stop in spans:
        if joined and start <= joined[-1][1] + _NEAR:
            joined[-1] = (joined[-1][0], max(stop, joined[-1][1]))
        else:
            joined.append((start, stop))
    return joined


def _without(start: int, stop: int, taken: Sequence[tuple[int, int]]) -> Sequence[tuple[int, int]]:
    """What is left of a span, the newest first."""
    left: list[tuple[int, int]] = []
    for begin, end in sorted(taken):
        if end <= start or begin >= stop:
            continue
        if begin > start:
            left.append((start, begin))
        start = max(start, end)
    if start < stop:
        left.append((start, stop))
    return left[::-1]


async def _read(reader: TimelineReader, found: LogOfEntity, start: int, stop: int) -> None:
    assert found.partition is not None, "it was looked for"
    key = found.entity_id.encode()
    reached = start
    try:
        async with aclosing(reader.read(found.partition, start, stop)) as records:
            async for record in records:
                reached = record.offset + 1
                if record.key != key or record.offset in found.records:
                    continue
                found.bytes += len(record.value or b"")
                if found.bytes > MOST_BYTES:
                    raise TimelineUnreadable(
                        f"more than {MOST_BYTES // 2**20} MiB about {found.entity} {found.entity_id}"
                    )
                found.records[record.offset] = record
        reached = stop
    finally:
        if reached > start:
            found.read.append((start, reached))


def _said(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
