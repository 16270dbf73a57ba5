"""The audit finds everything that can be wrong with a quarantine, planted one at a time into one that is right."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from audit import audit
from evidence import Evidence, Logged, QuarantineRow
from planting import decision, history, record

BUILT = {"repository_id": "r-1", "build_id": "b-1", "commit": "c0", "test": "test_pay", "message": ""}
FAILED = {"id": "e1", "source": "urn:ci", "type": "BuildFailed", "time": "2025-03-01T09:00:00Z", "data": BUILT}
SENT = record("builds", 0, FAILED, key=b"r-1")
DECIDED_ON = record("timeline-repository", 0, FAILED, key=b"r-1")
ROW = QuarantineRow("flaky/e1", "q-1", "r-1", "test_pay")


def told(message_id: str = "m1", **changed: Any) -> Logged:
    data = {"quarantine_id": "q-1", "repository_id": "r-1", "test": "test_pay", **changed}
    message = {
        "id": message_id,
        "source": "urn:innervate:agent:flaky",
        "type": "RepositoryQuarantined",
        "time": "2025-03-01T09:00:00Z",
        "data": data,
    }
    return record("builds", 1, message, key=b"r-1")


def evidence(*messages: Logged, **changed: Any) -> Evidence:
    """One quarantine, and the messages that tell of it."""
    clean = Evidence(
        acknowledged={"e1 of urn:ci"},
        to_quarantine={"r-1": "test_pay"},
        domain=[SENT, *messages],
        dead_letters=[],
        timelines={"timeline-repository": [DECIDED_ON]},
        decisions=[decision("flaky", DECIDED_ON, history(), messages)],
        dead_rows=[],
        quarantines=[ROW],
    )
    return replace(clean, **changed)


def test_a_quarantine_that_is_decided_and_told_has_no_findings() -> None:
    assert audit(evidence(told()), []).broken() == {}


HELD = [replace(row, status="held") for row in evidence(told()).decisions]

WRONG = {
    "a row of nobody": (
        evidence(told(), quarantines=[replace(ROW, decision_id="blame/e1")]),
        {"quarantine_undecided": ["q-1"]},
    ),
    "a row of a decision that is held": (
        evidence(decisions=HELD),
        {"quarantine_undecided": ["q-1"], "quarantine_untold": ["q-1"]},
    ),
    "a row nobody is told of": (evidence(), {"quarantine_untold": ["q-1"]}),
    "a row that is told of twice": (evidence(told(), told("m2")), {"quarantine_untold": ["q-1"]}),
    "another test is told of": (evidence(told(test="test_buy")), {"quarantine_invented": ["q-1"]}),
    "no row": (evidence(told(), quarantines=[]), {"quarantine_invented": ["q-1"], "never_quarantined": ["r-1"]}),
    "the row of another test": (
        evidence(told(test="test_buy"), quarantines=[replace(ROW, test="test_buy")]),
        {"never_quarantined": ["r-1"]},
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_with_a_quarantine_is_found(name: str) -> None:
    planted, found = WRONG[name]

    assert audit(planted, []).broken() == found
