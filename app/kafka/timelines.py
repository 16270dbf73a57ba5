"""Timelines: reads what Kafka still has of a timeline, from any offset on, past every consumer group.

Own consumers, without a group: nothing is committed and no worker notices. They read what live consumers read: nothing
of transactions that are aborted or open, so the end of a partition is where its first open transaction begins. Offsets
may be missing, because Kafka drops old records, aborts some and keeps its own marks among the others; so a reader goes
by its position and not by the records it gets.
What fails is aiokafka's `KafkaError`, or `TimelineUnreadable`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, Self

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import OffsetOutOfRangeError
from aiokafka.partitioner import DefaultPartitioner

from agents.engine.fetching import COMMITTED_ONLY
from agents.engine.routing import timeline
from agents.engine.stamps import instant
from agents.replay.records import TimelineRecord
from app.kafka.credentials import client_options
from app.kafka.tuning import TUNING
from tables.errors import Fatal

if TYPE_CHECKING:
    from datetime import datetime

    from app.settings import Settings

#: Nothing came for so long, in seconds: the broker is asked whether there is more.
QUIET_SECONDS: Final = 0.5
#: How long a broker may keep back what it says it has, in seconds.
SILENT_SECONDS: Final = 30.0
#: Where ends are not exact, how long they are looked for, in seconds: a log that is written to has no end.
ENDS_SECONDS: Final = 5.0
#: Bytes of one fetch; bounds what a reader holds at a time.
FETCH_BYTES: Final = 4 * 1024 * 1024
#: Offsets so near to each other are read together: one fetch costs more than some hundred records.
_NEAR: Final = 500


class TimelineUnreadable(Fatal):
    """A timeline cannot be read; the message says which and why."""


class TimelineReader:
    """Reads one timeline. `client_options` are aiokafka's (brokers, security).

    `exact_ends` is False for a broker that reports end offsets which are too low (`app.kafka.tuning`).
    """

    def __init__(self, client_options: Mapping[str, Any], topic: str, *, exact_ends: bool = True) -> None:
        self.topic = topic
        self._options = client_options
        self._exact_ends = exact_ends
        self._known: Sequence[int] | None = None

    async def __aenter__(self) -> Self:
        """Nothing is opened before it is needed, so a reader may also be used without a block."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Every reading closes what it has opened."""

    async def partitions(self) -> Mapping[int, tuple[int, int]]:
        """The first offset still there and the end (the offset of the next record to come) of each partition, now."""
        places = [TopicPartition(self.topic, number) for number in await self._numbers()]
        async with self._consumer() as consumer:
            consumer.assign(places)
            begins = await consumer.beginning_offsets(places)
            ends = await consumer.end_offsets(places)
            if not self._exact_ends:
                ends = await _real_ends(consumer, ends)
        return {place.partition: (begins[place], ends[place]) for place in places}

    async def partition_of(self, entity_id: str) -> int:
        """Where the records of an entity are: the router writes with aiokafka's own partitioner."""
        partitions = await self._numbers()
        partition: int = DefaultPartitioner()(entity_id.encode(), partitions, partitions)
        return partition

    async def read(self, partition: int, start: int, end: int) -> AsyncGenerator[TimelineRecord, None]:
        """Every record from offset `start` on and before `end`, in their order; fewer when Kafka has fewer.

        Beyond the end of the log it reads what is there by then, and waits for no more. Who stops earlier closes it.
        """
        async with self._consumer() as consumer:
            place = TopicPartition(self.topic, partition)
            consumer.assign([place])
            async for record in _records(consumer, place, start, end):
                yield record

    async def first_since(self, partition: int, instant: datetime) -> int | None:
        """The first offset whose record was written at this instant or later; None where there is none."""
        async with self._consumer() as consumer:
            place = TopicPartition(self.topic, partition)
            consumer.assign([place])
            found = (await consumer.offsets_for_times({place: int(instant.timestamp() * 1000)}))[place]
            return None if found is None else int(found.offset)

    async def read_offsets(self, partition: int, offsets: Collection[int]) -> Sequence[TimelineRecord]:
        """The records at these offsets, in their order, without those that Kafka no longer has."""
        found: list[TimelineRecord] = []
        if not offsets:
            return found
        async with self._consumer() as consumer:
            place = TopicPartition(self.topic, partition)
            consumer.assign([place])
            for near in _neighbours(sorted(set(offsets))):
                wanted = set(near)
                found += [
                    record
                    async for record in _records(consumer, place, near[0], near[-1] + 1)
                    if record.offset in wanted
                ]
        return found

    @asynccontextmanager
    async def _consumer(self) -> AsyncIterator[AIOKafkaConsumer]:
        consumer = AIOKafkaConsumer(
            group_id=None,
            enable_auto_commit=False,
            # An offset that is gone must not send the reader anywhere unasked.
            auto_offset_reset="none",
            **COMMITTED_ONLY,
            max_partition_fetch_bytes=FETCH_BYTES,
            **self._options,
        )
        try:
            await consumer.start()
            # aiokafka 0.14 lets the cancellation of a task of its own out when it is stopped before that task ran.
            await asyncio.sleep(0)
            yield consumer
        finally:
            await consumer.stop()

    async def _numbers(self) -> Sequence[int]:
        """The partitions there are."""
        if self._known is None:
            admin = AIOKafkaAdminClient(**self._options)
            try:
                await admin.start()
                # Asking for a topic by its name would create it where brokers do that.
                if self.topic not in await admin.list_topics():
                    raise TimelineUnreadable(f"Kafka has no topic {self.topic}")
                [described] = await admin.describe_topics([self.topic])
            finally:
                await admin.close()
            self._known = sorted(each["partition"] for each in described["partitions"])
        return self._known


