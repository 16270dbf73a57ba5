"""The audit finds every kind of broken promise, planted one at a time into a history that is clean."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from audit import LANE_BATCH, audit
from evidence import BROKEN, DeadRow, DecisionRow, Disturbance, Evidence, Logged
from findings import Findings
from planting import decision, history, record

KILL = Disturbance("kill", 1000.0, 1010.0)


def payment(number: int) -> dict[str, Any]:
    """One that only the agents of customers decide on, because it names no order."""
    return {
        "id": f"e{number}",
        "source": "urn:shop",
        "type": "PaymentSucceeded",
        "time": f"2025-03-01T09:0{number}:00Z",
        "data": {"customer_id": "c-1", "payment_id": f"p{number}", "amount_minor": 100},
    }


def score(number: int) -> dict[str, Any]:
    return {"id": f"m{number}", "source": "urn:innervate:agent:fraud", "type": "FraudScored", "data": {"score": number}}


RUBBISH = Logged("payments", 0, 3, 500.0, b"k", b"{", (BROKEN,))
LETTER = Logged(
    "dead-letters",
    0,
    0,
    500.0,
    b"k",
    b"{",
    (
        BROKEN,
        ("consumer", b"router"),
        ("reason", b"invalid_json"),
        ("topic", b"payments"),
        ("partition", b"0"),
        ("offset", b"3"),
    ),
)
LETTER_ID = "invalid_json at router: payments/0/3"
SCORES = [record("payments", 10 + number, score(number)) for number in (1, 2, 3)]
INPUTS = [record("payments", number - 1, payment(number)) for number in (1, 2, 3)]
FIRST, SECOND, THIRD = TIMELINE = [
    record("timeline-customer", number - 1, payment(number), key=b"c-1") for number in (1, 2, 3)
]
KNOWN = [history(), history(FIRST), history(FIRST, SECOND)]


def decisions(agent: str, *, tell: bool) -> list[DecisionRow]:
    return [
        decision(agent, one, known, [score] if tell else [], at=500.0 + one.offset)
        for one, known, score in zip(TIMELINE, KNOWN, SCORES, strict=True)
    ]


FRAUD, CONFIRMATION = decisions("fraud", tell=True), decisions("confirmation", tell=False)
CLEAN = Evidence(
    acknowledged={"e1 of urn:shop", "e2 of urn:shop", "e3 of urn:shop"},
    domain=[*INPUTS, RUBBISH, *SCORES],
    dead_letters=[LETTER],
    timelines={"timeline-customer": TIMELINE},
    decisions=[*FRAUD, *CONFIRMATION],
    dead_rows=[DeadRow("router", "invalid_json", ("payments", 0, 3))],
)


def found(disturbances: list[Disturbance] | None = None, *, fenced: bool = False, **changed: Any) -> dict[str, Any]:
    return audit(replace(CLEAN, **changed), disturbances or [], fenced=fenced).broken()


def test_a_clean_run_has_no_findings() -> None:
    assert audit(CLEAN, []) == Findings()


def test_a_binary_event_is_an_input_like_any_other() -> None:
    headers = (("ce_id", b"e4"), ("ce_type", b"ErrorOccurred"), ("ce_source", b"urn:shop"))
    binary = Logged("platform", 0, 4, 500.0, b"o", b'{"service": "stock"}', headers)
    assert found(domain=[*CLEAN.domain, binary]) == {
        "undecided": ["e4 of urn:shop by cascade", "e4 of urn:shop by incident"]
    }


def test_a_message_of_an_agent_is_an_input_like_any_other() -> None:
    scored = {**score(3), "data": {"score": 3, "order_id": "o-1"}}
    message = record("payments", 13, scored)
    told = decision("fraud", THIRD, KNOWN[2], [message], at=502.0)
    assert found(domain=[*INPUTS, RUBBISH, *SCORES[:2], message], decisions=[*FRAUD[:2], told, *CONFIRMATION]) == {
        "undecided": ["m3 of urn:innervate:agent:fraud by fulfilment", "m3 of urn:innervate:agent:fraud by recovery"]
    }


def test_an_event_that_names_nobody_is_nobodys_to_decide() -> None:
    lonely = {**payment(4), "data": {"customer_id": None, "payment_id": "p4", "amount_minor": 100}}
    assert found(domain=[*CLEAN.domain, record("payments", 4, lonely)]) == {}


def test_an_acknowledged_event_that_is_not_in_kafka_is_a_fault_of_kafka() -> None:
    assert found(acknowledged={"e1 of urn:shop", "e9 of urn:shop"}) == {"lost_by_kafka": ["e9 of urn:shop"]}
    assert found(acknowledged={"e1 of urn:else"}) == {"lost_by_kafka": ["e1 of urn:else"]}


def test_a_lost_input_is_found() -> None:
    assert found(decisions=[*FRAUD[:2], *CONFIRMATION], domain=[*INPUTS, RUBBISH, *SCORES[:2]]) == {
        "undecided": ["e3 of urn:shop by fraud"]
    }
    assert found(decisions=[*FRAUD, *CONFIRMATION[:2]]) == {"undecided": ["e3 of urn:shop by confirmation"]}


def test_a_lost_message_is_found() -> None:
    assert found(domain=[*INPUTS, RUBBISH, *SCORES[:2]]) == {"unpublished": ["m3"]}


def test_a_message_that_waits_or_was_refused_is_found() -> None:
    assert found(unpublished=["m3"], refused=["m2"]) == {"left_in_outbox": ["m3"], "refused": ["m2"]}


def test_a_doubled_decision_is_found() -> None:
    assert found(decisions=[*CLEAN.decisions, CONFIRMATION[2]]) == {"decided_twice": ["e3 of urn:shop by confirmation"]}


def test_a_decision_on_an_event_nobody_sent_is_found() -> None:
    assert found(domain=[*INPUTS[:2], RUBBISH, *SCORES], acknowledged=set()) == {
        "decided_on_nothing": ["e3 of urn:shop by confirmation", "e3 of urn:shop by fraud"],
        "routed_from_nothing": ["e3 of urn:shop"],
    }


def test_an_event_of_an_aborted_transaction_that_is_remembered_is_found() -> None:
    aborted = record("timeline-customer", 3, {**payment(4), "type": "PaymentFailed"}, key=b"c-1")
    assert found(timelines={"timeline-customer": [*TIMELINE, aborted]}) == {"routed_from_nothing": ["e4 of urn:shop"]}


def test_a_decision_of_an_agent_that_does_not_react_to_the_event_is_found() -> None:
    stray = decision("recovery", FIRST, history())
    assert found(decisions=[*CLEAN.decisions, stray])["decided_on_nothing"] == ["e1 of urn:shop by recovery"]


def test_an_uncommitted_message_is_found() -> None:
    assert found(domain=[*CLEAN.domain, record("payments", 14, score(9))]) == {"uncommitted": ["m9"]}


def held(status: str) -> DecisionRow:
    """The decision on the third payment as one that a person was asked about; otherwise it says m9."""
    message = {"id": "m9", "topic": "payments", "key": "o-1", "value": json.dumps(score(9)), "headers": []}
    return replace(FRAUD[2], status=status, content=json.dumps({"messages": [], "effects": [], "otherwise": [message]}))


def test_a_held_decision_publishes_nothing_and_what_it_leaks_is_found() -> None:
    decided = [*FRAUD[:2], held("held"), *CONFIRMATION]
    assert found(decisions=decided, domain=[*INPUTS, RUBBISH, *SCORES[:2]]) == {}
    assert found(decisions=decided) == {"uncommitted": ["m3"]}
    otherwise = record("payments", 14, score(9))
    assert found(decisions=decided, domain=[*INPUTS, RUBBISH, *SCORES[:2], otherwise]) == {"uncommitted": ["m9"]}


def test_an_approved_decision_publishes_its_own_messages_and_not_the_others() -> None:
    decided = [*FRAUD[:2], held("committed"), *CONFIRMATION]
    assert found(decisions=decided) == {}
    assert found(decisions=decided, domain=[*CLEAN.domain, record("payments", 14, score(9))]) == {"uncommitted": ["m9"]}


def test_a_rejected_decision_publishes_what_it_says_otherwise_to_the_letter() -> None:
    decided = [*FRAUD[:2], held("rejected"), *CONFIRMATION]
    without = [*INPUTS, RUBBISH, *SCORES[:2]]
    assert found(decisions=decided, domain=[*without, record("payments", 14, score(9))]) == {}
    assert found(decisions=decided, domain=without) == {"unpublished": ["m9"]}
    assert found(decisions=decided) == {"unpublished": ["m9"], "uncommitted": ["m3"]}
    altered = record("payments", 14, {**score(9), "data": {"score": 8}})
    assert found(decisions=decided, domain=[*without, altered]) == {"altered": ["m9"]}


def test_a_message_that_says_something_else_than_was_committed_is_found() -> None:
    other = record("payments", 13, {**score(3), "data": {"score": 99}})
    assert found(domain=[*INPUTS, RUBBISH, *SCORES[:2], other]) == {"altered": ["m3"]}
    elsewhere = replace(SCORES[2], key=b"o-2")
    assert found(domain=[*INPUTS, RUBBISH, *SCORES[:2], elsewhere]) == {"altered": ["m3"]}


def test_a_reordered_message_is_found() -> None:
    first, second, third = SCORES
    assert found(domain=[*INPUTS, RUBBISH, first, third, second]) == {"out_of_order": ["m2"]}


@pytest.mark.parametrize(
    ("before_at", "after_at"),
    [
        pytest.param(999.0, 1020.0, id="sent before the fault and again after it"),
        pytest.param(1015.0, 999.5, id="sent by a worker that was frozen meanwhile"),
        pytest.param(1029.0, 1040.0, id="first sent while the fault has its aftermath"),
    ],
)
def test_a_repeat_around_a_fault_is_allowed_and_counted(before_at: float, after_at: float) -> None:
    before, after = replace(SCORES[2], at=before_at), replace(SCORES[2], at=after_at, offset=14)
    findings = audit(replace(CLEAN, domain=[*INPUTS, RUBBISH, *SCORES[:2], before, after]), [KILL])
    assert (findings.broken(), findings.repeats) == ({}, 1)


@pytest.mark.parametrize(("before_at", "after_at"), [(500.0, 999.0), (1031.0, 1032.0)])
def test_a_repeat_without_a_fault_is_found(before_at: float, after_at: float) -> None:
    before, after = replace(SCORES[2], at=before_at), replace(SCORES[2], at=after_at, offset=14)
    domain = [*INPUTS, RUBBISH, *SCORES[:2], before, after]
    assert found([KILL], domain=domain) == {"repeated_for_no_reason": ["m3"]}


def test_a_repeat_with_other_bytes_is_found() -> None:
    other = replace(SCORES[2], at=1020.0, offset=14, value=json.dumps(score(3), indent=1).encode())
    before = replace(SCORES[2], at=999.0)
    assert found([KILL], domain=[*INPUTS, RUBBISH, *SCORES[:2], before, other]) == {"altered": ["m3"]}


def test_fenced_workers_may_not_repeat_at_all() -> None:
    again = replace(SCORES[2], at=1020.0, offset=14)
    domain = [*INPUTS, RUBBISH, *SCORES[:2], replace(SCORES[2], at=999.0), again]
    assert found([KILL], fenced=True, domain=domain) == {"repeated_for_no_reason": ["m3"]}


def test_more_repeats_than_a_batch_are_found() -> None:
    copies = [replace(SCORES[2], at=1001.0 + number / 100, offset=13 + number) for number in range(LANE_BATCH + 2)]
    domain = [*INPUTS, RUBBISH, *SCORES[:2], *copies]
    [finding] = found([KILL], domain=domain)["repeated_too_often"]
    assert finding.startswith(f"{LANE_BATCH + 1} in lane ")
    assert found([KILL], domain=domain[:-1]) == {}


def test_a_dropped_input_is_found() -> None:
    assert found(dead_rows=[], dead_letters=[]) == {"dropped": ["payments/0/3"]}


def test_a_good_event_among_the_dead_letters_is_found() -> None:
    row = DeadRow("router", "refused", ("payments", 0, 1))
    letter = replace(
        LETTER,
        headers=tuple((k, {"reason": b"refused", "offset": b"1"}.get(k, v)) for k, v in LETTER.headers),
        value=INPUTS[1].value,
        key=b"o-1",
    )
    assert found(dead_rows=[*CLEAN.dead_rows, row], dead_letters=[LETTER, letter]) == {"buried_alive": ["payments/0/1"]}


def test_a_dead_letter_is_a_message_like_any_other() -> None:
    assert found(dead_letters=[]) == {"unpublished": [LETTER_ID]}
    assert found(dead_rows=[]) == {"dropped": ["payments/0/3"], "uncommitted": [LETTER_ID]}
    assert found(dead_letters=[replace(LETTER, value=b"[")]) == {"altered": [LETTER_ID]}
    assert found(dead_letters=[LETTER, LETTER]) == {"repeated_for_no_reason": [LETTER_ID]}


@pytest.mark.parametrize(
    "known",
    [
        pytest.param(history(FIRST), id="one event too few"),
        pytest.param(history(FIRST, SECOND, THIRD), id="one event too many"),
        pytest.param(history(SECOND, FIRST), id="in another order"),
        pytest.param({**KNOWN[2], "sha256": KNOWN[1]["sha256"]}, id="with other bytes"),
    ],
)
def test_a_wrong_window_is_found(known: dict[str, Any]) -> None:
    wrong = decision("fraud", THIRD, known, [SCORES[2]], at=502.0)
    assert found(decisions=[*FRAUD[:2], wrong, *CONFIRMATION]) == {"wrong_history": ["e3 of urn:shop by fraud"]}


def test_a_decision_that_names_the_wrong_place_is_found() -> None:
    elsewhere = replace(FRAUD[2], place=SECOND.place)
    assert found(decisions=[*FRAUD[:2], elsewhere, *CONFIRMATION]) == {"wrong_history": ["e3 of urn:shop by fraud"]}


def error() -> dict[str, Any]:
    return {
        "id": "x1",
        "source": "urn:shop",
        "type": "ErrorOccurred",
        "time": "2025-03-01T10:00:00Z",
        "data": {"order_id": "o-1", "service": "stock"},
    }


PLACED = record("timeline-order", 0, {**error(), "id": "b1", "type": "InventoryReserved"})
STRANGE = record("timeline-order", 1, {**error(), "id": "b2", "type": "OrderAdmired"})
ORDERED = [replace(one, topic="orders") for one in (PLACED, STRANGE)]


@pytest.mark.parametrize(
    ("known", "expected"),
    [(history(PLACED), {}), (history(), {"wrong_history": ["x1 of urn:shop by root_cause"]})],
)
def test_each_agent_knows_what_it_remembers_of_its_own_timeline(known: dict[str, Any], expected: object) -> None:
    of_order, of_service = record("timeline-order", 2, error()), record("timeline-service", 0, error(), key=b"stock")
    planted = found(
        domain=[*CLEAN.domain, *ORDERED, record("platform", 0, error())],
        timelines={
            "timeline-customer": TIMELINE,
            "timeline-order": [PLACED, STRANGE, of_order],
            "timeline-service": [of_service],
        },
        decisions=[
            *CLEAN.decisions,
            decision("root_cause", of_order, known),
            decision("incident", of_service, history()),
            decision("cascade", of_service, history()),
        ],
    )
    assert planted == expected
