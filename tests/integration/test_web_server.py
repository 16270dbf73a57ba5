"""The web server of a worker under its real clients: raw sockets, without Kafka and PostgreSQL."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from faust.web import Request, Response, View
from yarl import URL

from app.composition import create_app
from app.sandbox.process import free_port
from app.settings import Settings
from app.web.connections import Limits
from app.web.server import WebServer
from app.worker.application import Innervate

LIVE = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
POST = b"POST /outbox/dead/1/redrive HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
AGENTS = LIVE.replace(b"/health/live", b"/agents")
#: Longer than anything here takes on a slow machine.
LONG_SECONDS = 60.0


def worker(directory: Path, limits: Limits | None = None, **settings: Any) -> Innervate:
    app = create_app(
        Settings(
            _env_file=None,
            kafka_broker="127.0.0.1:1",
            database_url="postgresql://127.0.0.1:1/nowhere",
            datadir=directory,
            web_port=free_port(),
            **settings,
        )
    )
    if limits is not None:
        app.connections.limits = limits
    return app


@asynccontextmanager
async def serving(app: Innervate) -> AsyncIterator[int]:
    """The web server of a worker that is not started, and its port."""
    web = app.web
    assert isinstance(web, WebServer)
    await web.wsgi()
    await web.bind()
    await web.start_server()
    try:
        yield app.settings.web_port
    finally:
        await web.stop_server()


async def answer(port: int, request: bytes) -> bytes:
    """Everything that comes back until the connection ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(LONG_SECONDS):
            writer.write(request)
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def status(port: int, request: bytes) -> int:
    return int((await answer(port, request)).split(b" ", 2)[1])


def request(head: bytes, *fields: bytes, host: bytes = b"localhost", body: bytes = b"") -> bytes:
    return b"\r\n".join([head, b"Host: " + host, b"Connection: close", *fields, b"", body])


def get(path: bytes, *fields: bytes, host: bytes = b"localhost") -> bytes:
    return request(b"GET " + path + b" HTTP/1.1", *fields, host=host)


def post(*fields: bytes, body: bytes = b"", path: bytes = b"/outbox/dead/1/redrive") -> bytes:
    return request(b"POST " + path + b" HTTP/1.1", b"Content-Type: application/json", *fields, body=body)


