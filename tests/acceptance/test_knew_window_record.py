"""Looking back at a real worker: what it knew, what came before, and a slice that is decided again as it was."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import orjson
import pytest
from observe import get, rows, settled
from shop import Payment, send, series
from shop_catalogue import CATALOGUE
from waiting import PATIENCE_SECONDS

from app.sandbox import Sandbox
from app.sandbox.process import clean_environment
from app.sandbox.worker_process import CHECKOUT, WorkerProcess
from app.timemachine.replaying import replay_file
from app.timemachine.slices import load

#: Minutes of workers that start and stop: with the real broker only.
pytestmark = pytest.mark.apache

CUSTOMER = "machine-customer-0"
PAYMENTS = [*series("machine", 1, 6), *series("machine-other", 2, 6)]


@pytest.fixture(scope="module")
def decision(sandbox: Sandbox, first_worker: WorkerProcess) -> str:
    """The id of the decision on the customer's fifth payment."""
    first_worker.start()
    payments: list[Payment] = PAYMENTS
    asyncio.run(send(sandbox.kafka, [payment.structured() for payment in payments]))
    settled(sandbox.database_url, [payment.event_id for payment in payments])
    [(found,)] = rows(
        sandbox.database_url, "SELECT id::text FROM decisions WHERE agent = 'fraud' AND event_id = 'machine-0004'"
    )
    return str(found)


@pytest.fixture(scope="module")
def done(
    sandbox: Sandbox, decision: str, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, subprocess.CompletedProcess[str]]:
    """Everything typed, run side by side."""
    out = tmp_path_factory.mktemp("slices")
    typed = {
        "knew": ["knew", decision],
        "knew as JSON": ["knew", decision, "--json"],
        "knew nothing": ["knew", "00000000-0000-0000-0000-000000000001"],
        "window": ["window", "customer", CUSTOMER, "--before", "machine-0004", "--events", "2"],
        "window of an unknown event": ["window", "customer", CUSTOMER, "--before", "machine-9999"],
        "window of no entity": ["window", "planet", "mars"],
        "record": ["record", "--out", str(out / "slice.jsonl"), "--entity", "customer", CUSTOMER],
        "record redacted": [
            "record",
            "--out",
            str(out / "redacted.jsonl"),
            "--agents",
            "fraud",
            "--redact",
            "device_id",
        ],
        "record without agents": ["record", "--out", str(out / "none.jsonl"), "--agents", "nobody"],
        "record without a zone": ["record", "--out", str(out / "none.jsonl"), "--from", "2024-05-01T12:00"],
        "record nowhere": ["record", "--out", str(out / "no" / "none.jsonl"), "--agents", "fraud"],
    }
    environment = {**clean_environment(), **sandbox.worker_environment()}

    def run(arguments: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(Path(sys.executable).with_name("faust")), "-A", "app", *arguments],
            cwd=CHECKOUT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )

    with ThreadPoolExecutor(4) as pool:
        return dict(zip(typed, pool.map(run, typed.values()), strict=True))


def slice_file(done: Mapping[str, subprocess.CompletedProcess[str]], name: str) -> Path:
    assert done[name].returncode == 0, done[name].stderr
    return Path(done[name].stdout.rsplit(": ", 1)[0].strip())


def test_what_the_agent_knew_is_shown_and_verified(done: Mapping[str, subprocess.CompletedProcess[str]]) -> None:
    shown = done["knew"]

    assert shown.returncode == 0, shown.stderr
    assert "on machine-0004 at timeline-customer[" in shown.stdout
    # Payments of different orders have no order among each other, so the fourth may be known or the sixth.
    *known, decided_on = [line for line in shown.stdout.splitlines() if line.startswith("@")]
    assert f"verified: {len(known)} events, equal to the recorded history (sha256 matches)" in shown.stdout
    history = orjson.loads(done["knew as JSON"].stdout)["history"]
    assert [line.split()[3] for line in known] == [each["event"]["id"] for each in history]
    assert {"machine-0000", "machine-0001"} <= {line.split()[3] for line in known}
    assert decided_on.split()[1:4] == ["2025-03-01T09:04:00Z", "PaymentSucceeded", "machine-0004"]
    assert "payment_id=pay-machine-0004 order_id=order-machine-0004" in decided_on


def test_a_program_gets_the_same_as_json_from_command_and_worker(
    done: Mapping[str, subprocess.CompletedProcess[str]], worker: WorkerProcess, decision: str
) -> None:
    document = orjson.loads(done["knew as JSON"].stdout)

    assert document["history_kind"] == "same"
    assert get(worker.url, f"/decisions/{decision}/history") == (200, document)


def test_the_events_before_one_are_shown_of_every_type(done: Mapping[str, subprocess.CompletedProcess[str]]) -> None:
    shown = done["window"]

    assert shown.returncode == 0, shown.stderr
    lines = shown.stdout.splitlines()
    assert lines[0] == f"The last 2 events of customer {CUSTOMER}, oldest first:"
    assert "machine-0004" in lines[-1]


@pytest.mark.parametrize(
    ("name", "code", "error"),
    [
        ("knew nothing", 1, "innervate: there is no decision 00000000-0000-0000-0000-000000000001"),
        ("window of an unknown event", 1, f"innervate: customer {CUSTOMER} has no event machine-9999 in timeline-"),
        ("window of no entity", 2, "'planet' is not one of"),
        ("record without agents", 2, "no agent is called nobody"),
        ("record without a zone", 2, "the time needs a zone"),
        ("record nowhere", 1, "innervate: [Errno 2] No such file or directory"),
    ],
)
def test_what_is_not_possible_ends_with_one_line(
    done: Mapping[str, subprocess.CompletedProcess[str]], name: str, code: int, error: str
) -> None:
    assert done[name].returncode == code
    assert error in done[name].stderr
    assert "Traceback" not in done[name].stderr


def test_a_slice_of_one_entity_is_decided_again_as_it_was(
    done: Mapping[str, subprocess.CompletedProcess[str]],
) -> None:
    path = slice_file(done, "record")

    result = replay_file(path, CATALOGUE)

    assert result.is_same, result.explain()
    assert {record.key for record in load(path).records} == {CUSTOMER.encode()}
    assert {f"machine-000{n}" for n in range(6)} <= {each.event_id for each in result.same if each.agent == "fraud"}
    assert {str(each.history) for each in result.same} == {"same"}


def test_a_redacted_slice_of_everything_is_decided_again_as_it_was(
    done: Mapping[str, subprocess.CompletedProcess[str]],
) -> None:
    path = slice_file(done, "record redacted")

    result = replay_file(path, CATALOGUE)

    assert result.is_same, result.explain()
    assert {str(each.history) for each in result.same} == {"same"}
    assert b"device-1" not in path.read_bytes()
    assert {b"machine-other-customer-0", b"machine-other-customer-1"} <= {each.key for each in load(path).records}
