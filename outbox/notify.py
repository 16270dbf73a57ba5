"""Notifications: tell the workers that hold other lanes that something was committed for them.

A hint, never a promise: what nobody announces is found by the relay's timer. Announcements are gathered and sent off
the write path, because one NOTIFY per transaction halves what PostgreSQL commits (hazards: 7,244/s without, 2,679/s
with one each).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

import psycopg2

from outbox.backoff import Backoff
from outbox.database import Database, queries
from outbox.errors import DatabaseUnavailable
from outbox.session import SILENT_SECONDS, connect
from outbox.supervision import Supervisor

log = logging.getLogger(__name__)

_SQL: Final = queries("notify.sql")

#: The shortest time between two notifications of one worker, in seconds.
GATHER_SECONDS: Final = 0.05


class Notifications:
    """Sends and receives hints; `on_hint` is called for each one received, one's own included."""

    def __init__(self, database: Database, dsn: str, *, on_hint: Callable[[], None]) -> None:
        self._database = database
        self._dsn = dsn
        self._on_hint = on_hint
        self._due = asyncio.Event()
        #: What runs in the background, for readiness.
        self.background = Supervisor()

    def start(self) -> None:
        """Begin to listen and to send. The event loop must be running."""
        self.background.start("outbox listener", self._listen_for_ever)
        self.background.start("outbox announcer", self._send_for_ever)

    async def stop(self) -> None:
        """Stop both."""
        await self.background.stop()

    def announce(self) -> None:
        """Say that something was committed for other workers. Cheap."""
        self._due.set()

    async def _send_for_ever(self) -> None:
        while True:
            await self._due.wait()
            self._due.clear()
            try:
                await self._database.run(_SQL["notify"])
            except DatabaseUnavailable as error:
                log.info("no notification, the timer will find what is pending: %s", error)
            await asyncio.sleep(GATHER_SECONDS)

    async def _listen_for_ever(self) -> None:
        backoff = Backoff()
        while True:
            try:
                await self._listen(backoff)
            except (DatabaseUnavailable, psycopg2.Error, OSError, TimeoutError) as error:
                log.info("notifications are interrupted: %s", " ".join(str(error).split()))
            await backoff.wait()

    async def _listen(self, backoff: Backoff) -> None:
        async with (
            await connect(self._dsn, timeout_seconds=SILENT_SECONDS) as connection,
            connection.cursor() as cursor,
        ):
            await cursor.execute(_SQL["listen"])
            backoff.reset()
            self._on_hint()
            while True:
                await connection.notifies.get()
                self._on_hint()
