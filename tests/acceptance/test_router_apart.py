"""A worker that routes and runs no agents, and one that runs agents and leaves routing to others."""

from __future__ import annotations

import asyncio
import signal
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Final, NamedTuple

import pytest
from observe import decided, eventually, get, read, rows, settled, under_way
from promises import assert_histories_are_exact, assert_nothing_lost_or_doubled
from shop import ids, records, send, sending, series
from waiting import PATIENCE_SECONDS

from app.sandbox import Sandbox
from app.sandbox.worker_process import WorkerProcess

PAYMENTS: Final = 60
CUSTOMERS: Final = 4


class Apart(NamedTuple):
    """Services, and the two workers, ready."""

    sandbox: Sandbox
    routing: WorkerProcess
    deciding: WorkerProcess


@pytest.fixture(scope="module")
def apart(provider: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apart]:
    directory = tmp_path_factory.mktemp("router-apart")
    with ExitStack() as stack:
        sandbox = stack.enter_context(Sandbox(directory / "sandbox", provider))
        workers = [WorkerProcess(sandbox, directory / router, {"ROUTER": router}) for router in ("alone", "none")]
        for worker in workers:
            stack.callback(worker.release)
            worker.start()
        yield Apart(sandbox, *workers)


def routed(worker: WorkerProcess) -> float:
    """How many events the worker has written to timelines, by its metrics."""
    with urllib.request.urlopen(f"{worker.url}/metrics", timeout=PATIENCE_SECONDS) as response:
        lines = response.read().decode().splitlines()
    [count] = [line.partition(" ")[2] for line in lines if line.startswith("innervate_routed_events_total ")]
    return float(count)


def test_what_one_routes_the_other_decides_once(apart: Apart) -> None:
    payments = series("apart", CUSTOMERS, PAYMENTS)
    asyncio.run(send(apart.sandbox.kafka, records(payments)))
    settled(apart.sandbox.database_url, ids(payments))

    assert_nothing_lost_or_doubled(apart.sandbox, payments)
    assert_histories_are_exact(apart.sandbox, payments)
    assert routed(apart.routing) >= PAYMENTS
    assert routed(apart.deciding) == 0
    assert get(apart.routing.url, "/agents")[1]["agents"] == []
    assert len(get(apart.deciding.url, "/agents")[1]["agents"]) > 1


def test_both_are_ready_and_each_says_what_it_has(apart: Apart) -> None:
    for worker in (apart.routing, apart.deciding):
        status, ready = get(worker.url, "/health/ready")
        assert (status, set(ready["checks"].values())) == (200, {"ok"})
    told = eventually(
        lambda: get(apart.routing.url, "/workers")[1],
        lambda found: all(worker["topics"] for worker in found["workers"]),
    )
    topics = {worker["agent_set"]: {held["topic"] for held in worker["topics"]} for worker in told["workers"]}

    assert told["stuck"] == []
    assert {name: {topic.startswith("timeline-") for topic in held} for name, held in topics.items()} == {
        "routers": {False},
        "all": {True},
    }


def test_while_the_router_is_away_nothing_is_decided_and_afterwards_everything(apart: Apart) -> None:
    before, after = series("apart-killed", CUSTOMERS, PAYMENTS), series("apart-away", CUSTOMERS, PAYMENTS)
    with sending(apart.sandbox.kafka, records(before)):
        under_way(apart.sandbox.database_url, ids(before))
        apart.routing.send(signal.SIGKILL)
    asyncio.run(send(apart.sandbox.kafka, records(after)))

    timelines = [record.value or b"" for record in read(apart.sandbox.kafka, "timeline-customer")]
    assert not [value for value in timelines if b"apart-away" in value]
    assert decided(apart.sandbox.database_url, ids(after)) == 0

    apart.routing.start()
    settled(apart.sandbox.database_url, ids([*before, *after]))
    # It publishes as well.
    assert_nothing_lost_or_doubled(apart.sandbox, [*before, *after], repeats_allowed=True)
    assert_histories_are_exact(apart.sandbox, [*before, *after])
    assert rows(apart.sandbox.database_url, "SELECT count(*) FROM dead_letters") == [(0,)]
