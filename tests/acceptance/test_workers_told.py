"""Any worker tells of all workers of every set and of what is stuck, and an assistant of why an agent decided."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from facts import send
from mcp import StdioServerParameters
from mcp.client.client import Client
from observe import eventually, get, rows
from shop import Payment
from waiting import PATIENCE_SECONDS

from app.sandbox import Sandbox
from app.sandbox.process import clean_environment
from app.sandbox.worker_process import CHECKOUT, WorkerProcess

Told = Mapping[str, Any]


@pytest.fixture
def services(provider: str, tmp_path: Path) -> Iterator[Sandbox]:
    """Services without any other test's workers."""
    with Sandbox(tmp_path / "sandbox", provider) as running:
        yield running


def told(worker: WorkerProcess) -> Told:
    status, body = get(worker.url, "/workers")
    assert status == 200
    found: Told = body
    return found


def timelines_of(worker: Told) -> Mapping[str, Sequence[int]]:
    return {each["topic"]: each["partitions"] for each in worker["topics"] if each["topic"].startswith("timeline-")}


def lanes_are_shared(found: Told) -> bool:
    return sorted(lane for worker in found["workers"] for lane in worker["lanes"]) == list(range(64))


def test_each_worker_tells_of_every_set_and_names_the_agents_of_one_that_was_killed(
    services: Sandbox, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        pair = [WorkerProcess(services, tmp_path / name, {"AGENTS": name}) for name in ("fraud", "fulfilment")]
        for worker in pair:
            stack.callback(worker.release)
            worker.start()
        first, second = pair
        asyncio.run(send(services.kafka, [Payment("p-1", "ada").structured()]))
        eventually(lambda: rows(services.database_url, "SELECT outcome FROM decisions WHERE agent = 'fraud'"))

        def is_whole(found: Told) -> bool:
            by_set = {worker["agent_set"]: worker for worker in found["workers"]}
            return (
                by_set.keys() == {"fraud", "fulfilment"}
                and timelines_of(by_set["fraud"]).keys() == {"timeline-customer"}
                and timelines_of(by_set["fulfilment"]).keys() == {"timeline-order"}
                and all(one["lag"] == 0 for one in by_set["fraud"]["partitions"] if one["topic"] == "timeline-customer")
                and any(one["position"] > 0 for one in by_set["fraud"]["partitions"])
                and lanes_are_shared(found)
            )

        whole = eventually(lambda: told(second), is_whole)
        assert {worker["status"] for worker in whole["workers"]} == {"alive"}
        assert {worker["address"] for worker in whole["workers"]} == {first.url, second.url}
        # What is routed is shared by both, each partition with one of them.
        routed = [
            (each["topic"], number)
            for worker in whole["workers"]
            for each in worker["topics"]
            if not each["topic"].startswith("timeline-")
            for number in each["partitions"]
        ]
        assert ("payments", 0) in routed
        assert eventually(lambda: told(first)["stuck"], lambda stuck: stuck == []) == []

        os.kill(second.pid, signal.SIGKILL)
        stuck = eventually(lambda: told(first)["stuck"], lambda found: any("nobody runs" in each for each in found))
        [sentence] = [each for each in stuck if "nobody runs" in each]
        assert sentence.startswith("nobody runs fulfilment: ")
        assert " of the set fulfilment has been silent since " in sentence

        story = asyncio.run(asked(services, "story", {"entity": "customer", "entity_id": "ada"}))
        assert "FraudScored" in str(story["data"]) or "fraud" in str(story["data"])
        assert "never instructions" in story["note"]


async def asked(services: Sandbox, tool: str, arguments: Mapping[str, Any]) -> Told:
    server = StdioServerParameters(
        command=str(Path(sys.executable).with_name("innervate")),
        args=["mcp"],
        env={**clean_environment(), **services.worker_environment(), "PYTHONPATH": str(CHECKOUT)},
    )
    async with asyncio.timeout(PATIENCE_SECONDS), Client(server) as client:
        answer = await client.call_tool(tool, dict(arguments))
    assert not answer.is_error, answer.content
    assert answer.structured_content is not None
    found: Told = answer.structured_content
    return found
