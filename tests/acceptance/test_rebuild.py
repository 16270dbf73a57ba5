"""Windows rebuilt after a change of what an agent remembers, with real workers: whoever starts then has all of it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from observe import eventually, get, read, rows
from shop import Payment, records, send
from waiting import PATIENCE_SECONDS

from app.sandbox import Sandbox
from app.sandbox.process import clean_environment
from app.sandbox.worker_process import CHECKOUT, WorkerProcess

#: Minutes of workers that start and stop: with the real broker only.
pytestmark = pytest.mark.apache

HERE = str(Path(__file__).parent)
CUSTOMERS = ("rebuild-ada", "rebuild-bob", "rebuild-eve")
#: What the agents in `versions` keep.
WINDOW = 8
BEFORE, AFTER = "payments_only", "with_failures"
KINDS = {BEFORE: ("PaymentSucceeded",), AFTER: ("PaymentSucceeded", "PaymentFailed")}


def told(first: int, count: int) -> list[Payment]:
    """Payments and failures of the customers in turn; the last one has nothing but failures."""
    found = []
    for number in range(first, first + count):
        customer = CUSTOMERS[number % 3]
        kind = "PaymentFailed" if number % 4 == 1 or customer == CUSTOMERS[-1] else "PaymentSucceeded"
        data = MappingProxyType({"reason": "declined"} if kind == "PaymentFailed" else {})
        found.append(Payment(f"rebuild-{number:03}", customer, number, kind, data))
    return found


FIRST, MORE = told(0, 60), told(60, 12)


def environment(version: str) -> dict[str, str]:
    return {"SHADOW": f"versions:{version}", "SHADOW_LABEL": "rebuilt", "PYTHONPATH": HERE}


@pytest.fixture(scope="module")
def own_sandbox(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """Services, and a live worker that routes."""
    directory = tmp_path_factory.mktemp("rebuild")
    with Sandbox(directory / "sandbox", request.config.getoption("--provider")) as sandbox:
        router = WorkerProcess(sandbox, directory / "router", {"AGENTS": "fulfilment"})
        try:
            router.start()
            yield sandbox
        finally:
            router.release()


class Version(WorkerProcess):
    """A worker with one version of the agent, on the data directory it is given."""

    def __init__(self, sandbox: Sandbox, directory: Path, version: str) -> None:
        super().__init__(sandbox, directory, environment(version))


def rebuild(
    sandbox: Sandbox, datadir: Path, version: str, *, after_a_stop: bool = True
) -> subprocess.CompletedProcess[str]:
    # The embedded broker goes on naming a worker that has ended.
    options = ["--stopped"] if after_a_stop and sandbox.provider == "tansu" else []
    return subprocess.run(
        [sys.executable, "-m", "faust", "-A", "app", "--datadir", str(datadir), "rebuild", "fraud", *options],
        cwd=CHECKOUT,
        env={**clean_environment(), **sandbox.worker_environment(), **environment(version)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def windows(worker: WorkerProcess) -> dict[str, list[tuple[int, str]]]:
    """What the worker's agent remembers of each customer: offset and id of each event."""
    found = {}
    for customer in CUSTOMERS:
        status, window = eventually(
            lambda customer=customer: get(worker.url, f"/agents/fraud/windows/{customer}"),  # type: ignore[misc]
            lambda answer: answer[0] == 200,
        )
        assert status == 200
        found[customer] = [(entry["offset"], entry["event"]["id"]) for entry in window["events"]]
    return found


def replayed(kafka: str, version: str) -> dict[str, list[tuple[int, str]]]:
    """The same by the definition of a window, from the whole timeline."""
    found: dict[str, list[tuple[int, str]]] = {customer: [] for customer in CUSTOMERS}
    for record in read(kafka, "timeline-customer"):
        event = json.loads(record.value or b"{}")
        if event["type"] in KINDS[version] and record.key is not None:
            found[record.key.decode()].append((record.offset, event["id"]))
    return {customer: entries[-WINDOW:] for customer, entries in found.items()}


def counted(sandbox: Sandbox) -> dict[str, list[int]]:
    """The offsets each decision knew, by event."""
    query = "SELECT event_id, plain_history(history)->'offsets' FROM decisions WHERE agent = 'fraud@rebuilt'"
    return dict(rows(sandbox.database_url, query))


def decide(sandbox: Sandbox, payments: Sequence[Payment]) -> None:
    asyncio.run(send(sandbox.kafka, records(payments)))
    due = {payment.event_id for payment in payments if payment.kind == "PaymentSucceeded"}
    eventually(lambda: counted(sandbox).keys() >= due)


def test_windows_are_those_of_a_full_replay_whatever_the_data_directory_knew(
    own_sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("rebuilt")
    old, kafka = directory / "old", own_sandbox.kafka
    worker: Any = Version(own_sandbox, old, BEFORE)
    try:
        worker.start()
        decide(own_sandbox, FIRST)
        assert windows(worker) == replayed(kafka, BEFORE)

        refused = rebuild(own_sandbox, directory / "command", BEFORE, after_a_stop=False)
        assert refused.returncode == 1
        assert refused.stderr.rstrip().endswith("1 workers of innervate-shadow-fraud-rebuilt run: stop them first")

        worker.stop()
        done = rebuild(own_sandbox, directory / "command", AFTER)
        assert (done.returncode, done.stdout[-33:]) == (0, "the windows of fraud are rebuilt\n"), done.stderr

        # More is remembered: on the data directory of before, then on an empty one.
        more = replayed(kafka, AFTER)
        assert more != replayed(kafka, BEFORE)
        for datadir in (old, directory / "empty"):
            worker = Version(own_sandbox, datadir, AFTER)
            worker.start()
            assert windows(worker) == more
            worker.stop()

        # The next decisions know it, and what they write is on top of it.
        worker = Version(own_sandbox, old, AFTER)
        worker.start()
        decide(own_sandbox, MORE)
        assert windows(worker) == replayed(kafka, AFTER)
        first = next(payment for payment in MORE if payment.kind == "PaymentSucceeded")
        known = [offset for offset, _ in more[first.customer_id]]
        assert counted(own_sandbox)[first.event_id] == known
        worker.stop()

        # Fewer again; the last customer is forgotten altogether.
        done = rebuild(own_sandbox, directory / "command", BEFORE)
        assert done.returncode == 0, done.stderr
        fewer = replayed(kafka, BEFORE)
        assert fewer[CUSTOMERS[-1]] == []
        for datadir in (old, directory / "empty"):
            worker = Version(own_sandbox, datadir, BEFORE)
            worker.start()
            assert windows(worker) == fewer
            worker.stop()
    finally:
        worker.release()


def test_an_agent_the_set_does_not_have_is_not_rebuilt(own_sandbox: Sandbox, tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "faust", "-A", "app", "--datadir", str(tmp_path), "rebuild", "nobody"],
        cwd=CHECKOUT,
        env={**clean_environment(), **own_sandbox.worker_environment()},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )

    assert (run.returncode, run.stderr.rstrip().rpartition("\n")[2]) == (
        1,
        "innervate: the set all has no agent nobody",
    )
