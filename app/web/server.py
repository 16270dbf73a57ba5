"""The web server of a worker: Faust's, on sockets of our own.

Faust's command line changes the address after the settings were checked, and aiohttp's sites accept without end. Here
the sockets are bound first and judged: one that more than this machine can reach needs something to show, or the worker
does not start. Connections are accepted up to a limit; where accepting fails (no files left) it is said once a minute
and tried again, ten times a second.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Sequence
from typing import Any, ClassVar, Final

import faust
from aiohttp import http_exceptions, web
from faust.web.drivers.aiohttp import Web

from app.web.addresses import close, is_private, listen, listen_at_path
from app.web.connections import Connections
from app.web.headers import add_headers

log = logging.getLogger(__name__)

#: How often overdue connections are looked for, in seconds.
SWEEP_SECONDS: Final = 1.0
#: Between two attempts while nothing can be accepted, in seconds.
RETRY_SECONDS: Final = 0.1
#: How often it is said that nothing can be accepted, in seconds.
SAID_AGAIN_SECONDS: Final = 60.0
#: For requests under way when the worker stops, in seconds.
SHUTDOWN_SECONDS: Final = 5.0
#: For what is left of a body nobody wants, in seconds, so that its client reads the answer.
LINGERING_SECONDS: Final = 2.0
#: What aiohttp raises when a client sends no HTTP, or another body than its headers say.
_OF_CLIENTS: Final = (http_exceptions.HttpProcessingError, web.RequestPayloadError)
#: Header fields of a request. Each may have aiohttp's 8,190 bytes.
MAX_HEADERS: Final = 64


class WebServer(Web):
    """Faust's web server with the worker's limits; where nobody has a token it listens on loopback alone."""

    #: Faust's own page at `/`: the app has one.
    production_blueprints: ClassVar[list[tuple[str, str]]] = []

    def __init__(self, app: faust.App, connections: Connections, *, is_guarded: bool, **kwargs: Any) -> None:
        super().__init__(app, **kwargs)
        self.web_app.on_response_prepare.append(add_headers)
        self._connections = connections
        self._is_guarded = is_guarded
        self._sockets: Sequence[socket.socket] = ()
        self._accepting: list[asyncio.Future[None]] = []
        self._said_at = -SAID_AGAIN_SECONDS
        self._runner = web.AppRunner(
            self.web_app,
            access_log=None,
            logger=_protocol_log(),
            keepalive_timeout=self._connections.limits.waiting_seconds,
            lingering_time=LINGERING_SECONDS,
            # A small body may be unpacked to a large one.
            auto_decompress=False,
            max_headers=MAX_HEADERS,
            shutdown_timeout=SHUTDOWN_SECONDS,
        )

    async def bind(self) -> None:
        """Listen where Faust was told to; raises `SystemExit` with one line when that is not possible or not safe."""
        conf = self.app.conf
        is_unix = conf.web_transport.scheme == "unix"
        where = conf.web_transport.path if is_unix else f"{conf.web_bind}:{conf.web_port}"
        try:
            self._sockets = [listen_at_path(where)] if is_unix else await listen(conf.web_bind, conf.web_port)
        except (OSError, UnicodeError) as error:
            raise SystemExit(f"innervate: the HTTP interface cannot listen on {where}: {error}") from error
        names = [each.getsockname() for each in self._sockets]
        self._connections.is_private = all(map(is_private, names))
        if not self._connections.is_private and not self._is_guarded:
            close(self._sockets)
            bound = ", ".join(str(name[0] if isinstance(name, tuple) else name) for name in names)
            raise SystemExit(
                f"innervate: the HTTP interface would listen on {bound}, which is not loopback: set API_TOKEN or"
                " API_TOKENS, or everybody can read the windows"
            )

    async def start_server(self) -> None:
        """Serve on what was bound."""
        await self._runner.setup()
        tasks = [*map(self._accept, self._sockets), self._sweep()]
        # What a service's future raises stops the worker.
        self._accepting = [self.add_future(task) for task in tasks]

    async def stop_server(self) -> None:
        """Accept nothing more, then finish what is under way."""
        for task in self._accepting:
            task.cancel()
        await asyncio.gather(*self._accepting, return_exceptions=True)
        close(self._sockets)
        await super().stop_server()

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, _ = await loop.sock_accept(listening)
                await self._serve(accepted)
            except OSError as error:
                self._say(error)
                # Where files are missing, a connection that waits gives one back at once.
                await asyncio.sleep(0 if self._connections.make_room() else RETRY_SECONDS)

    async def _serve(self, accepted: socket.socket) -> None:
        server = self._runner.server
        assert server is not None, "it is there from the start to the stop"
        try:
            while self._connections.are_at_limit and not self._connections.make_room():  # noqa: ASYNC110
                await asyncio.sleep(RETRY_SECONDS)  # until any request of any connection is done
            transport, protocol = await asyncio.get_running_loop().connect_accepted_socket(server, accepted)
        except BaseException:
            accepted.close()
            raise
        self._connections.add(protocol, transport)

    def _say(self, error: OSError) -> None:
        now = time.monotonic()
        if now - self._said_at >= SAID_AGAIN_SECONDS:
            self._said_at = now
            log.error(
                "the HTTP interface cannot accept connections, of which it has %d: %s", len(self._connections), error
            )

    async def _sweep(self) -> None:
        while True:
            self._connections.close_overdue()
            await asyncio.sleep(SWEEP_SECONDS)


def _protocol_log() -> logging.Logger:
    """What aiohttp logs, but for requests that are no HTTP: their clients read why, and anybody can send any number."""
    protocol = logging.getLogger(f"{__name__}.protocol")
    protocol.addFilter(_is_our_fault)
    return protocol


def _is_our_fault(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], _OF_CLIENTS))
