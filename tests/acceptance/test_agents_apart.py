"""Agents deployed apart, as workers of their own sets, come to the same as all of them in memory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import pytest
from choreography import Choreography
from observe import eventually, get, read, rows
from shop_catalogue import DOMAIN_TOPICS
from undone import undone

from app.demo.evidence import is_decided
from app.demo.scoring import score
from app.sandbox import Sandbox
from app.sandbox.worker_process import WorkerProcess
from app.simulator import Simulation, simulated_until_now
from app.simulator.sending import send_records

#: Every agent runs in one of them, and none of them runs with those it listens to.
SETS = ("bookkeeping,cascade,confirmation,incident,recovery", "fraud,fulfilment,root_cause")


@pytest.fixture
def own_sandbox(provider: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """Services without any other test's events."""
    with Sandbox(tmp_path_factory.mktemp("apart") / "sandbox", provider) as services:
        yield services


def told_by_agents(kafka: str) -> dict[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    for record in read(kafka, *DOMAIN_TOPICS):
        if record.value and b'"urn:innervate:' in record.value:
            event = json.loads(record.value)
            # What did not happen is told by the clock, which nothing in memory has.
            if is_decided(event["type"]):
                found.setdefault(event["id"], event)
    return found


@pytest.mark.apache  # two sets join slowly on the embedded broker
def test_agent_sets_apart_say_what_all_agents_together_say(own_sandbox: Sandbox, tmp_path_factory: Any) -> None:
    simulation = simulated_until_now(seed=90210, orders=36, failures=12)
    reference = Choreography().run(simulation.records)

    workers = []
    with ExitStack() as stack:
        for number, agents in enumerate(SETS):
            directory = tmp_path_factory.mktemp("apart") / f"worker-{number}"
            worker = WorkerProcess(own_sandbox, directory, {"AGENTS": agents})
            stack.callback(worker.release)
            worker.start()
            workers.append(worker)
        client = {"bootstrap_servers": own_sandbox.kafka}
        asyncio.run(send_records(client, simulation.records, per_second=100))
        eventually(lambda: decisions(own_sandbox), lambda count: count >= len(reference.decisions))
        eventually(
            lambda: rows(own_sandbox.database_url, "SELECT count(*) FROM outbox_messages"), lambda n: n == [(0,)]
        )
        told = told_by_agents(own_sandbox.kafka)
        assert_every_worker_knows_every_window(workers)

    assert undone(told.values()) == undone(reference.published)
    assert_right(simulation, told)


def assert_every_worker_knows_every_window(workers: Sequence[WorkerProcess]) -> None:
    """Whoever is asked, the worker of the set that runs the agent answers."""
    for path in ("/agents/fraud/windows/c-0001", "/agents/recovery/windows/o-00001"):
        answers = [get(worker.url, path) for worker in workers]
        assert [status for status, _ in answers] == [200, 200]
        assert answers[0] == answers[1]
        assert answers[0][1]["events"]


def decisions(sandbox: Sandbox) -> int:
    [(count,)] = rows(sandbox.database_url, "SELECT count(*) FROM decisions")
    return int(count)


def assert_right(simulation: Simulation, told: Mapping[str, Mapping[str, Any]]) -> None:
    result = score(truth=simulation.truth, captures=simulation.captures, published=list(told.values()))
    assert (result.ledger_balanced, result.refunds_over_captures) == (True, 0)
    assert result.recovery_correct == 1.0, result.recovery_mistakes
