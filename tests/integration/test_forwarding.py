"""What another worker knows is asked of that worker, once, as whoever asked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from problems import problem

from app.composition import create_app
from app.settings import Settings
from outbox.database import Database
from outbox.workers import Kind, Worker, announce

PATH = "/agents/fraud/windows/a%2Fb%20%C3%BC"
NOON = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)


class OtherWorker:
    """Answers everything, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None, str | None]] = []

    async def answer(self, request: web.Request) -> web.Response:
        headers = request.headers
        self.asked.append((request.path, headers.get("Authorization"), headers.get("Innervate-Forwarded")))
        return web.json_response({"agent": "fraud"}, status=203, headers={"Cache-Control": "no-store", "X-Own": "1"})


@pytest.fixture
async def client(database_url: str, tmp_path: Path) -> AsyncIterator[TestClient[Any, Any]]:
    """A worker of a set without `fraud`, which is not started."""
    settings = Settings(
        _env_file=None, kafka_broker="127.0.0.1:1", database_url=database_url, datadir=tmp_path, agents="recovery"
    )
    app = create_app(settings)
    async with TestClient(TestServer(await app.web.wsgi())) as running:
        yield running
    await app.runtime.database.close()


@pytest.fixture
async def other() -> AsyncIterator[tuple[OtherWorker, str]]:
    worker = OtherWorker()
    application = web.Application()
    application.router.add_route("*", "/{tail:.*}", worker.answer)
    async with TestServer(application) as server:
        yield worker, str(server.make_url("")).rstrip("/")


async def say(database: Database, address: str | None, *, kind: Kind = "live", agents: tuple[str, ...]) -> None:
    worker = Worker(
        name=f"host:{len(agents)}:{kind}:{address}",
        kind=kind,
        agent_set="other",
        agents=agents,
        release="1.0",
        address=address,
        started_at=NOON,
    )
    await announce(database, worker, "{}")


async def test_a_window_of_another_set_is_answered_by_a_worker_that_runs_the_agent(
    client: TestClient[Any, Any], database: Database, other: tuple[OtherWorker, str]
) -> None:
    worker, address = other
    # None of these can answer: another agent, no address, a socket of its own machine, a shadow.
    await say(database, "http://127.0.0.1:1", agents=("fulfilment",))
    await say(database, None, agents=("fraud",))
    await say(database, "unix:/run/worker", agents=("fraud",))
    await say(database, "http://127.0.0.1:1", kind="shadow", agents=("fraud",))
    await say(database, address, agents=("fraud", "confirmation"))

    async with client.get(PATH, headers={"Authorization": "Bearer mine", "X-Other": "1"}) as response:
        assert (response.status, await response.json()) == (203, {"agent": "fraud"})
        assert (response.headers["Cache-Control"], "X-Own" in response.headers) == ("no-store", False)
    assert worker.asked == [("/agents/fraud/windows/a/b ü", "Bearer mine", "1")]


async def test_what_another_worker_asked_is_not_asked_on(
    client: TestClient[Any, Any], database: Database, other: tuple[OtherWorker, str]
) -> None:
    worker, address = other
    await say(database, address, agents=("fraud",))

    async with client.get(PATH, headers={"Innervate-Forwarded": "1"}) as response:
        assert (response.status, await response.json()) == (503, problem(503, "no live worker runs fraud"))
    assert worker.asked == []


async def test_a_worker_that_does_not_answer_is_said_to_be_the_one(
    client: TestClient[Any, Any], database: Database
) -> None:
    await say(database, "http://127.0.0.1:1", agents=("fraud",))

    async with client.get(PATH) as response:
        said = problem(502, "the worker that has it does not answer: ClientConnectorError")
        assert (response.status, await response.json()) == (502, said)


async def test_nobody_is_asked_where_nobody_runs_the_agent(client: TestClient[Any, Any]) -> None:
    async with client.get(PATH) as response:
        assert (response.status, await response.json()) == (503, problem(503, "no live worker runs fraud"))
