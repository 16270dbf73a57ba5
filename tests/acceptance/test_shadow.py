"""A version of an agent beside the live one: exactly the expected disagreements, and nothing comes of them."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from observe import eventually, get, read, rows, scored
from shop import Payment, ids, records, send, series
from waiting import PATIENCE_SECONDS

from app.sandbox import Sandbox
from app.sandbox.process import clean_environment
from app.sandbox.worker_process import CHECKOUT, WorkerProcess

#: Minutes of workers that start and stop: with the real broker only.
pytestmark = pytest.mark.apache

HERE = str(Path(__file__).parent)
SHADOW = {"SHADOW": "versions:strict", "SHADOW_LABEL": "v2", "PYTHONPATH": HERE}

PAYMENTS = series("shadow", customers=3, payments=30)
BUG = Payment("shadow-bug", "shadow-customer-0", 99)
#: Amounts are 25.00 and one cent more with each payment.
CHANGED = {payment.event_id for payment in PAYMENTS if payment.number >= 20}


@dataclass(frozen=True)
class Aftermath:
    """What both came to."""

    sandbox: Sandbox
    live: WorkerProcess
    shadow: WorkerProcess
    compared: dict[str, Any]


@pytest.fixture(scope="module")
def aftermath(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aftermath]:
    """Half of the payments before the shadow is there, half while it runs."""
    directory = tmp_path_factory.mktemp("shadow")
    with Sandbox(directory / "sandbox", request.config.getoption("--provider")) as sandbox:
        live = WorkerProcess(sandbox, directory / "live")
        shadow = WorkerProcess(sandbox, directory / "shadow", SHADOW)
        try:
            live.start()
            asyncio.run(send(sandbox.kafka, records(PAYMENTS[:15])))
            eventually(lambda: decided(sandbox, "fraud"), lambda found: len(found) == 15)
            shadow.start()
            asyncio.run(send(sandbox.kafka, [*records(PAYMENTS[15:]), BUG.structured()]))
            eventually(lambda: decided(sandbox, "fraud"), lambda found: len(found) == 31)
            eventually(lambda: decided(sandbox, "fraud@v2"), lambda found: len(found) == 30)
            eventually(lambda: rows(sandbox.database_url, "SELECT 1 FROM dead_letters"))
            eventually(lambda: rows(sandbox.database_url, "SELECT 1 FROM outbox_messages"), lambda found: not found)
            _, body = get(live.url, "/shadows")
            yield Aftermath(sandbox, live, shadow, body)
        finally:
            shadow.release()
            live.release()


def decided(sandbox: Sandbox, agent: str) -> dict[str, tuple[str, str, str]]:
    """Outcome, status and id of the message of each decision, by event."""
    found = rows(
        sandbox.database_url,
        "SELECT event_id, outcome, status, message_ids(messages)->>0 FROM decisions WHERE agent = %s",
        agent,
    )
    return {event_id: (outcome, status, message) for event_id, outcome, status, message in found}


def test_they_disagree_where_the_rule_was_changed_and_nowhere_else(aftermath: Aftermath) -> None:
    [shadow] = aftermath.compared["shadows"]

    assert {one["event_id"] for one in shadow["disagreements"]} == CHANGED
    numbers = ("agent", "label", "decisions", "compared", "same_outcome", "same_messages", "same", "dead_letters")
    assert [shadow[name] for name in numbers] == ["fraud", "v2", 30, 30, 20, 20, 20, 1]
    assert shadow["rate"] == pytest.approx(2 / 3)


def test_a_disagreement_has_both_reasons_and_the_same_history(aftermath: Aftermath) -> None:
    [shadow] = aftermath.compared["shadows"]

    for one in shadow["disagreements"]:
        assert (one["shadow"]["outcome"], one["shadow"]["reason"]) == ("block", "25.20 or more")
        assert (one["live"]["outcome"], one["live"]["reason"][:6]) == ("approve", "score ")
        assert (one["same_messages"], one["same_history"]) == (False, True)


def test_what_the_shadow_decides_is_kept_as_a_shadows_with_the_ids_of_the_live_one(aftermath: Aftermath) -> None:
    live, shadow = decided(aftermath.sandbox, "fraud"), decided(aftermath.sandbox, "fraud@v2")

    assert {status for _, status, _ in shadow.values()} == {"shadow"}
    assert {event_id: message for event_id, (_, _, message) in shadow.items()} == {
        event_id: message for event_id, (_, _, message) in live.items() if event_id != BUG.event_id
    }


def test_nothing_of_the_shadow_is_published(aftermath: Aftermath) -> None:
    found = scored(aftermath.sandbox.kafka)

    assert {event_id: [event["data"]["verdict"] for event in events] for event_id, events in found.items()} == {
        event_id: ["approve"] for event_id in [*ids(PAYMENTS), BUG.event_id]
    }
    assert read(aftermath.sandbox.kafka, "dead-letters") == []


def test_the_live_agent_decides_as_ever(aftermath: Aftermath) -> None:
    live = decided(aftermath.sandbox, "fraud")

    assert {outcome for outcome, _, _ in live.values()} == {"approve"}
    assert {status for _, status, _ in live.values()} == {"committed"}


def test_what_the_shadow_cannot_decide_on_is_a_dead_letter_of_its_own(aftermath: Aftermath) -> None:
    assert rows(aftermath.sandbox.database_url, "SELECT consumer, reason, topic FROM dead_letters") == [
        ("fraud@v2", "decision_failed", "timeline-customer")
    ]


def test_the_shadow_is_a_set_of_its_own(aftermath: Aftermath) -> None:
    _, body = get(aftermath.shadow.url, "/agents")

    assert body["set"] == "shadow-fraud-v2"
    assert [agent["changelog"] for agent in body["agents"]] == ["innervate-shadow-fraud-v2-fraud-windows-changelog"]
    assert get(aftermath.shadow.url, "/outbox")[1]["lanes"] == []


def test_the_command_says_the_same(aftermath: Aftermath) -> None:
    shown = faust(aftermath.sandbox, "shadows", "--label", "v2")

    assert shown.returncode == 0, shown.stderr
    assert "66.67%" in shown.stdout
    assert shown.stdout.count("25.20 or more") == 10


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({**SHADOW, "AGENTS": "fraud"}, "SHADOW: a shadow has a worker of its own: leave AGENTS empty there"),
        ({**SHADOW, "SHADOW": "versions"}, "SHADOW: expected module:name, an Agent in a module that can be imported"),
        (
            {**SHADOW, "SHADOW": "versions:lax"},
            "SHADOW: versions:lax cannot be imported: AttributeError: module 'versions' has no attribute 'lax'",
        ),
        (
            {**SHADOW, "SHADOW_LABEL": "v-2"},
            "SHADOW_LABEL: 'v-2': expected lower-case letters, digits and _, at most 20",
        ),
    ],
)
def test_a_shadow_that_cannot_be_says_so(aftermath: Aftermath, settings: dict[str, str], line: str) -> None:
    run = faust(aftermath.sandbox, "agents", settings=settings)

    assert (run.returncode, run.stderr) == (2, f"innervate: {line}\n")


def faust(
    sandbox: Sandbox, *arguments: str, settings: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).with_name("faust")), "-A", "app", *arguments],
        cwd=CHECKOUT,
        env={**clean_environment(), **sandbox.worker_environment(), **(settings or {})},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def test_the_document_of_the_command_is_json(aftermath: Aftermath) -> None:
    shown = faust(aftermath.sandbox, "--json", "shadows")

    [shadow] = json.loads(shown.stdout)
    assert (shadow["agent"], shadow["compared"], len(shadow["disagreements"])) == ("fraud", 30, 10)
