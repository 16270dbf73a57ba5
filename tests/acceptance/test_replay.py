"""Replay from the command line: real workers decided, a real log is read again, nothing is written."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from observe import eventually, rows
from shop_catalogue import AGENTS
from waiting import PATIENCE_SECONDS

from app.sandbox import Sandbox
from app.sandbox.process import clean_environment
from app.sandbox.worker_process import CHECKOUT, WorkerProcess

#: Minutes of workers that start and stop: with the real broker only.
pytestmark = pytest.mark.apache

ORDERS = 30
#: So often nothing more is decided and nothing waits to be published, when everything is.
LOOKS = 60

#: Large amounts get a name of their own; everything else is as it is.
STRICTER = """
from dataclasses import replace

from agents.model.agent import Agent
from agents.shop.entities import customer
from agents.shop.events import ChargebackReceived, PaymentFailed, PaymentSucceeded
from agents.shop.fraud.rules import fraud, score


stricter = Agent(
    name="fraud",
    entity=fraud.entity,
    reacts_to=(PaymentSucceeded,),
    remembers=(PaymentSucceeded, PaymentFailed, ChargebackReceived),
    window=fraud.window,
)


@stricter.rules
def rules(payment, history):
    decided = score(payment, history)
    return replace(decided, outcome="large") if payment.amount_minor > 8000 else decided
"""


def faust(sandbox: Sandbox, *arguments: str, python_path: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).with_name("faust")), "-A", "app", *arguments],
        cwd=CHECKOUT,
        env={**clean_environment(), **sandbox.worker_environment(), "PYTHONPATH": str(python_path or "")},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


@pytest.fixture(scope="module")
def told(sandbox: Sandbox, first_worker: WorkerProcess) -> int:
    """A story that was decided, whatever other tests left in the log; how many decisions there are."""
    first_worker.start()
    sent = faust(sandbox, "simulate", "--orders", str(ORDERS), "--failures", "10", "--per-second", "1000")
    assert sent.returncode == 0, sent.stderr
    looks: list[tuple[int, int]] = []

    def settled() -> bool:
        looks.append((count(sandbox), waiting(sandbox)))
        decided, left = looks[-1]
        return decided > ORDERS * 3 and left == 0 and looks[-LOOKS:] == [looks[-1]] * LOOKS

    eventually(settled, pause_seconds=0.25)
    return looks[-1][0]


def count(sandbox: Sandbox) -> int:
    [(found,)] = rows(sandbox.database_url, "SELECT count(*) FROM decisions WHERE agent = ANY (%s)", list(AGENTS))
    return int(found)


def waiting(sandbox: Sandbox) -> int:
    [(found,)] = rows(sandbox.database_url, "SELECT count(*) FROM outbox_messages")
    return int(found)


def report(path: Path, run: subprocess.CompletedProcess[str]) -> Mapping[str, Any]:
    assert path.exists(), run.stdout + run.stderr
    found: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def test_what_workers_decided_is_decided_again(sandbox: Sandbox, told: int, tmp_path: Path) -> None:
    files = [str(tmp_path / "report.json"), str(tmp_path / "report.html"), str(tmp_path / "state")]

    run = faust(sandbox, "replay", "--json", files[0], "--html", files[1], "--state", files[2])

    found = report(tmp_path / "report.json", run)
    assert (run.returncode, found["different"], found["differences"]) == (0, 0, []), run.stderr
    assert (found["same"], found["decisions"]) == (True, told)
    # Other tests write some of nobody's.
    nameless = rows(
        sandbox.database_url, "SELECT count(*) FROM decisions WHERE code_id IS NULL AND agent = ANY (%s)", list(AGENTS)
    )
    assert nameless == [(0,)]
    assert "every decision is the same" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert count(sandbox) == told


def test_a_changed_rule_shows_the_decisions_it_changes(sandbox: Sandbox, told: int, tmp_path: Path) -> None:
    (tmp_path / "stricter.py").write_text(STRICTER)

    run = faust(
        sandbox, "replay", "--agent", "stricter:stricter", "--json", str(tmp_path / "found"), python_path=tmp_path
    )

    found = report(tmp_path / "found", run)
    assert (run.returncode, found["agents"].keys()) == (1, {"fraud"}), run.stderr
    assert found["different"] == found["agents"]["fraud"]["changed"] > 0
    assert {each["replayed"]["outcome"] for each in found["differences"]} == {"large"}
    assert all({"rules", "version"} <= set(each["code_changed"]) for each in found["differences"])
    assert found["agents"]["fraud"]["code"] == {"same": 0, "other": found["different"], "unknown": 0}


def test_one_entity_is_replayed_alone(sandbox: Sandbox, told: int, tmp_path: Path) -> None:
    query = "SELECT entity_id, count(*) FROM decisions WHERE entity = 'order' GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 1"
    [(order, decisions)] = rows(sandbox.database_url, query)

    run = faust(sandbox, "replay", "--entity", "order", order, "--json", str(tmp_path / "found"))

    found = report(tmp_path / "found", run)
    assert (run.returncode, found["decisions"], found["same"]) == (0, decisions, True), run.stderr
    assert [part["topic"] for part in found["log"]] == ["timeline-order"]


def test_a_state_is_gone_on_with_by_the_same_arguments_only(sandbox: Sandbox, told: int, tmp_path: Path) -> None:
    first = faust(sandbox, "replay", "--agents", "fraud", "--state", str(tmp_path))
    again = faust(sandbox, "replay", "--agents", "fraud", "--state", str(tmp_path))
    other = faust(sandbox, "replay", "--agents", "fraud,recovery", "--state", str(tmp_path))

    assert (first.returncode, again.returncode, again.stdout) == (0, 0, first.stdout), first.stderr + again.stderr
    assert other.returncode == 2
    assert other.stderr.rstrip().endswith("holds a replay with other arguments: agents")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ("--agents nobody", "no agent named nobody"),
        ("--agent nowhere:fraud", "nowhere:fraud cannot be imported"),
        ("--from 20 --to 10", "the span ends at offset 10 and begins at 20"),
        ("--decide model", "deciding by a model needs LLM_URL"),
        ("--from yesterday", "expected a time such as"),
    ],
)
def test_wrong_arguments_are_told_in_one_line(sandbox: Sandbox, arguments: str, problem: str) -> None:
    run = faust(sandbox, "replay", *arguments.split())

    assert run.returncode == 2
    assert problem in run.stderr.rstrip().rpartition("\n")[2]
