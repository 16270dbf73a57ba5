"""The stream of what is new, on the worker's own web server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from app.composition import create_app
from app.sandbox.process import free_port
from app.settings import Settings
from app.web.connections import Limits
from app.web.server import WebServer
from app.worker.application import Innervate
from outbox.writer import DecisionWriter

#: Longer than anything here takes on a slow machine.
LONG_SECONDS = 60.0
ASK = b"GET /ui/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
READY = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def worker(directory: Path, database_url: str, limits: Limits) -> Innervate:
    settings = Settings(
        _env_file=None,
        kafka_broker="127.0.0.1:1",
        database_url=database_url,
        datadir=directory,
        web_port=free_port(),
    )
    app = create_app(settings)
    app.connections.limits = limits
    return app


@asynccontextmanager
async def serving(app: Innervate) -> AsyncIterator[int]:
    server = app.web
    assert isinstance(server, WebServer)
    await server.wsgi()
    await server.bind()
    await server.start_server()
    try:
        yield app.settings.web_port
    finally:
        await server.stop_server()
        await app.runtime.database.close()


class Tab:
    """A browser's tab that listens."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def head(self) -> bytes:
        async with asyncio.timeout(LONG_SECONDS):
            return await self._reader.readuntil(b"\r\n\r\n")

    async def next(self, event: str) -> Any:
        """The data of the next event of this name."""
        async with asyncio.timeout(LONG_SECONDS):
            while True:
                line = await self._reader.readline()
                assert line, "the stream has ended"
                if line == f"event: {event}\n".encode():
                    return json.loads((await self._reader.readline()).removeprefix(b"data: "))

    async def end(self) -> None:
        async with asyncio.timeout(LONG_SECONDS):
            await self._reader.read()

    def close(self) -> None:
        self._writer.close()


@pytest.fixture
async def tab() -> AsyncIterator[Callable[[int], Any]]:
    opened: list[Tab] = []

    async def open_one(port: int) -> Tab:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(ASK)
        opened.append(Tab(reader, writer))
        return opened[-1]

    yield open_one
    for each in opened:
        each.close()


async def status(port: int, sent: bytes) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    async with asyncio.timeout(LONG_SECONDS):
        line = await reader.readline()
    writer.close()
    return int(line.split()[1])


async def test_a_tab_is_told_what_was_decided_since(
    tmp_path: Path, database_url: str, tab: Callable[[int], Any], writer: DecisionWriter, decision: Callable[..., Any]
) -> None:
    async with serving(worker(tmp_path, database_url, Limits())) as port:
        one = await tab(port)
        head = await one.head()
        assert b"200 OK" in head
        assert b"Content-Type: text/event-stream" in head
        assert (await one.next("now"))["decisions"] == []

        record = decision("pay-1", outcome="review")
        await writer.record(record)

        [newest] = (await one.next("now"))["decisions"]
        assert (newest["id"], newest["outcome"]) == (str(record.id), "review")


async def test_streams_outlast_the_time_of_a_request_and_leave_the_others_their_places(
    tmp_path: Path, database_url: str, tab: Callable[[int], Any], writer: DecisionWriter, decision: Callable[..., Any]
) -> None:
    limits = Limits(requests=1, streams=2, work_seconds=0.05, waiting_seconds=0.2)
    async with serving(worker(tmp_path, database_url, limits)) as port:
        tabs = [await tab(port) for _ in range(2)]
        for each in tabs:
            await each.next("now")
        assert await status(port, ASK) == 503
        assert await status(port, READY) == 200

        await asyncio.sleep(limits.waiting_seconds + 1.5)  # beyond every limit of a request, and a sweep
        await writer.record(decision("pay-1"))

        for each in tabs:
            assert len((await each.next("now"))["decisions"]) == 1


async def test_a_tab_that_goes_gives_its_place_back(
    tmp_path: Path, database_url: str, tab: Callable[[int], Any]
) -> None:
    async with serving(worker(tmp_path, database_url, Limits(streams=1))) as port:
        first = await tab(port)
        await first.next("now")
        first.close()

        async with asyncio.timeout(LONG_SECONDS):
            while await status(port, ASK) == 503:  # noqa: ASYNC110 - what is waited for is on the other side of a socket
                await asyncio.sleep(0.1)


async def test_the_worker_ends_every_stream_when_it_stops(
    tmp_path: Path, database_url: str, tab: Callable[[int], Any]
) -> None:
    async with serving(worker(tmp_path, database_url, Limits())) as port:
        one = await tab(port)
        await one.next("now")

    await one.end()
