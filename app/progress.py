"""Progress: notices when the commits of a partition stop while there is something to read.

Asks the broker for the group's committed offsets and the ends of the timelines, past everything of Faust: a worker can
go silent while it lives, and then its own numbers stand still as well.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

log = logging.getLogger(__name__)

#: How often the broker is asked, in seconds.
INTERVAL_SECONDS: Final = 10.0

Place = tuple[str, int]


@dataclass(frozen=True, slots=True)
class _Seen:
    committed: int
    #: Since when the committed offset is the same, or nothing was left to read; by the monotonic clock.
    since: float


class Progress:
    """What was seen of each partition. `now` is always the monotonic clock, in seconds."""

    def __init__(self) -> None:
        self._seen: dict[Place, _Seen] = {}

    def observe(self, offsets: Mapping[Place, tuple[int, int]], now: float) -> None:
        """Take in (committed, end) of each partition; without a commit, committed is the first offset there is."""
        for place, (committed, end) in offsets.items():
            before = self._seen.get(place)
            if before is None or before.committed != committed or committed >= end:
                self._seen[place] = _Seen(committed, now)

    def forget_others(self, places: Collection[Place]) -> None:
        """Keep only these partitions: one that comes back begins anew."""
        self._seen = {place: seen for place, seen in self._seen.items() if place in places}

    def stuck_seconds(self, now: float) -> Mapping[Place, float]:
        """How long each partition with something to read has not moved."""
        return {place: now - seen.since for place, seen in self._seen.items()}


class ProgressProbe:
    """Keeps a `Progress` up to date for the partitions this worker has. `client` are aiokafka's options."""

    def __init__(self, *, group: str, client: Mapping[str, Any]) -> None:
        self.progress = Progress()
        self._group = group
        self._client = client

    async def run(self, assigned: Callable[[], Collection[Place]]) -> None:
        """Ask for ever; `assigned()` gives the partitions of timelines this worker has now."""
        while True:
            places = sorted(assigned())
            self.progress.forget_others(places)
            try:
                if places:
                    self.progress.observe(await self._offsets(places), time.monotonic())
            except (KafkaError, OSError) as error:
                # A broker that does not answer shows as partitions that do not move.
                log.info("the offsets are not known: %r", error)
            await asyncio.sleep(INTERVAL_SECONDS)

    async def _offsets(self, places: Sequence[Place]) -> Mapping[Place, tuple[int, int]]:
        partitions = [TopicPartition(*place) for place in places]
        admin = AIOKafkaAdminClient(**self._client)
        consumer = AIOKafkaConsumer(**self._client)
        try:
            await admin.start()
            await consumer.start()
            committed = await admin.list_consumer_group_offsets(self._group, partitions=partitions)
            begins = await consumer.beginning_offsets(partitions)
            ends = await consumer.end_offsets(partitions)
        finally:
            await admin.close()
            await consumer.stop()
        # While the group's coordinator loads, after a restart of its broker, aiokafka leaves the offsets out.
        return {
            (place.topic, place.partition): (max(committed[place].offset, begins[place]), ends[place])
            for place in partitions
            if place in committed
        }
