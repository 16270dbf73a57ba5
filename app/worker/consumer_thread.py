"""Consumer thread: where Faust fetches and commits, but for what must not be read and what must not end a worker.

It reads committed events only, while the ends it tells are those of all records, and it commits only to topics that may
be read.
"""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, Protocol, cast

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import TopicAuthorizationFailedError
from faust.transport.drivers import aiokafka
from faust.types import TP

from agents.engine.fetching import COMMITTED_ONLY

#: Kafka's number for reading what is in open and aborted transactions too.
_READ_UNCOMMITTED: Final = 0
#: The most bytes of one fetch, of all partitions of a broker together: what is in memory at once, and what streams may
#: have to wait for while their worker catches up as a standby, some 150 ms. To take less than was fetched is no way:
#: aiokafka fetches nothing more while a partition has something left.
_FETCH_BYTES: Final = 8 * 1024 * 1024


class Committing(Protocol):
    """What this thread asks its consumer about commits."""

    def committable(self, offsets: Mapping[TP, int]) -> Mapping[TP, int]:
        """Those of topics that may be read, and what was left out before."""

    def leave_out(self, offsets: Mapping[TP, int]) -> None:
        """Commit these with the next ones."""


class ConsumerThread(aiokafka.AIOKafkaConsumerThread):
    """Faust's, reading committed events only, and committing only to topics that may be read."""

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        return await super()._commit(cast("Committing", self.consumer).committable(offsets))

    def _create_worker_consumer(self, transport: Any) -> AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        # Faust has the first in its exactly-once mode only, and no settings for them. They are read when it starts.
        consumer._fetch_max_bytes = _FETCH_BYTES  # noqa: SLF001
        consumer._isolation_level = COMMITTED_ONLY["isolation_level"]  # noqa: SLF001
        consumer.commit = partial(self._commit_what_may_be, consumer.commit)
        return consumer

    async def _commit_what_may_be(
        self, commit: Callable[[Mapping[TP, Any]], Awaitable[None]], offsets: Mapping[TP, Any]
    ) -> None:
        """Faust would end the worker when a right was taken and no fetch has failed yet, and when nothing is left.

        Nothing is left when all of it is of topics that may not be read, or of partitions that are assigned no more.
        """
        if not offsets:
            return
        try:
            await commit(offsets)
        except TopicAuthorizationFailedError as error:
            # The other topics' offsets are committed all the same.
            [denied] = error.args
            left = {TP(*tp): at.offset for tp, at in offsets.items() if tp.topic in denied}
            cast("Committing", self.consumer).leave_out(left)

    async def _highwaters(self, partitions: Sequence[TP]) -> Mapping[TP, int]:
        """The ends of all records: what an open transaction hides is there, and a window without it is not complete."""
        consumer = self._ensure_consumer()
        # aiokafka gives the ends of what its consumer reads.
        everything = copy.copy(consumer._fetcher)  # noqa: SLF001
        everything._isolation_level = _READ_UNCOMMITTED  # noqa: SLF001
        ends: Mapping[TP, int] = await everything.end_offsets(partitions, consumer._request_timeout_ms)  # noqa: SLF001
        return ends
