"""Proxy: stands between the workers and PostgreSQL and does to their connections what networks do.

It passes bytes until it is told otherwise: cut every connection, delay every byte, refuse new connections, or swallow
the answer of the next commit, so that a worker cannot know whether its decisions were written. Synchronous outside; its
event loop runs in a thread of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from app.sandbox.process import LOOPBACK, free_port

#: The statement whose commit matters: it may stand anywhere in a message, so the end of the last chunk is kept.
DECISIONS = b"INSERT INTO decisions"
#: ReadyForQuery, outside a transaction: what came before is committed.
#: https://www.postgresql.org/docs/current/protocol-message-formats.html
COMMITTED = b"Z\x00\x00\x00\x05I"

_CALL_SECONDS = 120.0
_CHUNK_BYTES = 64 * 1024


@dataclass(eq=False)
class _Connection:
    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    tail: bytes = b""
    #: What the server said since the decisions were sent; None while nothing is held back.
    held: bytearray | None = field(default=None)

    def abort(self) -> None:
        for writer in (self.client, self.server):
            writer.transport.abort()


class Proxy:
    """A TCP proxy on a free loopback port, as a context manager."""

    def __init__(self, target_port: int) -> None:
        self.port = free_port()
        #: How many commits were swallowed so far.
        self.swallowed = 0
        self._target_port = target_port
        self._delay_seconds = 0.0
        self._swallow = 0
        self._connections: set[_Connection] = set()
        self._handlers: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self.accept()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.refuse()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_CALL_SECONDS)
        assert not self._thread.is_alive(), f"the proxy's loop did not end in {_CALL_SECONDS:.0f} s"
        self._loop.close()

    def heal(self) -> None:
        """Pass everything on, at once."""
        self._delay_seconds = 0.0
        self._swallow = 0
        self.accept()

    def cut(self) -> None:
        """Reset every connection; new ones are welcome."""
        self._run(self._cut)

    def delay(self, seconds: float) -> None:
        """Hold every chunk back for so long, in both directions."""
        self._delay_seconds = seconds

    def swallow_next_commit(self) -> None:
        """Let the next decisions be committed, keep the answer, and reset that connection."""
        self._swallow += 1

    def refuse(self) -> None:
        """Stop listening and reset every connection, as if the host were gone."""
        self._run(self._refuse)

    def accept(self) -> None:
        """Listen; nothing to do when it does."""
        self._run(self._accept)

    def _run(self, what: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            asyncio.run_coroutine_threadsafe(what(), self._loop).result(_CALL_SECONDS)
        except TimeoutError as error:
            raise AssertionError(f"{what.__qualname__} took longer than {_CALL_SECONDS:.0f} s") from error

    async def _accept(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._welcome, LOOPBACK, self.port)

    def _welcome(self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        handler = self._loop.create_task(self._serve(from_client, to_client))
        self._handlers.add(handler)
        handler.add_done_callback(self._handlers.discard)

    async def _refuse(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
        await self._cut()
        # Every handler ends with its connection; none may be left when the loop stops.
        await asyncio.gather(*self._handlers)

    async def _cut(self) -> None:
        for connection in list(self._connections):
            connection.abort()

    async def _serve(self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        try:
            from_server, to_server = await asyncio.open_connection(LOOPBACK, self._target_port)
        except OSError:
            to_client.transport.abort()
            return
        connection = _Connection(to_client, to_server)
        self._connections.add(connection)
        try:
            await asyncio.gather(self._forward(from_client, connection), self._answer(from_server, connection))
        finally:
            connection.abort()
            self._connections.discard(connection)

    async def _forward(self, reader: asyncio.StreamReader, connection: _Connection) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(_CHUNK_BYTES):
                await self._dawdle()
                if self._swallow and DECISIONS in connection.tail + chunk:
                    self._swallow -= 1
                    connection.held = bytearray()
                connection.tail = chunk[-len(DECISIONS) :]
                connection.server.write(chunk)
                await connection.server.drain()
        connection.abort()

    async def _answer(self, reader: asyncio.StreamReader, connection: _Connection) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(_CHUNK_BYTES):
                await self._dawdle()
                if connection.held is not None:
                    connection.held += chunk
                    if connection.held.endswith(COMMITTED):
                        self.swallowed += 1
                        break
                    # A transaction of several statements has to be answered until its end.
                    if connection.held[-6:-1] != COMMITTED[:-1]:
                        continue
                    chunk = bytes(connection.held)
                    connection.held.clear()
                connection.client.write(chunk)
                await connection.client.drain()
        connection.abort()

    async def _dawdle(self) -> None:
        if self._delay_seconds:
            await asyncio.sleep(self._delay_seconds)
