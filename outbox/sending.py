"""Sending: one attempt to hand messages to a producer, batch by batch, and what became of each.

Of one partition the next batch leaves when the one before was acknowledged, and none leaves behind a failure. With
aiokafka's own `send` several are under way, and Kafka takes a later one after an earlier one was refused when it knows
nothing of the producer yet: messages of a key would overtake each other. Partitions and topics do not wait for each
other.

A batch that is refused for its size is not the fault of its messages: the topic gets smaller batches from then on, down
to one message, and only what is refused alone is refused.
"""

from __future__ import annotations

import asyncio
import re
import struct
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    IllegalOperation,
    InvalidPartitionsError,
    InvalidTopicError,
    KafkaError,
    UnknownTopicOrPartitionError,
)
from aiokafka.partitioner import murmur2
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from outbox.outcomes import ABOUT_A_BATCH, NOT_SENT, NotPublished, Outcome, Refused, outcome_of
from outbox.records import Message

#: How long Kafka may take to tell of a topic it was asked for, in seconds; then the topic counts as missing.
METADATA_SECONDS: Final = 3.0
#: How long a topic keeps the smaller batches, in seconds: its limit may be raised again.
FORGET_SECONDS: Final = 300.0

#: What Kafka takes as the name of a topic (its class `Topic`); aiokafka asks for the metadata of any other for ever.
_TOPIC_NAME: Final = re.compile(r"(?!\.{1,2}\Z)[a-zA-Z0-9._-]{1,249}")
#: What aiokafka raises on a message it cannot encode: a header whose name is no UTF-8, for instance.
_NOT_ENCODABLE: Final = (ValueError, TypeError, OverflowError, struct.error)
#: A transaction that has failed takes no more batches; aiokafka says so by these two, which are no `KafkaError`.
_FAILED: Final = (KafkaError, OSError, IllegalOperation, AssertionError)

#: Hashes of keys that are remembered, and bytes of the longest such key: some 8 MB at most (own choice).
_KEYS_REMEMBERED: Final = 65_536
_SHORT_KEY: Final = 64


#: How many partitions a topic must have, by its name: in any other number of them nobody would find a key's messages.
#: A topic that is not named may have any.
Partitions = Mapping[str, int]
ANY_PARTITIONS: Final[Partitions] = MappingProxyType({})


