"""Loading: puts a backlog into Kafka in batches, far faster than anybody here reads it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Final, Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.producer.message_accumulator import BatchBuilder

_BATCH_BYTES: Final = 512 * 1024


class Sendable(Protocol):
    """A record to send: a payment, or one of the simulator's."""

    @property
    def key(self) -> bytes:
        """Key of the record."""

    @property
    def value(self) -> bytes | None:
        """Its value."""

    @property
    def headers(self) -> tuple[tuple[str, bytes], ...]:
        """Its headers."""


async def load(kafka: str, topic: str, records: Iterable[Sendable]) -> int:
    """Send everything, in the order given within a partition; returns how many that was."""
    count = 0
    async with AIOKafkaProducer(bootstrap_servers=kafka, acks="all", max_batch_size=_BATCH_BYTES) as producer:
        numbers = sorted(await producer.partitions_for(topic))
        partition_of = DefaultPartitioner()
        batches: dict[int, BatchBuilder] = defaultdict(producer.create_batch)
        sent = []
        for record in records:
            count += 1
            partition = partition_of(record.key, numbers, numbers)
            if not _added(batches[partition], record):
                sent.append(await producer.send_batch(batches.pop(partition), topic, partition=partition))
                assert _added(batches[partition], record), "a record fits into an empty batch"
        for partition, batch in batches.items():
            sent.append(await producer.send_batch(batch, topic, partition=partition))
        for one in sent:
            await one
    return count


def _added(batch: BatchBuilder, record: Sendable) -> bool:
    # Of one that says when it is sent: the router merges topics by it.
    at: datetime | None = getattr(record, "at", None)
    stamp = None if at is None else round(at.timestamp() * 1000)
    return batch.append(key=record.key, value=record.value, timestamp=stamp, headers=list(record.headers)) is not None