def timeline_reader(settings: Settings, entity: str) -> TimelineReader:
    """A reader of the timeline of this type of entity."""
    exact = TUNING[settings.kafka_profile].exact_ends
    return TimelineReader(client_options(settings), timeline(entity), exact_ends=exact)


async def _records(
    consumer: AIOKafkaConsumer, place: TopicPartition, start: int, end: int
) -> AsyncIterator[TimelineRecord]:
    consumer.seek(place, start)
    heard_at = time.monotonic()
    while (position := await consumer.position(place)) < end:
        try:
            batch = (await consumer.getmany(place, timeout_ms=int(QUIET_SECONDS * 1000))).get(place, ())
        except OffsetOutOfRangeError:
            first = (await consumer.beginning_offsets([place]))[place]
            if position >= first:
                return  # behind the end of the log
            consumer.seek(place, first)
            continue
        for record in batch:
            if record.offset >= end:
                return
            yield _read(record)
        if batch or await consumer.position(place) > position:
            heard_at = time.monotonic()
        elif (await consumer.end_offsets([place]))[place] <= position:
            return
        elif time.monotonic() - heard_at > SILENT_SECONDS:
            raise TimelineUnreadable(
                f"{place.topic}[{place.partition}]@{position}: Kafka has more, and sends nothing for"
                f" {SILENT_SECONDS:.0f} s"
            )


async def _real_ends(
    consumer: AIOKafkaConsumer, reported: Mapping[TopicPartition, int]
) -> Mapping[TopicPartition, int]:
    """The ends, looked for behind those reported until nothing more comes."""
    ends = dict(reported)
    for place, end in ends.items():
        consumer.seek(place, end)
    deadline = asyncio.get_running_loop().time() + ENDS_SECONDS
    while asyncio.get_running_loop().time() < deadline:
        batches = await consumer.getmany(timeout_ms=int(QUIET_SECONDS * 1000))
        if not batches:
            break
        ends.update({place: records[-1].offset + 1 for place, records in batches.items() if records})
    return ends


def _neighbours(offsets: Sequence[int]) -> Sequence[Sequence[int]]:
    """The offsets in groups that are worth one reading each."""
    groups: list[list[int]] = []
    for offset in offsets:
        if groups and offset - groups[-1][-1] <= _NEAR:
            groups[-1].append(offset)
        else:
            groups.append([offset])
    return groups


def _read(record: ConsumerRecord) -> TimelineRecord:
    return TimelineRecord(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        at=instant(record.timestamp),
        key=record.key,
        value=record.value,
        headers=tuple((name, value or b"") for name, value in record.headers),
    )
