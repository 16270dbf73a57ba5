"""Partitions: timelines and changelogs have as many as windows were written for, and each entry lies in its own.

A key's partition follows from how many there are. After more were added the next event of most entities goes to
another one, whose windows know nothing of them. So a worker refuses to start on another number than `TOPIC_PARTITIONS`,
and stops when the number changes under it. Where topics and setting were changed together, entries that were written
before lie where their entities do not belong any more: some of the oldest of each changelog are looked at.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from outbox.sending import partition_of
from tables import ring
from tables.errors import Fatal

#: What to do about all of it.
_WAY_OUT: Final = 'windows stay in the partition of their entity; see "More partitions" in docs/operations.md'
#: The oldest records of each partition that are looked at (own choice).
LOOKED_AT: Final = 50
#: Of the entities of a topic that got more partitions at least half belong elsewhere; with room for chance.
MISPLACED: Final = 0.25
#: How long they may take to come, in seconds: what is not there by then is not waited for.
LOOKING_SECONDS: Final = 5.0
#: How long one fetch waits for something, in milliseconds.
_FETCH_MS: Final = 200
#: Bytes of one fetch of a partition.
_FETCH_BYTES: Final = 64 * 1024


class TopicsUnusable(Fatal):
    """Kafka could not be prepared, or was changed; the message says which topic and why."""


def check_numbers(described: Sequence[Mapping[str, Any]], required: Mapping[str, int]) -> None:
    """Compare what the broker says of topics with what they must have. Raises `TopicsUnusable`.

    The first of the topics that is wrong is named, whatever order the broker tells of them in. One that the broker says
    nothing of now is not judged.
    """
    found = {topic["topic"]: len(topic["partitions"]) for topic in described if not topic["error_code"]}
    for topic, expected in required.items():
        if found.get(topic, expected) != expected:
            raise TopicsUnusable(
                f"topic {topic} has {found[topic]} partitions, TOPIC_PARTITIONS is {expected}: {_WAY_OUT}"
            )


async def check_places(options: Mapping[str, Any], changelogs: Collection[str], partitions: int) -> None:
    """Look at the oldest entries of each partition: they must lie where their entities belong. Raises `TopicsUnusable`.

    `options` are aiokafka's of every client, `partitions` is how many each changelog has. A few that lie elsewhere are
    somebody's mistake and harm no window. Raises `KafkaError` as well.
    """
    places = [TopicPartition(topic, number) for topic in changelogs for number in range(partitions)]
    entities: set[str] = set()
    elsewhere: dict[str, str] = {}
    async for place, record in _oldest(options, places):
        entity = _entity_of(record.key)
        if entity is None:
            continue
        entities.add(entity)
        if (belongs := partition_of(entity.encode(), range(partitions))) != place.partition:
            where = f"{place.topic}[{place.partition}]@{record.offset}"
            elsewhere.setdefault(entity, f"what is at {where} belongs into partition {belongs} of {partitions}")
    if len(elsewhere) > MISPLACED * len(entities):
        raise TopicsUnusable(
            f"the changelogs were written when they had another number of partitions:"
            f" {next(iter(elsewhere.values()))}: {_WAY_OUT}"
        )


async def _oldest(
    options: Mapping[str, Any], places: Sequence[TopicPartition]
) -> AsyncGenerator[tuple[TopicPartition, Any], None]:
    """Some of the oldest records of each of these partitions."""
    if not places:
        return
    consumer = AIOKafkaConsumer(
        **options, group_id=None, enable_auto_commit=False, max_partition_fetch_bytes=_FETCH_BYTES
    )
    await consumer.start()
    try:
        # aiokafka 0.14 lets the cancellation of a task of its own out when it is stopped before that task ran.
        await asyncio.sleep(0)
        begins, ends = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
        waited_for = {place for place in places if ends[place] > begins[place]}
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        seen: Counter[TopicPartition] = Counter()
        give_up_at = asyncio.get_running_loop().time() + LOOKING_SECONDS
        while waited_for and asyncio.get_running_loop().time() < give_up_at:
            for place, records in (await consumer.getmany(*waited_for, timeout_ms=_FETCH_MS)).items():
                seen[place] += len(records)
                for record in records:
                    yield place, record
            for place in list(waited_for):
                if seen[place] >= LOOKED_AT or await consumer.position(place) >= ends[place]:
                    waited_for.discard(place)
    finally:
        await consumer.stop()


def _entity_of(key: bytes | None) -> str | None:
    try:
        return None if key is None else ring.entity_of(key)
    except ring.RingCorrupt:
        return None  # it is met again, and told of, where windows are read
