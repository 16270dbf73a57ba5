"""Intake: what the router reads, by the time of the records.

While a partition is known to have more in Kafka and has nothing here, the others wait for it, for `IDLE_SECONDS` at
most; while all were read to their ends nobody waits. A partition is asked for more when everything it had is taken, so
it holds one fetch here and one in the consumer. (It is not paused meanwhile: aiokafka throws away what it has fetched
of a paused partition, and fetches it again.)

A topic that cannot be read (no right to) rests: the others go on without it, and it is asked for again every
`REST_SECONDS`. What is held here is bounded by bytes: with more than `HELD_BYTES` nothing is fetched, and nobody waits.

Partitions may be held: nothing more of them is handed out or kept here until they are released.

In a rebalance everything that was not handed out is dropped; it is read again from the committed offsets.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from math import ceil, inf
from typing import Final

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import IllegalStateError, RecordTooLargeError, TopicAuthorizationFailedError

from agents.engine.merge import Patience, TimeMerge
from agents.engine.rests import Rests
from tables.event import Unreadable

log = logging.getLogger(__name__)

#: Records handed out at once: the router makes one commit of offsets for them.
BATCH_RECORDS: Final = 500
#: Bytes handed out at once, if more than one record has them: what is written for them is held as well.
BATCH_BYTES: Final = 4 * 1024 * 1024
#: Bytes held here before nothing more is fetched; one more fetch of each partition may come on top of it.
HELD_BYTES: Final = 32 * 1024 * 1024
#: How long records wait for a partition that is known to have more, in seconds. Kafka Streams waits for its fetch
#: without a bound (KIP-695); here a partition without a leader must not stop the others.
IDLE_SECONDS: Final = 2.0
#: How long one poll waits for records, in milliseconds: while nothing is there, and while records wait for others.
POLL_MS: Final = 1000
HELD_UP_POLL_MS: Final = 50


class Intake(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """One consumer in a group, read by time. Give it to `subscribe` as the listener.

    `clock` counts seconds and does not go back; `wall_clock` is seconds since 1970. `on_fetched` hears how many records
    a fetch brought.
    """

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        on_fetched: Callable[[int], None] = lambda _records: None,
    ) -> None:
        self._consumer = consumer
        self._on_fetched = on_fetched
        self._clock = clock
        self._wall_clock = wall_clock
        self._rests = Rests()
        self._reset()

    def _reset(self) -> None:
        self._merge: TimeMerge[ConsumerRecord] = TimeMerge(size_of)
        self._patience = Patience(IDLE_SECONDS)
        self._given_up: set[TopicPartition] = set()
        self._held_up = False
        # The clock of patience: what routing and committing take is nobody's delay.
        self._polled_seconds = 0.0
        #: From which offset partitions that are held are read on.
        self.held: dict[TopicPartition, int] = {}

    def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:  # noqa: ARG002 - always all of them
        """Drop what is not routed: whoever has the partitions next reads from the committed offsets."""
        self._reset()

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Nothing to prepare."""

    def hold(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Hand out nothing more of these partitions, until they are released and read on from these offsets."""
        for partition, offset in offsets.items():
            with suppress(IllegalStateError):  # it is somebody else's by now
                self._consumer.pause(partition)
                self._consumer.seek(partition, offset)
                self._merge.drop(partition)
                self.held[partition] = offset

    def release(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """Read these held partitions on; returns from where."""
        for partition in partitions:
            with suppress(IllegalStateError):
                self._consumer.resume(partition)
        return {partition: self.held.pop(partition) for partition in partitions}

    async def read(self, *, within_seconds: float = inf) -> tuple[list[ConsumerRecord], dict[TopicPartition, int]]:
        """Wait a while for records that are due; returns them by time, and the offsets to commit when they are routed.

        No records are no end; they are not waited for longer than `within_seconds`. Raises aiokafka's errors.
        """
        await self._poll(min(POLL_MS, ceil(within_seconds * 1000)) if within_seconds < inf else POLL_MS)
        if not self._merge:
            return [], {}
        partitions = self._consumer.assignment()
        resting = self._resting(partitions)
        ends = {partition: self._end(partition) for partition in partitions if partition not in resting}
        positions = {partition: self._position(partition) for partition in ends}
        # After a rebalance meanwhile nothing is left to take, so these are the positions of what is taken.
        behind = {partition for partition, end in ends.items() if _has_more(positions[partition], end)}
        awaited = set() if self._merge.bytes > HELD_BYTES else behind - self._over(behind)
        records = self._merge.take(BATCH_RECORDS, behind=awaited, max_bytes=BATCH_BYTES)
        self._held_up = not records
        return records, self._offsets(positions)

    async def _poll(self, wait_ms: int) -> None:
        await self._ask_again()
        partitions = self._consumer.assignment()
        resting = self._resting(partitions)
        empty = [partition for partition in partitions - resting if self._merge.first(partition) is None]
        if self._merge and (not empty or self._merge.bytes > HELD_BYTES):
            return
        began = self._clock()
        if self._merge:
            await self._fetch(empty, HELD_UP_POLL_MS if self._held_up else 0)
        elif not resting:  # also those that are assigned while this waits
            await self._fetch((), wait_ms)
        elif empty:
            await self._fetch(empty, wait_ms)
        else:
            await asyncio.sleep(wait_ms / 1000)
        self._polled_seconds += self._clock() - began

    async def _ask_again(self) -> None:
        """Have topics fetched that rested long enough: aiokafka holds their errors until somebody has seen them."""
        due = self._rests.due(now=self._clock())
        for partition in self._consumer.assignment():
            if partition.topic in due and partition not in self.held:
                with suppress(TopicAuthorizationFailedError):
                    self._take_in(await self._consumer.getmany(partition, timeout_ms=0, max_records=BATCH_RECORDS))

    async def _fetch(self, partitions: Collection[TopicPartition], wait_ms: int) -> None:
        """Take in what was fetched of these partitions, of all when there are none; one that cannot be read rests."""
        try:
            self._take_in(await self._consumer.getmany(*partitions, timeout_ms=wait_ms, max_records=BATCH_RECORDS))
        except TopicAuthorizationFailedError as error:
            [topic] = error.args
            self._rests.begin(topic, error, now=self._clock())
        except RecordTooLargeError as error:
            _, partition, offset, *_ = error.args
            self._take_in({partition: [_passed_over(partition, offset)]})

    def _take_in(self, batches: Mapping[TopicPartition, Sequence[ConsumerRecord]]) -> None:
        self._on_fetched(sum(map(len, batches.values())))
        now_ms = self._wall_clock() * 1000
        for partition, records in batches.items():
            self._rests.end(partition.topic)
            self._merge.add(partition, records, now_ms=now_ms)

    def _resting(self, partitions: Collection[TopicPartition]) -> set[TopicPartition]:
        topics = self._rests.topics()
        return {partition for partition in partitions if partition.topic in topics or partition in self.held}

    def _end(self, partition: TopicPartition) -> int | None:
        """Where the records that can be read end: open transactions hide what is behind their first record."""
        stable = self._consumer.last_stable_offset(partition)
        end: int | None = self._consumer.highwater(partition)
        return end if end is None or stable is None or stable < 0 else min(end, stable)

    def _position(self, partition: TopicPartition) -> int | None:
        """The offset that is read next; None, without waiting, while it is not known."""
        asking = self._consumer.position(partition)
        try:
            # One step: a task or a time-out for each partition would cost more than all of them know.
            asking.send(None)
        except StopIteration as known:
            return known.value  # type: ignore[no-any-return]  # see above
        except IllegalStateError:
            pass
        finally:
            asking.close()
        return None

    def _over(self, behind: Collection[TopicPartition]) -> set[TopicPartition]:
        empty = [partition for partition in behind if self._merge.first(partition) is None]
        over = self._patience.over(empty, now=self._polled_seconds)
        for topic, partition in over - self._given_up:
            log.warning("%s/%d has more records, but none comes: the router goes on without it", topic, partition)
        self._given_up = over
        return over

    def _offsets(self, positions: Mapping[TopicPartition, int | None]) -> dict[TopicPartition, int]:
        """Where each partition is to be read on: at its first record that is still here, or at its position."""
        firsts = {partition: self._merge.first(partition) for partition in positions}
        nexts = {partition: first.offset if first else positions[partition] for partition, first in firsts.items()}
        return {partition: offset for partition, offset in nexts.items() if offset is not None}


def _passed_over(partition: TopicPartition, offset: int) -> ConsumerRecord:
    """In place of what aiokafka cannot take a whole batch of, and has passed over."""
    value = Unreadable(b"", f"offset {offset} cannot be read: Kafka sends no whole batch")
    return ConsumerRecord(partition.topic, partition.partition, offset, -1, 0, None, value, None, -1, 0, ())


def size_of(record: ConsumerRecord) -> int:
    """Bytes of a record's key, value and headers."""
    headers = sum([len(name) + len(value or b"") for name, value in record.headers])
    return len(record.key or b"") + len(record.value or b"") + headers


def _has_more(position: int | None, end: int | None) -> bool:
    """Whether Kafka has records of a partition that were not read; what is not known yet counts, as in KIP-695."""
    return position is None or end is None or position < end
