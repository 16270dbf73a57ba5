"""Commits: which offsets Kafka is told, and when.

What is routed is noted, and committed together with what follows it within `COMMIT_SECONDS`: a commit for each of many
small batches would cost more than routing them. A crash in between repeats what was noted, as one between writing and
committing always did; copies are recognised by their id. Nothing is noted before Kafka has what was made of it.
Before partitions are given up, and before the router stops, everything noted is committed.
"""

from __future__ import annotations

import logging
import time
from asyncio import timeout
from collections.abc import Callable, Mapping
from math import inf
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import (
    CommitFailedError,
    IllegalGenerationError,
    IllegalStateError,
    KafkaError,
    RebalanceInProgressError,
    TopicAuthorizationFailedError,
)

log = logging.getLogger(__name__)

#: How long an offset may wait for others before it is committed, in seconds (own choice).
COMMIT_SECONDS: Final = 0.25
#: How long the last commit before partitions are given up may take, in seconds: somebody waits for them.
LAST_SECONDS: Final = 2.0


class Commits:
    """The offsets of one consumer. `clock` counts seconds and does not go back."""

    def __init__(self, consumer: AIOKafkaConsumer, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._consumer = consumer
        self._clock = clock
        self._noted: dict[TopicPartition, int] = {}
        self._due_at = inf
        #: What Kafka was told of the partitions since they were assigned.
        self._told: dict[TopicPartition, int] = {}

    @property
    def wait_seconds(self) -> float:
        """How long until a commit is due, 0 or more; `inf` while there is nothing to commit."""
        return max(0.0, self._due_at - self._clock())

    def note(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Commit these soon; what Kafka knows already is no reason to."""
        self._noted |= {partition: at for partition, at in offsets.items() if self._told.get(partition) != at}
        if self._noted:
            self._due_at = min(self._due_at, self._clock() + COMMIT_SECONDS)

    async def commit_due(self) -> None:
        """Commit what was noted if it is time. Raises aiokafka's errors, but those of a rebalance."""
        if self._noted and not self.wait_seconds:
            await self._commit()

    async def give_up(self) -> None:
        """Commit what was noted, if it can be done soon, and forget the partitions: others may have them now."""
        try:
            async with timeout(LAST_SECONDS):
                await self._commit()
        except (KafkaError, OSError, TimeoutError) as error:
            log.info("offsets not committed, the records are routed again: %r", error)
        # Also what was noted while the last commit was under way: a time that is due for nothing would be due for ever.
        self._noted, self._due_at = {}, inf
        self._told.clear()

    async def _commit(self) -> None:
        mine = self._consumer.assignment()
        offsets = {partition: at for partition, at in self._noted.items() if partition in mine}
        self._noted, self._due_at = {}, inf
        if not offsets:
            return
        try:
            await self._consumer.commit(offsets)
        except (CommitFailedError, IllegalGenerationError, IllegalStateError, RebalanceInProgressError) as error:
            # The partitions have a new owner, who reads these records again; their copies are recognised by id.
            log.info("offsets not committed, the records are routed again: %r", error)
        except TopicAuthorizationFailedError as error:
            # The other topics' offsets are committed all the same.
            log.info("offsets of a topic that cannot be read any more are not committed: %r", error)
        else:
            self._told |= offsets
