"""The audit finds every kind of broken promise, planted one at a time into a history that is clean."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
from audit import LANE_BATCH, DeadRow, DecisionRow, Disturbance, Evidence, Findings, Logged, audit
from load import BROKEN

KILL = Disturbance("kill", 1000.0, 1010.0)


def record(topic: str, offset: int, value: Any, *, key: bytes = b"o-1", at: float = 500.0, **headers: bytes) -> Logged:
    return Logged(topic, 0, offset, at, key, json.dumps(value).encode(), tuple(headers.items()))


def payment(number: int) -> dict[str, Any]:
    return {
        "id": f"e{number}",
        "source": "urn:shop",
        "type": "PaymentSucceeded",
        "time": f"2025-03-01T09:0{number}:00Z",
    }


def score(number: int) -> dict[str, Any]:
    return {"id": f"m{number}", "source": "urn:innervate:agent:fraud", "type": "FraudScored", "data": {"score": number}}


def history(*numbers: int) -> dict[str, Any]:
    payloads = [(number - 1, json.dumps(payment(number)).encode()) for number in numbers]
    digest = hashlib.sha256(
        b"".join(offset.to_bytes(8, "big") + len(one).to_bytes(4, "big") + one for offset, one in payloads)
    )
    return {"offsets": [offset for offset, _ in payloads], "sha256": digest.hexdigest()}


def decision(number: int, known: dict[str, Any]) -> DecisionRow:
    message = {"id": f"m{number}", "topic": "payments", "key": "o-1", "value": score(number)}
    place = ("timeline-customer", 0, number - 1)
    return DecisionRow(
        agent="fraud",
        event_id=f"e{number}",
        place=place,
        history=known,
        messages=[message],
        committed_at=500.0 + number,
    )


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
CLEAN = Evidence(
    acknowledged={"e1", "e2", "e3"},
    payments=[*INPUTS, RUBBISH, *SCORES],
    dead_letters=[LETTER],
    timeline=[record("timeline-customer", number - 1, payment(number), key=b"c-1") for number in (1, 2, 3)],
    decisions=[decision(1, history()), decision(2, history(1)), decision(3, history(1, 2))],
    dead_rows=[DeadRow("router", "invalid_json", ("payments", 0, 3))],
)


def found(disturbances: list[Disturbance] | None = None, *, fenced: bool = False, **changed: Any) -> dict[str, Any]:
    return audit(replace(CLEAN, **changed), disturbances or [], fenced=fenced).broken()


def test_a_clean_run_has_no_findings() -> None:
    assert audit(CLEAN, []) == Findings()


def test_a_binary_event_is_an_input_like_any_other() -> None:
    binary = Logged("payments", 0, 4, 500.0, b"o", b"{}", (("ce_id", b"e4"), ("ce_type", b"PaymentSucceeded")))
    assert found(payments=[*CLEAN.payments, binary]) == {"undecided": ["e4"]}


def test_an_acknowledged_event_that_is_not_in_kafka_is_a_fault_of_kafka() -> None:
    assert found(acknowledged={"e1", "e9"}) == {"lost_by_kafka": ["e9"]}


def test_a_lost_input_is_found() -> None:
    assert found(decisions=CLEAN.decisions[:2], payments=[*INPUTS, RUBBISH, *SCORES[:2]]) == {"undecided": ["e3"]}


def test_a_lost_message_is_found() -> None:
    assert found(payments=[*INPUTS, RUBBISH, *SCORES[:2]]) == {"unpublished": ["m3"]}


def test_a_message_that_waits_or_was_refused_is_found() -> None:
    assert found(unpublished=["m3"], refused=["m2"]) == {"left_in_outbox": ["m3"], "refused": ["m2"]}


def test_a_doubled_decision_is_found() -> None:
    twice = replace(CLEAN.decisions[2], messages=[])
    assert found(decisions=[*CLEAN.decisions, twice]) == {"decided_twice": ["e3"]}


def test_a_decision_on_an_event_nobody_sent_is_found() -> None:
    assert found(payments=[*INPUTS[:2], RUBBISH, *SCORES], acknowledged=set()) == {"decided_on_nothing": ["e3"]}


def test_an_uncommitted_message_is_found() -> None:
    assert found(payments=[*CLEAN.payments, record("payments", 14, score(9))]) == {"uncommitted": ["m9"]}


def test_a_message_that_says_something_else_than_was_committed_is_found() -> None:
    other = record("payments", 13, {**score(3), "data": {"score": 99}})
    assert found(payments=[*INPUTS, RUBBISH, *SCORES[:2], other]) == {"altered": ["m3"]}
    elsewhere = replace(SCORES[2], key=b"o-2")
    assert found(payments=[*INPUTS, RUBBISH, *SCORES[:2], elsewhere]) == {"altered": ["m3"]}


def test_a_reordered_message_is_found() -> None:
    first, second, third = SCORES
    assert found(payments=[*INPUTS, RUBBISH, first, third, second]) == {"out_of_order": ["m2"]}


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
    findings = audit(replace(CLEAN, payments=[*INPUTS, RUBBISH, *SCORES[:2], before, after]), [KILL])
    assert (findings.broken(), findings.repeats) == ({}, 1)


@pytest.mark.parametrize(("before_at", "after_at"), [(500.0, 999.0), (1031.0, 1032.0)])
def test_a_repeat_without_a_fault_is_found(before_at: float, after_at: float) -> None:
    before, after = replace(SCORES[2], at=before_at), replace(SCORES[2], at=after_at, offset=14)
    payments = [*INPUTS, RUBBISH, *SCORES[:2], before, after]
    assert found([KILL], payments=payments) == {"repeated_for_no_reason": ["m3"]}


def test_a_repeat_with_other_bytes_is_found() -> None:
    other = replace(SCORES[2], at=1020.0, offset=14, value=json.dumps(score(3), indent=1).encode())
    before = replace(SCORES[2], at=999.0)
    assert found([KILL], payments=[*INPUTS, RUBBISH, *SCORES[:2], before, other]) == {"altered": ["m3"]}


def test_fenced_workers_may_not_repeat_at_all() -> None:
    again = replace(SCORES[2], at=1020.0, offset=14)
    payments = [*INPUTS, RUBBISH, *SCORES[:2], replace(SCORES[2], at=999.0), again]
    assert found([KILL], fenced=True, payments=payments) == {"repeated_for_no_reason": ["m3"]}


def test_more_repeats_than_a_batch_are_found() -> None:
    copies = [replace(SCORES[2], at=1001.0 + number / 100, offset=13 + number) for number in range(LANE_BATCH + 2)]
    payments = [*INPUTS, RUBBISH, *SCORES[:2], *copies]
    [finding] = found([KILL], payments=payments)["repeated_too_often"]
    assert finding.startswith(f"{LANE_BATCH + 1} in lane ")
    assert found([KILL], payments=payments[:-1]) == {}


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
        pytest.param(history(1), id="one event too few"),
        pytest.param(history(1, 2, 3), id="one event too many"),
        pytest.param(history(2, 1), id="in another order"),
        pytest.param({**history(1, 2), "sha256": history(1)["sha256"]}, id="with other bytes"),
    ],
)
def test_a_wrong_window_is_found(known: dict[str, Any]) -> None:
    assert found(decisions=[*CLEAN.decisions[:2], decision(3, known)]) == {"wrong_history": ["e3"]}


def test_a_decision_that_names_the_wrong_place_is_found() -> None:
    elsewhere = replace(CLEAN.decisions[2], place=("timeline-customer", 0, 1))
    assert found(decisions=[*CLEAN.decisions[:2], elsewhere]) == {"wrong_history": ["e3"]}
