"""Holding: what a person has to agree to, as an operator said it."""

from __future__ import annotations

import pytest
from fakes import PAYMENT

from agents.model.decision import Decision
from agents.model.holding import HoldPolicy
from agents.shop.events import CustomerNotified, PaymentSucceeded
from agents.shop.refunds import Refund
from agents.shop.refunds import refund as given_back


def refund(amount_minor: int, payment_id: str = "p-1", currency: str = "EUR") -> Refund:
    capture = PaymentSucceeded(**{**PAYMENT, "payment_id": payment_id, "currency": currency})
    return given_back(capture=capture, amount_minor=amount_minor, cause="cause", reason="sorry")


def refunding(*effects: Refund, confidence: float = 1.0, hold: str | None = None) -> Decision:
    return Decision(outcome="refund_and_cancel", reason="", effects=effects, confidence=confidence, hold=hold)


def test_nothing_waits_unless_it_is_said() -> None:
    assert HoldPolicy().reason(refunding(refund(2000), confidence=0.0)) is None


@pytest.mark.parametrize(("amount_minor", "reason"), [(999, None), (1000, None), (1001, "amount")])
def test_refunds_beyond_the_sum_wait_and_the_sum_itself_does_not(amount_minor: int, reason: str | None) -> None:
    assert HoldPolicy(moves_over_minor=1000).reason(refunding(refund(amount_minor))) == reason


def test_the_refunds_of_one_decision_count_together_whatever_their_currencies() -> None:
    both = refunding(refund(600, "p-1"), refund(600, "p-2", currency="USD"))
    assert HoldPolicy(moves_over_minor=1000).reason(both) == "amount"


def test_a_sum_of_zero_lets_no_refund_go_without_a_person() -> None:
    policy = HoldPolicy(moves_over_minor=0)
    assert policy.reason(refunding(refund(1))) == "amount"
    assert policy.reason(refunding()) is None


@pytest.mark.parametrize(("confidence", "reason"), [(0.59, "confidence"), (0.6, None), (1.0, None)])
def test_less_confidence_than_asked_for_waits_and_just_as_much_does_not(confidence: float, reason: str | None) -> None:
    assert HoldPolicy(confidence_under=0.6).reason(refunding(refund(1), confidence=confidence)) == reason


def test_a_decision_that_only_publishes_needs_the_confidence_too() -> None:
    told = CustomerNotified(customer_id="ada", order_id="o-1", message="hello")
    said = Decision(outcome="told", reason="", confidence=0.1, emit=(told,))
    assert HoldPolicy(confidence_under=0.6).reason(said) == "confidence"


def test_nobody_is_asked_about_a_guess_that_does_nothing() -> None:
    assert HoldPolicy(confidence_under=0.6).reason(Decision(outcome="ignored", reason="", confidence=0.1)) is None


def test_a_named_outcome_always_waits() -> None:
    policy = HoldPolicy(outcomes={"refund_and_cancel", "cancel"})
    assert policy.reason(refunding()) == "outcome"
    assert policy.reason(Decision(outcome="escalate", reason="")) is None


def test_the_reason_is_the_agents_own_then_the_amount_then_the_confidence_then_the_outcome() -> None:
    policy = HoldPolicy(moves_over_minor=10, confidence_under=0.6, outcomes={"refund_and_cancel"})
    assert policy.reason(refunding(refund(11), confidence=0.1, hold="doubtful")) == "doubtful"
    assert HoldPolicy().reason(refunding(hold="doubtful")) == "doubtful"
    assert policy.reason(refunding(refund(11), confidence=0.1)) == "amount"
    assert policy.reason(refunding(refund(10), confidence=0.1)) == "confidence"
    assert policy.reason(refunding(refund(10), confidence=0.6)) == "outcome"


@pytest.mark.parametrize("wrong", [{"moves_over_minor": -1}, {"confidence_under": 1.1}, {"confidence_under": -0.1}])
def test_a_policy_that_cannot_be_meant_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        HoldPolicy(**wrong)  # type: ignore[arg-type]
