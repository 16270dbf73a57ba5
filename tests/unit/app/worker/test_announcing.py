"""A worker says how it is: within bounds, the same while nothing happens, and without harm when nobody listens."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from waiting import PATIENCE_SECONDS, until

from app.composition import create_app
from app.settings import Settings
from app.worker.application import Innervate


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that nobody listens on as long as the test runs."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@pytest.fixture
def app(tmp_path: Path, closed_port: int) -> Innervate:
    url = f"postgresql://127.0.0.1:{closed_port}/innervate"
    return create_app(Settings(_env_file=None, datadir=tmp_path, database_url=url, web_bind="127.0.0.1", web_port=6077))


def test_it_says_which_release_runs_which_agents_of_which_set_and_where_people_reach_it(app: Innervate) -> None:
    told = app.announcer.worker()

    assert (told.name, told.kind, told.agent_set, told.release) == (app.runtime.name, "live", "all", "0.1.0")
    assert told.agents == list(app.settings.catalogue.agents)
    assert told.address == "http://127.0.0.1:6077"


def test_a_shadow_says_that_it_is_one(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, datadir=tmp_path, shadow="agents.shop.fraud.rules:fraud", shadow_label="v2")
    told = create_app(settings).announcer.worker()
    assert (told.kind, told.agent_set, told.agents) == ("shadow", "shadow-fraud-v2", ["fraud"])


def test_a_worker_that_does_nothing_says_the_same_again(app: Innervate) -> None:
    first = app.announcer.status()
    assert app.announcer.status() == first
    assert first.timelines == ["timeline-customer", "timeline-order", "timeline-service"]
    assert (first.in_flight, first.partitions, first.timeline_partitions) == (0, {}, 8)
    assert set(first.checks) == {
        "outbox", "assignment", "in_flight", "commits", "router", "transactions", "lag", "publishing", "background"
    }  # fmt: skip


def test_what_it_says_is_bounded_however_much_is_wrong(app: Innervate) -> None:
    probe, now = app.runtime.probe, time.monotonic()
    places = {(f"timeline-{entity}", number): (5, 9) for entity in range(8) for number in range(1024)}
    probe.agents.observe(places, now - 3600)
    probe.lag.observe(places, now - 3600)
    for number in range(1000):
        app.runtime.relay.troubles.note(f"trouble {number} {'x' * 5000}", ValueError("y" * 100_000))

    status = app.announcer.status()

    assert len(status.model_dump_json()) < 64 * 1024
    assert (len(status.moving), status.left_out) == (100, 8 * 1024 - 100)
    assert status.checks["commits"].startswith("timeline-")
    assert status.failing_since.keys() >= {"commits", "outbox", "lag"}


async def test_nobody_to_listen_makes_the_worker_neither_fail_nor_wait(
    app: Innervate, caplog: pytest.LogCaptureFixture
) -> None:
    await app.announcer.on_start()
    await until(lambda: "this worker cannot say how it is" in caplog.text, what="it says once that nobody listens")

    async with asyncio.timeout(PATIENCE_SECONDS):
        await app.announcer.on_stop()

    assert app.runtime.failing == {}
    assert caplog.text.count("this worker cannot say how it is") == 1
