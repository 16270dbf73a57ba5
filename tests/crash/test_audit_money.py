"""The audit finds everything that can be wrong with money, planted one at a time into one refund that is right."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from audit import audit
from evidence import CaptureRow, EntryRow, Evidence, Logged, RefundRow
from planting import EMPTY, decision, history, record


def event(event_id: str, kind: str, data: dict[str, Any], *, ours: bool = False) -> dict[str, Any]:
    source = "urn:innervate:agent:recovery" if ours else "urn:shop"
    return {"id": event_id, "source": source, "type": kind, "time": "2025-03-01T09:00:00Z", "data": data}


def captured(minor: int) -> Logged:
    return record("payments", 0, event("e1", "PaymentSucceeded", {"payment_id": "p1", "amount_minor": minor}))


def issued(message_id: str = "m1", **changed: Any) -> Logged:
    data = {
        "refund_id": "r1",
        "payment_id": "p1",
        "order_id": "o-1",
        "customer_id": "c1",
        "amount_minor": 700,
        "currency": "EUR",
        "reason": "twice",
    }
    return record("payments", 1, event(message_id, "RefundIssued", {**data, **changed}, ours=True))


def posted(message_id: str = "m2", **changed: Any) -> Logged:
    data = {
        "entry_id": "l1",
        "refund_id": "r1",
        "order_id": "o-1",
        "debit": "refunds",
        "credit": "payments",
        "amount_minor": 700,
        "currency": "EUR",
    }
    return record("ledger", 0, event(message_id, "LedgerEntryPosted", {**data, **changed}, ours=True))


CAUSE = event("v1", "RootCauseIdentified", {"order_id": "o-1"})
DECIDED_ON = record("timeline-order", 0, CAUSE)
ASKED = record("recovery", 0, CAUSE)
REFUND = RefundRow("recovery/v1", "r1", "p1", "o-1", "c1", 700, "EUR")
ENTRY = EntryRow("l1", "r1", "o-1", "refunds", "payments", 700, "EUR")


def heard(*messages: Logged) -> list[Logged]:
    """Refunds as they come to the timeline of their order."""
    told = [message for message in messages if b"RefundIssued" in (message.value or b"")]
    return [replace(message, topic="timeline-order", offset=place) for place, message in enumerate(told, 1)]


def evidence(*messages: Logged, taken: int = 1000, **changed: Any) -> Evidence:
    """One capture, one refund of it, and the messages that tell of it."""
    refunds = heard(*messages)
    written = [decision("bookkeeping", each, history(*refunds[:place])) for place, each in enumerate(refunds)]
    clean = Evidence(
        acknowledged={"e1 of urn:shop", "v1 of urn:shop"},
        to_refund={"o-1": "p1"},
        domain=[captured(taken), ASKED, *messages],
        dead_letters=[],
        timelines={"timeline-order": [DECIDED_ON, *refunds]},
        # The agent that finds causes looks at a verdict too, whether it was `unknown`.
        decisions=[
            decision("recovery", DECIDED_ON, EMPTY, messages),
            decision("root_cause", DECIDED_ON, EMPTY),
            *written,
        ],
        dead_rows=[],
        refunds=[REFUND],
        entries=[ENTRY],
        captures=[CaptureRow("p1", taken, 700)],
    )
    return replace(clean, **changed)


def found(planted: Evidence) -> dict[str, list[str]]:
    return audit(planted, []).broken()


def test_a_refund_that_is_decided_booked_and_told_has_no_findings() -> None:
    findings = audit(evidence(issued(), posted()), [])
    assert (findings.broken(), findings.failures_refunded) == ({}, 1)


def test_a_refund_of_a_decision_that_is_held_is_found() -> None:
    clean = evidence(issued(), posted())
    recovered, *others = clean.decisions
    assert found(replace(clean, decisions=[replace(recovered, status="held"), *others])) == {
        "uncommitted": ["m1", "m2"],
        "refund_undecided": ["r1"],
    }


def test_a_refund_nobody_is_told_of_is_found() -> None:
    assert found(evidence(posted())) == {"money_untold": ["r1"]}
    assert found(evidence(issued())) == {"money_untold": ["l1"]}


def test_a_refund_that_is_told_twice_is_found() -> None:
    again = replace(issued("m9"), offset=2)
    assert found(evidence(issued(), posted(), again)) == {"money_untold": ["r1"]}


def test_a_message_of_a_refund_that_was_never_made_is_found() -> None:
    planted = evidence(issued(), posted(), refunds=[], entries=[], captures=[])
    assert found(planted) == {"money_invented": ["r1", "l1"], "never_refunded": ["o-1"]}


def test_a_refund_that_is_told_differently_is_found() -> None:
    assert found(evidence(issued(amount_minor=699), posted())) == {"money_invented": ["r1"]}
    assert found(evidence(issued(payment_id="p2"), posted()))["money_invented"] == ["r1"]
    assert found(evidence(issued(), posted(debit="payments", credit="refunds"))) == {"money_invented": ["l1"]}


def test_a_refund_beyond_what_kafka_says_was_taken_is_found_whatever_postgresql_says() -> None:
    planted = evidence(issued(), posted(), taken=699, captures=[CaptureRow("p1", 1000, 700)])
    assert found(planted) == {"refunds_over_captures": ["p1"], "captures_wrong": ["p1"]}


def test_refunds_that_are_only_told_count_towards_the_bound() -> None:
    planted = evidence(issued(), posted(), replace(issued("m9", refund_id="r9"), offset=2))
    assert found(planted) == {"money_invented": ["r9"], "refunds_over_captures": ["p1"]}


def test_a_refund_of_what_was_never_taken_is_found() -> None:
    planted = evidence(issued(), posted(), domain=[ASKED, issued(), posted()], acknowledged={"v1 of urn:shop"})
    assert found(planted) == {"refunds_over_captures": ["p1"], "captures_wrong": ["p1"]}


def test_a_payment_refunded_twice_is_found() -> None:
    refund = replace(REFUND, refund_id="r2", amount_minor=300)
    entry = replace(ENTRY, entry_id="l2", refund_id="r2", amount_minor=300)
    planted = evidence(
        issued(),
        posted(),
        replace(issued("m3", refund_id="r2", amount_minor=300), offset=2),
        replace(posted("m4", entry_id="l2", refund_id="r2", amount_minor=300), offset=1),
        refunds=[REFUND, refund],
        entries=[ENTRY, entry],
        captures=[CaptureRow("p1", 1000, 1000)],
    )
    assert found(planted) == {"refunded_twice": ["p1"]}


def test_a_refund_that_is_not_booked_to_the_last_unit_is_found() -> None:
    planted = evidence(issued(), posted(amount_minor=699), entries=[replace(ENTRY, amount_minor=699)])
    assert found(planted) == {"ledger_unbalanced": ["r1"]}
    assert found(evidence(issued(), entries=[])) == {"ledger_unbalanced": ["r1"]}


def test_a_refund_booked_the_wrong_way_round_is_found() -> None:
    told = posted(debit="payments", credit="refunds")
    planted = evidence(issued(), told, entries=[replace(ENTRY, debit="payments", credit="refunds")])
    assert found(planted) == {"ledger_unbalanced": ["r1"]}


def test_an_entry_without_its_refund_is_found() -> None:
    stray = replace(ENTRY, entry_id="l2", refund_id="r2")
    planted = evidence(issued(), posted(), entries=[ENTRY, stray])
    assert found(planted) == {"ledger_unbalanced": ["r2"], "money_untold": ["l2"]}


def test_a_capture_that_lost_count_is_found() -> None:
    assert found(evidence(issued(), posted(), captures=[CaptureRow("p1", 1000, 0)])) == {"captures_wrong": ["p1"]}
    assert found(evidence(issued(), posted(), captures=[])) == {"captures_wrong": ["p1"]}


def test_a_refund_without_the_decision_it_belongs_to_is_found() -> None:
    assert found(evidence(issued(), posted(), decisions=[])) == {
        "undecided": [
            "m1 of urn:innervate:agent:recovery by bookkeeping",
            "v1 of urn:shop by recovery",
            "v1 of urn:shop by root_cause",
        ],
        "uncommitted": ["m1", "m2"],
        "refund_undecided": ["r1"],
    }


def test_a_refund_that_another_agent_decided_on_is_found() -> None:
    placed = event("b1", "OrderPlaced", {"order_id": "o-1"})
    of_order, refunds = record("timeline-order", 9, placed), heard(issued())
    planted = evidence(issued(), posted(), refunds=[replace(REFUND, decision_id="fulfilment/b1")])
    planted = replace(
        planted,
        domain=[*planted.domain, record("orders", 0, placed)],
        timelines={"timeline-order": [DECIDED_ON, *refunds, of_order]},
        decisions=[*planted.decisions, decision("fulfilment", of_order, history(*refunds))],
    )
    assert found(planted) == {"refund_undecided": ["r1"]}


def test_failures_none_of_which_got_its_refund_are_found() -> None:
    planted = evidence(refunds=[], entries=[], captures=[])
    assert found(planted) == {"never_refunded": ["o-1"]}
    elsewhere = evidence(issued(), posted(), to_refund={"o-1": "p2"})
    assert found(elsewhere) == {"never_refunded": ["o-1"]}


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        pytest.param(["PaymentSucceeded", "InventoryShort", "ErrorOccurred"], ["o-2"], id="seen and not refunded"),
        pytest.param(["PaymentSucceeded", "ErrorOccurred", "InventoryShort"], [], id="the cause came too late"),
        pytest.param(["ErrorOccurred", "InventoryShort", "ErrorOccurred"], [], id="what came last is a copy"),
    ],
)
def test_a_failure_is_refunded_when_its_error_came_last(kinds: list[str], expected: list[str]) -> None:
    story = [record("timeline-order", 1 + n, event(kind, kind, {}), key=b"o-2") for n, kind in enumerate(kinds)]
    timelines = {"timeline-order": [DECIDED_ON, *story]}
    some = audit(evidence(issued(), posted(), to_refund={"o-1": "p1", "o-2": "p2"}, timelines=timelines), [])
    assert (some.never_refunded, some.failures_refunded) == (expected, 1)