class BatchLimits:
    """How large the batches of each topic may be, in bytes; learned from those that were refused."""

    def __init__(self, largest_message: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        #: The largest message that is sent at all, in bytes with all that a batch adds.
        self.largest_message = largest_message
        self._clock = clock
        self._learned: dict[str, tuple[int, float]] = {}

    def of(self, topic: str) -> int:
        """The largest batch of several messages."""
        limit, until = self._learned.get(topic, (sys.maxsize, 0.0))
        return limit if self._clock() < until else sys.maxsize

    def halve(self, topic: str, refused_bytes: int) -> None:
        """Remember that a batch of this size was refused."""
        self._learned[topic] = (min(refused_bytes // 2, self.of(topic)), self._clock() + FORGET_SECONDS)


class Sending:
    """Messages on their way through a producer. `outcomes` fills as answers arrive: a time-out keeps what is known.

    `partitions` are those that topics must have. `on_settled` is told the positions of messages and what became of all
    of them in this attempt.
    """

    def __init__(
        self,
        producer: AIOKafkaProducer,
        messages: Sequence[Message],
        limits: BatchLimits,
        *,
        partitions: Partitions = ANY_PARTITIONS,
        on_settled: Callable[[Sequence[int], Outcome], None] = lambda _positions, _outcome: None,
    ) -> None:
        self._producer = producer
        self._messages = messages
        self._limits = limits
        self._must_have = partitions
        self._on_settled = on_settled
        self.outcomes: list[Outcome] = [NOT_SENT] * len(messages)
        #: A batch failed, and the producer has counted it: what it sends next to that partition has a gap before it.
        self.needs_new_producer = False
        #: A batch was refused, for its size or for its only message: what is left may go in another attempt.
        self.may_go_on = False

    async def run(self) -> None:
        """Send everything, and wait for the answers. Raises only what is a bug."""
        by_topic: dict[str, list[int]] = {}
        for position, message in enumerate(self._messages):
            by_topic.setdefault(message.topic, []).append(position)
        async with asyncio.TaskGroup() as topics:
            for topic, positions in by_topic.items():
                topics.create_task(self._send_topic(topic, positions))

    async def _send_topic(self, topic: str, positions: Sequence[int]) -> None:
        try:
            partitions = await self._partitions(topic)
        except (KafkaError, OSError) as error:
            self._settle(positions, outcome_of(error))
            return
        by_partition: dict[int, deque[int]] = {}
        for position in positions:
            partition = partition_of(self._messages[position].key, partitions)
            by_partition.setdefault(partition, deque()).append(position)
        async with asyncio.TaskGroup() as sending:
            for partition, waiting in by_partition.items():
                sending.create_task(self._send_partition(topic, partition, waiting))

    async def _partitions(self, topic: str) -> list[int]:
        if not _TOPIC_NAME.fullmatch(topic):
            raise InvalidTopicError(topic)
        try:
            async with asyncio.timeout(METADATA_SECONDS):
                found = sorted(await self._producer.partitions_for(topic))
        except TimeoutError:
            # aiokafka would go on asking for it, and tansu tells of no topic at all while one is missing.
            self.needs_new_producer = True
            raise UnknownTopicOrPartitionError(topic) from None
        if len(found) != (expected := self._must_have.get(topic, len(found))):
            raise InvalidPartitionsError(f"{topic} has {len(found)} partitions and must have {expected}")
        return found

    async def _send_partition(self, topic: str, partition: int, waiting: deque[int]) -> None:
        while waiting:
            batch, taken = self._fill(topic, waiting)
            if not taken:
                continue
            try:
                await (await self._producer.send_batch(batch, topic, partition=partition))
            except _FAILED as error:
                self._fail(topic, batch.size(), taken, waiting, error)
                return
            self._settle(taken, None)

    def _fill(self, topic: str, waiting: deque[int]) -> tuple[BatchBuilder, list[int]]:
        """Take as many messages as one batch holds; what can be no record is refused on the way."""
        batch = self._producer.create_batch()
        limit = self._limits.of(topic)
        taken: list[int] = []
        while waiting:
            message = self._messages[waiting[0]]
            try:
                headers = list(message.headers)
                size = DefaultRecordBatchBuilder.estimate_size_in_bytes(message.key, message.value, headers)
                if size > self._limits.largest_message:
                    refusal = f"MessageSizeTooLargeError: it has {size} bytes, at most {self._limits.largest_message}"
                    self._settle([waiting.popleft()], Refused(f"{refusal} are sent"))
                    continue
                is_full = limit < sys.maxsize and bool(taken) and batch.size() + size > limit
                added = (
                    None
                    if is_full
                    else batch.append(timestamp=None, key=message.key, value=message.value, headers=headers)
                )
                if added is None:
                    break
            except _NOT_ENCODABLE as error:
                self._settle([waiting.popleft()], Refused(f"{type(error).__name__}: {error}"))
            else:
                taken.append(waiting.popleft())
        batch.close()
        return batch, taken

    def _fail(self, topic: str, size: int, taken: Sequence[int], behind: Sequence[int], error: BaseException) -> None:
        self.needs_new_producer = True
        outcome: Outcome = outcome_of(error)
        if isinstance(outcome, Refused):
            self.may_go_on = True
            if isinstance(error, ABOUT_A_BATCH) and len(taken) > 1:
                self._limits.halve(topic, size)
                outcome = NotPublished(f"refused as a batch of {len(taken)}: {outcome}")
        self._settle(taken, outcome)
        # Nothing behind it may overtake it.
        if not isinstance(outcome, Refused):
            self._settle(behind, outcome)

    def _settle(self, positions: Sequence[int], outcome: Outcome) -> None:
        for position in positions:
            self.outcomes[position] = outcome
        self._on_settled(positions, outcome)


def partition_of(key: bytes, partitions: Sequence[int]) -> int:
    """The partition of a key, as Kafka's own producers choose it of these in their order."""
    # aiokafka computes the hash in Python, some 2 µs for a short key; those of entities come again and again.
    found = _remembered_hash(key) if len(key) <= _SHORT_KEY else murmur2(key)
    return partitions[(found & 0x7FFFFFFF) % len(partitions)]


_remembered_hash: Final[Callable[[bytes], int]] = lru_cache(_KEYS_REMEMBERED)(murmur2)
