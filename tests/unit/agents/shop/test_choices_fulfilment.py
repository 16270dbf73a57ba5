"""What a language model may choose for fulfilment: to go ahead where the rules do, or to let a person look first."""

from __future__ import annotations

import pytest
from choosing import HOSTILE, by_rules, chosen, fill
from fakes import history_of
from stories import captured, happened, placed

from agents.shop.events import (
    EscalationRequested,
    FraudScored,
    FulfilmentRequested,
    OrderCancelled,
    ShipmentRetryRequested,
)
from agents.shop.fulfilment.rules import fulfilment
from tables.event import Event

REQUESTED = (captured("paid", 60), placed(90))
RETRIED = (happened(ShipmentRetryRequested, "retry", 0, reason="try again"), placed(90), captured("paid", 60))


SCORE = happened(
    FraudScored, "score", 0, source="urn:innervate:agent:fraud",
    payment_id="p-1", score=60, verdict="review", reasons=[],
)  # fmt: skip


@pytest.mark.parametrize("timeline", [REQUESTED, RETRIED], ids=["requested", "retried"])
def test_going_ahead_is_what_the_rules_decide(timeline: tuple[Event, ...]) -> None:
    rules, decision = by_rules(fulfilment, *timeline), chosen(fulfilment, *timeline, go_ahead=True)

    assert (decision.outcome, decision.emit, decision.hold, decision.otherwise) == (rules.outcome, rules.emit, None, ())
    assert decision.reason == f"go ahead, by the rules {rules.outcome}; a model says: {HOSTILE}"


@pytest.mark.parametrize("timeline", [REQUESTED, RETRIED], ids=["requested", "retried"])
def test_a_doubt_lets_the_same_decision_wait_for_a_person_and_else_tells_operators(timeline: tuple[Event, ...]) -> None:
    decision = chosen(fulfilment, *timeline, go_ahead=False)

    assert decision.hold == "doubtful"
    assert decision.emit == [FulfilmentRequested(order_id="o-1", customer_id="ada", payment_id="p-1")]
    assert decision.otherwise == (
        EscalationRequested(
            order_id="o-1",
            failure="doubtful",
            reason="the order is known and paid but was not requested from fulfilment: a person decides",
            evidence=(timeline[0].id,),
        ),
    )


@pytest.mark.parametrize(
    "timeline",
    [
        (placed(90),),
        (captured("paid", 60),),
        (placed(90), placed(95)),
        (captured("again", 50), captured("paid", 60), placed(90)),
        (captured("paid", 60), placed(90), happened(OrderCancelled, "off", 70, reason="r")),
        (happened(ShipmentRetryRequested, "retry", 0, reason="r"), placed(90)),
        (captured("paid", 60, currency="USD"), placed(90)),
        (SCORE, captured("paid", 60), placed(90)),
    ],
    ids=["not-paid", "not-known", "known-before", "paid-before", "ended", "nothing-to-retry", "disputed", "review"],
)
def test_a_model_requests_nothing_that_the_rules_do_not(timeline: tuple[Event, ...]) -> None:
    event, *earlier = timeline
    assert not fulfilment.leaves_open(history_of(event, *earlier), by_rules(fulfilment, event, *earlier))


@pytest.mark.parametrize("go_ahead", ["true", 1, None, HOSTILE])
def test_anything_but_true_and_false_is_no_form(go_ahead: object) -> None:
    with pytest.raises(ValueError, match="go_ahead"):
        fill(fulfilment, go_ahead=go_ahead)
