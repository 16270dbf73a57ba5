"""Timelines: writes routed events, and keeps what waits because Kafka takes nothing for its timeline.

What waits holds up the partition it was read from, and what comes after it in its timeline; other partitions go on. It
is kept in memory in the order it was read, a batch of each partition at most, and was never committed: after a crash it
is read again. A broker that is away is another matter: nobody could go on, so it is waited for.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aiokafka import ConsumerRecord, TopicPartition

from outbox.outcomes import NotPublished, Refused, Unwritable
from outbox.pauses import Pauses, Waiting
from outbox.publisher import Publisher
from outbox.records import Message

log = logging.getLogger(__name__)

#: The longest pause between attempts to write to a timeline, in seconds.
CAP_SECONDS: Final = 5.0
#: Pauses are counted by lane, and there are none here.
_LANE: Final = 0


@dataclass(frozen=True, slots=True)
class Routed:
    """A message for a timeline, and the record it was made of."""

    record: ConsumerRecord
    message: Message

    @property
    def partition(self) -> TopicPartition:
        """The partition it was read from."""
        return TopicPartition(self.record.topic, self.record.partition)


#: What Kafka refuses for good.
Refusals = list[tuple[Routed, Refused]]


class Timelines:
    """Writes to the timelines through a publisher."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._pauses = Pauses(cap_seconds=CAP_SECONDS)
        self._kept: list[Routed] = []

    @property
    def waiting(self) -> Mapping[str, Waiting]:
        """The timelines that Kafka does not take events for now, and why."""
        return self._pauses.waiting

    @property
    def held_up(self) -> Collection[TopicPartition]:
        """The partitions that were read further than what is written."""
        return {one.partition for one in self._kept}

    def keep_only(self, partitions: Collection[TopicPartition]) -> None:
        """Drop what was read from all other partitions: it is read again, by whoever has them now."""
        self._kept = [one for one in self._kept if one.partition in partitions]

    async def write(self, routed: Sequence[Routed]) -> Refusals:
        """Write until Kafka has everything it will take; what it takes nothing for is kept."""
        behind = {one.message.topic for one in self._kept}
        refusals, left = await self._publish([one for one in routed if one.message.topic not in behind])
        waits = set(map(id, left))
        self._kept += [one for one in routed if one.message.topic in behind or id(one) in waits]
        return refusals

    async def write_kept(self) -> Refusals:
        """Try again what was kept, as far as it is time."""
        resting = {topic for _, topic in self._pauses.held_up([_LANE])}
        kept = self._kept
        refusals, left = await self._publish([one for one in kept if one.message.topic not in resting])
        waits = set(map(id, left))
        self._kept = [one for one in kept if one.message.topic in resting or id(one) in waits]
        self._pauses.forget({(_LANE, one.message.topic) for one in self._kept})
        return refusals

    async def _publish(self, routed: Sequence[Routed]) -> tuple[Refusals, list[Routed]]:
        """What is refused, and what Kafka takes nothing for."""
        refusals: Refusals = []
        left: list[Routed] = []
        waiting = list(routed)
        while waiting:
            outcomes = await self._publisher.publish([one.message for one in waiting])
            settled = list(zip(waiting, outcomes, strict=True))
            refusals += [(one, outcome) for one, outcome in settled if isinstance(outcome, Refused)]
            left += [one for one, outcome in settled if isinstance(outcome, Unwritable)]
            waiting = [one for one, outcome in settled if type(outcome) is NotPublished]
            seconds = self._pauses.note(_LANE, [(one.message.topic, outcome) for one, outcome in settled])
            for topic, waits in self.waiting.items() if seconds is not None else ():
                log.warning("%s waits for Kafka: %s", topic, waits.reason, extra={"topic": topic})
            if waiting:
                await asyncio.sleep(seconds or 0.0)
        return refusals, left
