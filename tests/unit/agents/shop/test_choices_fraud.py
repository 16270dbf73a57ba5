"""What a language model may choose for fraud: a verdict one step from the rules' own, and signs of a closed list."""

from __future__ import annotations

from typing import Any

import pytest
from choosing import HOSTILE, by_rules, chosen, fill, refused
from fakes import paid
from fraud_cases import disputed, orders, refusals

from agents.model.decision import Decision
from agents.model.errors import Violation
from agents.shop.events import FraudScored
from agents.shop.fraud.rules import fraud
from tables.event import Event

#: What came before the payment, by what the rules say then: no points, four declined cards of 40, two chargebacks and
#: ten orders within ten minutes of 80.
BEFORE: dict[str, tuple[Event, ...]] = {
    "approve": (),
    "review": tuple(refusals(4)),
    "block": (disputed("b-1", 9), disputed("b-2", 9), *orders(10)),
}


def judged(before: str, verdict: str, *signs: str, confidence: float = 0.6) -> Decision:
    return chosen(fraud, paid("now"), *BEFORE[before], verdict=verdict, signs=signs, confidence=confidence)


def published(decision: Decision) -> FraudScored:
    [event] = decision.emit
    assert isinstance(event, FraudScored)
    assert not decision.effects
    return event


@pytest.mark.parametrize(
    ("before", "verdict", "score"),
    [
        ("approve", "approve", 0),
        ("approve", "review", 40),
        ("review", "approve", 39),
        ("review", "review", 40),
        ("review", "block", 40),
        ("block", "review", 69),
        ("block", "block", 80),
    ],
)
def test_a_verdict_one_step_away_is_taken_with_the_nearest_score_but_a_block_of_a_model_alone_is_a_review(
    before: str, verdict: str, score: int
) -> None:
    decision = judged(before, verdict)

    assert by_rules(fraud, paid("now"), *BEFORE[before]).outcome == before
    taken = "review" if (before, verdict) == ("review", "block") else verdict
    assert (decision.outcome, published(decision).verdict, published(decision).score) == (taken, taken, score)
    assert decision.reason == f"{taken}, by the rules {before}; a model says: {HOSTILE}"


@pytest.mark.parametrize(("before", "verdict"), [("review", "approve"), ("block", "review")])
def test_a_milder_verdict_than_the_rules_waits_for_a_person_who_else_gets_theirs(before: str, verdict: str) -> None:
    decision = judged(before, verdict)

    assert (decision.hold, decision.outcome) == ("downgrade", verdict)
    assert decision.otherwise == by_rules(fraud, paid("now"), *BEFORE[before]).emit


@pytest.mark.parametrize(("before", "verdict"), [("approve", "approve"), ("approve", "review"), ("block", "block")])
def test_the_same_verdict_or_a_stricter_one_waits_for_nobody(before: str, verdict: str) -> None:
    assert judged(before, verdict).hold is None


@pytest.mark.parametrize(("before", "verdict"), [("approve", "block"), ("block", "approve")])
def test_what_the_rules_block_is_never_approved_and_what_they_approve_never_blocked(before: str, verdict: str) -> None:
    given = {"verdict": verdict, "signs": [], "confidence": 1.0}
    assert refused(fraud, paid("now"), *BEFORE[before], **given) is Violation.NOT_PERMITTED


def test_the_rules_reasons_and_our_words_for_each_sign_are_published_and_nothing_a_model_wrote() -> None:
    event = published(judged("review", "review", "new_device", "chargebacks", "new_device", "other"))

    assert event.reasons == (
        "declines: 4 cards declined within an hour",
        "a model sees a device that is new for the customer",
        "a model sees chargebacks before this one",
        "a model sees something else unusual",
    )
    assert (event.payment_id, event.order_id, event.customer_id) == ("p-now", "o-1", "ada")


def test_a_model_is_no_surer_than_the_rules_but_may_be_less_sure() -> None:
    assert by_rules(fraud, paid("now")).confidence == 0.75
    assert judged("approve", "review", confidence=1.0).confidence == 0.75
    assert judged("approve", "review", confidence=0.2).confidence == 0.2


@pytest.mark.parametrize(
    "changed",
    [
        {"verdict": "refund"},
        {"verdict": None},
        {"signs": [HOSTILE]},
        {"signs": ["other"] * 7},
        {"signs": None},
        {"confidence": 1.01},
        {"confidence": -0.01},
        {"confidence": "high"},
        {"score": 0},
        {"rationale": ""},
        {"rationale": "x" * 401},
    ],
)
def test_what_is_not_on_the_lists_is_no_form(changed: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(changed))):
        fill(fraud, **{"verdict": "approve", "signs": [], "confidence": 0.5} | changed)


def test_a_number_that_is_none_is_no_confidence() -> None:
    form = '{"rationale": "r", "verdict": "approve", "signs": [], "confidence": NaN}'
    with pytest.raises(ValueError, match="confidence"):
        type(fill(fraud, verdict="approve", signs=[], confidence=1)).model_validate_json(form)
