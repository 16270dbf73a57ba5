"""Consumer: Faust's, but for the moment when a recovery is over and the streams go on.

Faust 0.15.3 may read and drop records of the streams while the windows are recovered, lets their partitions be fetched
before it has sought them to their committed offsets, and does not seek those that have none. Then later events are
folded before earlier ones (a window without them), or, without a committed offset, the earlier ones never come at all.
Here nothing is fetched that is not asked for, and the order is: seek every partition, then let it be fetched.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from faust.transport.consumer import RecordMap
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

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> RecordMap:  # noqa: ASYNC109 - Faust's
        """Fetch from the partitions that are active now.

        Faust hands its own set to another thread and goes on changing it. While that is empty, after a recovery and
        before the streams' turn, aiokafka takes it for "every partition": their records are read, the position moves
        on, and Faust drops what was not asked for.
        """
        return await super()._getmany(None if active_partitions is None else set(active_partitions), timeout)

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