REFUSED: dict[str, tuple[bytes, int]] = {
    "token that is no utf-8": (post(b"Authorization: Bearer \xff", b"Content-Length: 0"), 401),
    "line break in a name": (get(b"/agents/fraud%0d%0aSet-Cookie:x/windows/c-1"), 400),
    "line break in an id": (get(b"/agents/fraud/windows/c%0A1"), 400),
    "nul in an id": (get(b"/agents/fraud/windows/c%001"), 400),
    "raw nul in an id": (get(b"/agents/fraud/windows/c\x001"), 400),
    "raw escape in an id": (get(b"/agents/fraud/windows/c\x1b1"), 400),
    "escape in an id": (get(b"/agents/fraud/windows/c%1b1"), 400),
    "delete in an id": (get(b"/agents/fraud/windows/c%7f1"), 400),
    "next line in an id": (get(b"/agents/fraud/windows/c%C2%851"), 400),
    "line break in a value": (get(b"/decisions?agent=a%0Db"), 400),
    "nul in a value": (get(b"/decisions?agent=%00"), 400),
    "line break in a parameter": (get(b"/decisions?%0a=1"), 400),
    "name that is no utf-8": (get(b"/agents/%ff/windows/%ff"), 404),
    "surrogate in a name": (get(b"/agents/%ed%a0%80/windows/c"), 404),
    "line separator in a name": (get("/agents/a\u2028/windows/c".encode().replace(b"\xe2\x80\xa8", b"%E2%80%A8")), 404),
    "unknown parameter": (get(b"/decisions?agnet=fraud"), 400),
    "no host": (b"GET /agents HTTP/1.1\r\nConnection: close\r\n\r\n", 400),
    "empty host": (get(b"/agents", host=b""), 400),
    "two hosts": (get(b"/agents", b"Host: localhost"), 400),
    "two hosts in one": (get(b"/agents", host=b"localhost, localhost"), 400),
    "user in the host": (get(b"/agents", host=b"ada@localhost"), 400),
    "path in the host": (get(b"/agents", host=b"localhost/"), 400),
    "space in the host": (get(b"/agents", host=b"local host"), 400),
    "control in the host": (get(b"/agents", host=b"local\x01host"), 400),
    "host that is no utf-8": (get(b"/agents", host=b"\xff"), 400),
    "host without its bracket": (get(b"/agents", host=b"[::1"), 400),
    "host with a zone": (get(b"/agents", host=b"[fe80::1%25eth0]"), 400),
    "long host": (get(b"/agents", host=b"x" * 256), 400),
    "port that is none": (get(b"/agents", host=b"localhost:http"), 400),
    "port that is too large": (get(b"/agents", host=b"localhost:65536"), 400),
    "port below nothing": (get(b"/agents", host=b"localhost:-1"), 400),
    "another name": (get(b"/agents", host=b"evil.example"), 403),
    "whole address that is broken": (get(b"http://[::bad/agents"), 400),
    "no http": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    "no method": (request(b"BREW /agents HTTP/1.1"), 400),
    "method that is not there": (request(b"OPTIONS /agents HTTP/1.1"), 405),
    "everything": (request(b"OPTIONS * HTTP/1.1"), 404),
    "head of what is changed": (request(b"HEAD /outbox/dead/1/redrive HTTP/1.1"), 405),
    "long field": (get(b"/agents", b"X: " + b"a" * 9000), 400),
    "long line": (get(b"/agents?" + b"a" * 9000), 400),
    "many fields": (get(b"/agents", *(b"X%d: a" % number for number in range(200))), 400),
    "folded field": (get(b"/agents", b" X: a"), 400),
    "length below nothing": (post(b"Content-Length: -1"), 400),
    "two lengths": (post(b"Content-Length: 1", b"Content-Length: 2", body=b"ab"), 400),
    "length and chunks": (post(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"), 400),
    "broken chunks": (post(b"Transfer-Encoding: chunked", body=b"zz\r\n"), 400),
    "large body": (post(b"Content-Length: 100000", body=b"x" * 100_000), 413),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_no_proper_request_is_refused_and_leaves_no_traceback(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sent, expected = REFUSED[name]
    token = "let-me-in" if name == "token that is no utf-8" else None
    async with serving(worker(tmp_path, api_token=token)) as port:
        assert await status(port, sent) == expected
        assert await status(port, LIVE) == 200
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_a_connection_may_be_used_again_and_http_1_0_needs_no_host(tmp_path: Path) -> None:
    async with serving(worker(tmp_path)) as port:
        twice = await answer(port, LIVE.replace(b"Connection: close\r\n", b"") + LIVE)
        assert twice.count(b'{"status":"live"}') == 2
        assert await status(port, b"GET /health/live HTTP/1.0\r\n\r\n") == 200
        assert (await answer(port, request(b"HEAD /agents HTTP/1.1"))).endswith(b"\r\n\r\n")


@pytest.mark.parametrize("bind", ["0.0.0.0", "", "0"])
async def test_without_a_token_nothing_is_listened_on_but_loopback(
    bind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app = worker(tmp_path)
    # As Faust's command line does, after the settings were read.
    app.conf.web_bind = bind
    with pytest.raises(SystemExit) as stopped:
        async with serving(app):
            pass
    line = str(stopped.value)
    assert line.startswith("innervate: the HTTP interface would listen on 0.0.0.0")
    assert "set API_TOKEN" in line
    assert "\n" not in line
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", app.settings.web_port)) != 0


async def test_a_unix_socket_needs_a_token_too(tmp_path: Path) -> None:
    path = tmp_path / "http"
    app = worker(tmp_path)
    app.conf.web_transport = URL(f"unix://{path}")
    with pytest.raises(SystemExit, match="set API_TOKEN"):
        async with serving(app):
            pass

    app = worker(tmp_path, api_token="let-me-in")
    app.conf.web_transport = URL(f"unix://{path}")
    async with serving(app):
        for sent, expected in (
            (AGENTS, b"401"),
            (LIVE, b"200"),
            (get(b"/agents", b"Authorization: Bearer let-me-in"), b"200"),
        ):
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(sent)
            assert (await reader.read()).split(b" ")[1] == expected
            writer.close()


@pytest.mark.parametrize("host", [b"localhost", b"127.0.0.1", b"[::1]"])
async def test_off_loopback_no_host_opens_anything_without_the_token(host: bytes, tmp_path: Path) -> None:
    app = worker(tmp_path, api_token="let-me-in")
    app.conf.web_bind = "0.0.0.0"
    async with serving(app) as port:
        assert await status(port, get(b"/agents", host=host)) == 401
        assert await status(port, get(b"/agents", b"Authorization: Bearer let-me-in", host=host)) == 200
        assert await status(port, get(b"/health/live", host=host)) == 200


async def test_a_port_that_is_taken_ends_the_start_with_one_line(tmp_path: Path) -> None:
    app = worker(tmp_path)
    refused = pytest.raises(SystemExit, match=r"^innervate: the HTTP interface cannot listen on [\d.]+:\d+: .*in use")
    with socket.create_server(("127.0.0.1", app.settings.web_port)), refused:
        async with serving(app):
            pass


@asynccontextmanager
async def silent(port: int, count: int, sent: bytes = b"") -> AsyncIterator[list[asyncio.StreamReader]]:
    """So many connections that send this and no more."""
    opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(count)]
    for _, writer in opened:
        writer.write(sent)
    try:
        yield [reader for reader, _ in opened]
    finally:
        for _, writer in opened:
            writer.close()


async def ended(reader: asyncio.StreamReader) -> bytes:
    """What came until the other side closed."""
    async with asyncio.timeout(LONG_SECONDS):
        try:
            return await reader.read()
        except ConnectionError:
            return b""


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET /hea",
        b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nX",
        LIVE.replace(b"close", b"keep-alive"),
        POST + b"Content-Length: 100\r\n\r\nhalf",
        POST + b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf",
    ],
    ids=["nothing", "half a line", "half a head", "one request", "half a body", "half the chunks"],
)
async def test_who_falls_silent_is_closed(sent: bytes, tmp_path: Path) -> None:
    async with serving(worker(tmp_path, Limits(waiting_seconds=0.3))) as port, silent(port, 3, sent) as readers:
        came = [await ended(reader) for reader in readers]
    assert {each[:12] for each in came} <= {b"", b"HTTP/1.1 200", b"HTTP/1.1 408"}


async def test_a_byte_now_and_then_buys_no_time(tmp_path: Path) -> None:
    async with serving(worker(tmp_path, Limits(waiting_seconds=0.5))) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nX: ")

        async def drip() -> None:
            while True:
                writer.write(b"a")
                await asyncio.sleep(0.05)

        dripping = asyncio.create_task(drip())
        try:
            assert await ended(reader) == b""
        finally:
            dripping.cancel()
            writer.close()


async def test_a_client_is_answered_while_silent_ones_hold_every_place(tmp_path: Path) -> None:
    app = worker(tmp_path, Limits(connections=8, waiting_seconds=3600))
    async with serving(app) as port, silent(port, 100) as readers:
        for _ in range(20):
            assert await status(port, LIVE) == 200
            assert await status(port, AGENTS) == 200
        assert len(app.connections) <= 8
        # Those that came first went first.
        assert await ended(readers[0]) == b""


async def test_a_client_waits_while_every_place_is_at_work(tmp_path: Path) -> None:
    app, arrived, release = worker(tmp_path, Limits(connections=2)), asyncio.Event(), asyncio.Event()

    @app.page("/slow")
    async def slow(self: View, _: Request) -> Response:
        arrived.set()
        await release.wait()
        return self.json({})

    async with serving(app) as port:
        at_work = []
        for _ in range(2):
            at_work.append(asyncio.create_task(status(port, get(b"/slow"))))
            async with asyncio.timeout(LONG_SECONDS):
                await arrived.wait()
            arrived.clear()
        late = asyncio.create_task(status(port, LIVE))
        await asyncio.sleep(0.3)
        assert (late.done(), len(app.connections)) == (False, 2)
        release.set()
        assert [await late, *[await each for each in at_work]] == [200, 200, 200]


async def test_as_many_connections_as_may_be_are_kept(tmp_path: Path) -> None:
    app = worker(tmp_path, Limits(connections=3, waiting_seconds=3600))
    async with serving(app) as port, silent(port, 3, LIVE.replace(b"close", b"keep-alive")) as readers:
        for reader in readers:
            async with asyncio.timeout(LONG_SECONDS):
                await reader.readuntil(b'{"status":"live"}')
        assert len(app.connections) == 3
        assert await status(port, LIVE) == 200
        assert await ended(readers[0]) == b""
        assert not any(reader.at_eof() for reader in readers[1:])


class Exhausted:
    """A loop's `sock_accept` that has no files for a while."""

    def __init__(self, accept: Callable[[socket.socket], Awaitable[Any]], failures: int) -> None:
        self._accept, self.left, self.calls = accept, failures, 0

    async def __call__(self, listening: socket.socket) -> Any:
        self.calls += 1
        if self.left:
            self.left -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        return await self._accept(listening)


async def test_an_accept_that_fails_is_said_once_and_tried_again_without_spinning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    loop = asyncio.get_running_loop()
    exhausted = Exhausted(loop.sock_accept, failures=3)
    monkeypatch.setattr(loop, "sock_accept", exhausted)
    async with serving(worker(tmp_path)) as port:
        assert await status(port, LIVE) == 200
        assert exhausted.left == 0
        assert exhausted.calls <= 6
    said = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [record.getMessage() for record in said] == [
        "the HTTP interface cannot accept connections, of which it has 0: [Errno 24] Too many open files"
    ]
    assert said[0].exc_info is None
