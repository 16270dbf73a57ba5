"""Consumer: Faust's, but for the moment when a recovery is over and the streams go on.

Faust 0.15.3 lets the streams' partitions be fetched before it has sought them to their committed offsets, and does not
seek those that have none. What is fetched in between may be dropped: then later events are folded before earlier ones
(a window without them), or, without a committed offset, the earlier ones never come at all. Here the order is: seek
every partition, then let it be fetched.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from faust.transport.drivers import aiokafka
from faust.types import TP


class Consumer(aiokafka.Consumer):
    """Seeks before it resumes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._to_resume: set[TP] = set()

    def resume_partitions(self, tps: Iterable[TP]) -> None:
        """Resume changelogs at once, and the streams' partitions when they have been sought."""
        self._to_resume = {tp for tp in tps if self.app.topics.acks_enabled_for(tp.topic)}
        super().resume_partitions(set(tps) - self._to_resume)

    async def perform_seek(self) -> None:
        """Go to the committed offsets, or to the earliest ones where none was committed, and fetch from there."""
        await super().perform_seek()
        resuming, self._to_resume = self._to_resume & self.assignment(), set()
        super().resume_partitions(resuming)

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Seek every partition of a stream; returns the committed offsets."""
        committed = await super().seek_to_committed()
        fresh = [tp for tp, offset in committed.items() if not offset and self.app.topics.acks_enabled_for(tp.topic)]
        if fresh:
            await self.seek_wait(await self.earliest_offsets(*fresh))
        return committed


class Transport(aiokafka.Transport):
    """Faust's, with our consumer."""

    Consumer = Consumer
