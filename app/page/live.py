"""Live: what is new, once a second, for every tab that is open: one query for all of them, and none while nobody looks.

A reader that does not keep up is let go: its browser connects again by itself and is told what is then. Nobody's stream
holds up another one, the worker, or its end.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from app.page.security import ALWAYS
from outbox.errors import DatabaseUnavailable, InnervateError

log = logging.getLogger(__name__)

#: Between two queries, in seconds.
EVERY_SECONDS: Final = 1.0
#: Without news something is sent all the same after so many seconds, or proxies close the connection and nobody notices
#: that a reader has gone. Proxies usually wait for a minute.
HEARTBEAT_SECONDS: Final = 10.0
#: Messages that wait for one reader: beyond, it does not keep up.
BUFFERED: Final = 8
#: How long one write to a reader may take, in seconds.
WRITE_SECONDS: Final = 10.0
#: How long a browser waits before it connects again, in milliseconds.
RETRY_MS: Final = 3000

#: How often it is looked whether a reader is still there, in seconds: each one holds a place that others may need.
LOOK_SECONDS: Final = 1.0

_HEARTBEAT: Final = b": still here\n\n"


@dataclass(frozen=True, slots=True)
class Message:
    """An event of the stream; `data` is one line."""

    event: str
    data: str

    def encoded(self) -> bytes:
        """As it goes over the wire."""
        return f"event: {self.event}\ndata: {self.data}\n\n".encode()


#: Asks what is new; its answer is sent when it is not the one before.
Reading = Callable[[], Awaitable[Message]]


class Subscription:
    """What waits for one reader."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[bytes | None] = asyncio.Queue(BUFFERED)
        self.is_over = False

    def offer(self, sent: bytes) -> None:
        """Give it to the reader, or end the stream of one that does not keep up."""
        if self._waiting.full():
            self.end()
        elif not self.is_over:
            self._waiting.put_nowait(sent)

    def end(self) -> None:
        """Nothing comes any more; what waits is not read either."""
        self.is_over = True
        while not self._waiting.empty():
            self._waiting.get_nowait()
        self._waiting.put_nowait(None)

    async def next(self, seconds: float) -> bytes | None:
        """What comes within so many seconds, b"" when nothing does, None at the end."""
        try:
            async with asyncio.timeout(seconds):
                return await self._waiting.get()
        except TimeoutError:
            return b""


class Broadcaster:
    """Asks every second while somebody listens, and tells all who listen."""

    def __init__(self, read: Reading, *, every_seconds: float = EVERY_SECONDS) -> None:
        self._read = read
        self._every_seconds = every_seconds
        self._readers: set[Subscription] = set()
        self._last: bytes | None = None
        self._asking: asyncio.Task[None] | None = None
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._readers)

    @property
    def is_asking(self) -> bool:
        """Whether somebody listens, so that it asks."""
        return self._asking is not None and not self._asking.done()

    @asynccontextmanager
    async def subscribed(self) -> AsyncIterator[Subscription]:
        """Listen; what is known already comes at once."""
        reader = Subscription()
        if self._is_closed:
            reader.end()
        else:
            self._add(reader)
        try:
            yield reader
        finally:
            self._readers.discard(reader)
            if not self._readers:
                await self._stop()

    async def close(self) -> None:
        """End every stream, now and from now on."""
        self._is_closed = True
        for reader in self._readers:
            reader.end()
        await self._stop()

    def _add(self, reader: Subscription) -> None:
        self._readers.add(reader)
        if not self.is_asking:
            self._last = None
            self._asking = asyncio.create_task(self._ask(), name="live page")
        elif self._last is not None:
            reader.offer(self._last)

    async def _ask(self) -> None:
        while True:
            sent = (await self._message()).encoded()
            if sent != self._last:
                self._last = sent
                for reader in tuple(self._readers):
                    reader.offer(sent)
            await asyncio.sleep(self._every_seconds)

    async def _message(self) -> Message:
        try:
            return await self._read()
        except DatabaseUnavailable:
            return Message("away", "{}")
        except InnervateError as error:
            log.warning("the live page cannot be told what is new: %s", error)
            return Message("away", "{}")

    async def _stop(self) -> None:
        asking, self._asking = self._asking, None
        if asking is not None:
            asking.cancel()
            with suppress(asyncio.CancelledError):
                await asking


async def stream(broadcaster: Broadcaster, request: web.Request) -> web.StreamResponse:
    """Server-sent events until the browser goes, does not keep up, or the worker stops."""
    response = web.StreamResponse(
        headers={
            **ALWAYS,
            "Content-Type": "text/event-stream; charset=utf-8",
            "Cache-Control": "no-store",
            # Proxies keep nothing back.
            "X-Accel-Buffering": "no",
        }
    )
    async with broadcaster.subscribed() as reader:
        with suppress(ConnectionError):
            await response.prepare(request)
            await _send(response, f"retry: {RETRY_MS}\n\n".encode())
            await _relay(reader, response, request)
    return response


async def _relay(reader: Subscription, response: web.StreamResponse, request: web.Request) -> None:
    quiet_seconds = 0.0
    while (news := await reader.next(LOOK_SECONDS)) is not None:
        if request.transport is None or request.transport.is_closing():
            return
        quiet_seconds = 0.0 if news else quiet_seconds + LOOK_SECONDS
        if quiet_seconds >= HEARTBEAT_SECONDS:
            news, quiet_seconds = _HEARTBEAT, 0.0
        if news:
            await _send(response, news)


async def _send(response: web.StreamResponse, sent: bytes) -> None:
    """Write to the reader. Raises `ConnectionError` when it is gone, or does not take it."""
    try:
        async with asyncio.timeout(WRITE_SECONDS):
            await response.write(sent)
    except TimeoutError as error:
        raise ConnectionResetError("the reader takes nothing") from error
