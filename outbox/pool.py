"""Pool: connections that are kept open, at most so many, each used by one at a time.

aiopg's own pool connects under the lock that also guards its free connections, so one server that does not answer
keeps everybody from those that do; and it cannot part with connections that are alive but of no use, as to a server
that has become a standby.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiopg
from psycopg2.extensions import TRANSACTION_STATUS_IDLE

from outbox.errors import DatabaseUnavailable


class Pool:
    """At most `size` connections, made by `connect`."""

    def __init__(self, connect: Callable[[], Awaitable[aiopg.Connection]], size: int) -> None:
        self._connect = connect
        self._room = asyncio.Semaphore(size)
        self._free: list[aiopg.Connection] = []
        self._used: set[aiopg.Connection] = set()
        self._closed = False

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[aiopg.Connection]:
        """A connection for the length of the block; one that is left in a transaction or closed is not used again.

        Waits while all are in use. Raises what `connect` raises, or `DatabaseUnavailable`.
        """
        async with self._room:
            connection = self._reuse() or await self._connect()
            self._used.add(connection)
            try:
                if self._closed:
                    raise DatabaseUnavailable("the connections are closed")
                yield connection
            finally:
                self._take_back(connection)

    def renew(self) -> None:
        """Part with every connection there is now: at once, or when its user has done."""
        free, self._free = self._free, []
        for connection in free:
            connection.close()
        self._used.clear()

    def close(self) -> None:
        """Close every connection; statements under way fail."""
        self._closed = True
        used = list(self._used)
        self.renew()
        for connection in used:
            connection.close()

    def _reuse(self) -> aiopg.Connection | None:
        while self._free:
            connection = self._free.pop()
            if not connection.closed:
                return connection
        return None

    def _take_back(self, connection: aiopg.Connection) -> None:
        is_current = connection in self._used
        self._used.discard(connection)
        if is_current and not connection.closed and _is_idle(connection):
            self._free.append(connection)
        else:
            connection.close()


def _is_idle(connection: aiopg.Connection) -> bool:
    return bool(connection.raw.get_transaction_status() == TRANSACTION_STATUS_IDLE)
