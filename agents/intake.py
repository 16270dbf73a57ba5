"""Intake: what the router reads, by the time of the records.

While a partition is known to have more in Kafka and has nothing here, the others wait for it, for `IDLE_SECONDS` at
most; while all were read to their ends nobody waits. A partition is asked for more when everything it had is taken, so
it holds one fetch here and one in the consumer. (It is not paused meanwhile: aiokafka throws away what it has fetched
of a paused partition, and fetches it again.)

In a rebalance everything that was not handed out is dropped; it is read again from the committed offsets.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import Final

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import IllegalStateError

from agents.merge import Patience, TimeMerge

log = logging.getLogger(__name__)

#: Records handed out at once: the router makes one commit of offsets for them.
BATCH_RECORDS: Final = 500
#: How long records wait for a partition that is known to have more, in seconds. Kafka Streams waits for its fetch
#: without a bound (KIP-695); here a partition without a leader must not stop the others.
IDLE_SECONDS: Final = 2.0
#: How long one poll waits for records, in milliseconds: while nothing is there, and while records wait for others.
POLL_MS: Final = 1000
HELD_UP_POLL_MS: Final = 50


class Intake(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """One consumer in a group, read by time. Give it to `subscribe` as the listener. `clock` is in seconds."""

    def __init__(self, consumer: AIOKafkaConsumer, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._consumer = consumer
        self._clock = clock
        self._reset()

    def _reset(self) -> None:
        self._merge: TimeMerge[ConsumerRecord] = TimeMerge()
        self._patience = Patience(IDLE_SECONDS)
        self._given_up: set[TopicPartition] = set()
        self._held_up = False
        # The clock of patience: what routing and committing take is nobody's delay.
        self._polled_seconds = 0.0

    def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:  # noqa: ARG002 - always all of them
        """Drop what is not routed: whoever has the partitions next reads from the committed offsets."""
        self._reset()

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Nothing to prepare."""

    async def read(self) -> tuple[list[ConsumerRecord], dict[TopicPartition, int]]:
        """Wait a while for records that are due; returns them by time, and the offsets to commit when they are routed.

        No records are no end. Raises aiokafka's errors.
        """
        await self._poll()
        if not self._merge:
            return [], {}
        ends = {place: self._consumer.highwater(place) for place in self._consumer.assignment()}
        positions = {place: await self._position(place) for place in ends}
        # After a rebalance meanwhile nothing is left to take, so these are the positions of what is taken.
        behind = {place for place, end in ends.items() if _has_more(positions[place], end)}
        records = self._merge.take(BATCH_RECORDS, behind=behind - self._over(behind))
        self._held_up = not records
        return records, self._offsets(positions)

    async def _poll(self) -> None:
        empty = [place for place in self._consumer.assignment() if self._merge.first(place) is None]
        if self._merge and not empty:
            return
        began = self._clock()
        if self._merge:
            wait_ms = HELD_UP_POLL_MS if self._held_up else 0
            batches = await self._consumer.getmany(*empty, timeout_ms=wait_ms, max_records=BATCH_RECORDS)
        else:  # also those that are assigned while this waits
            batches = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=BATCH_RECORDS)
        self._polled_seconds += self._clock() - began
        for place, records in batches.items():
            self._merge.add(place, records)

    async def _position(self, place: TopicPartition) -> int | None:
        """The offset that is read next; None, without waiting, while it is not known."""
        with suppress(TimeoutError, IllegalStateError):
            async with asyncio.timeout(0):
                return await self._consumer.position(place)  # type: ignore[no-any-return]  # see above
        return None

    def _over(self, behind: Collection[TopicPartition]) -> set[TopicPartition]:
        empty = [place for place in behind if self._merge.first(place) is None]
        over = self._patience.over(empty, now=self._polled_seconds)
        for topic, partition in over - self._given_up:
            log.warning("%s/%d has more records, but none comes: the router goes on without it", topic, partition)
        self._given_up = over
        return over

    def _offsets(self, positions: Mapping[TopicPartition, int | None]) -> dict[TopicPartition, int]:
        """Where each partition is to be read on: at its first record that is still here, or at its position."""
        firsts = {place: self._merge.first(place) for place in positions}
        nexts = {place: first.offset if first else positions[place] for place, first in firsts.items()}
        return {place: offset for place, offset in nexts.items() if offset is not None}


def _has_more(position: int | None, end: int | None) -> bool:
    """Whether Kafka has records of a partition that were not read; what is not known yet counts, as in KIP-695."""
    return position is None or end is None or position < end
