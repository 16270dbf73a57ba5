"""Fraud's choice: a verdict at most one step away from that of the rules.

A payment the rules block is never approved and one they approve is never blocked, whatever a model is made to believe.
A milder verdict than that of the rules waits for a person; without one, that of the rules is published. A model's block
counts as a review unless the rules block too: money goes back by itself only where independent signs agree.
The score is that of the rules, moved to the nearest one of the verdict chosen, so that both always agree.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import Field

from agents.model.choice import Choice
from agents.model.decision import Decision
from agents.model.forms import Sureness, downgraded, not_permitted, told
from agents.model.history import History
from agents.shop.events import FraudScored, PaymentSucceeded
from agents.shop.fraud.rules import BLOCK_FROM, REVIEW_FROM, fraud

SignName = Literal[
    "many_payments", "unusual_amount", "new_country", "new_device", "failed_payments", "chargebacks", "other"
]

#: What is published of a sign. That a model saw it is said, for nobody counted.
WORDS: Final[Mapping[SignName, str]] = {
    "many_payments": "a model sees many payments in a short time",
    "unusual_amount": "a model sees an unusual amount",
    "new_country": "a model sees a country that is new for the customer",
    "new_device": "a model sees a device that is new for the customer",
    "failed_payments": "a model sees failed payments before this one",
    "chargebacks": "a model sees chargebacks before this one",
    "other": "a model sees something else unusual",
}

#: The verdicts from the mildest, with their lowest and highest score.
_BANDS: Final[Mapping[str, tuple[int, int]]] = {
    "approve": (0, REVIEW_FROM - 1),
    "review": (REVIEW_FROM, BLOCK_FROM - 1),
    "block": (BLOCK_FROM, 100),
}


class FraudChoice(Choice):
    """Judge whether the card payment to decide on is fraud.

    Compare it with what the customer's earlier events show: how often and how much they pay, from which countries and
    devices, failed payments, chargebacks. Choose "approve" for an ordinary payment, "review" when a person should look
    at it, "block" when it is clearly fraud; a blocked payment is given back. Name the signs of fraud that you see; a
    payment without any needs none.
    """

    signs: Annotated[
        tuple[SignName, ...], Field(max_length=6, description="The signs of fraud you see, the worst first.")
    ]
    verdict: Literal["approve", "review", "block"]
    confidence: Sureness


@fraud.model(FraudChoice)
def judge(choice: FraudChoice, payment: PaymentSucceeded, _: History, by_rules: Decision) -> Decision:
    """Take the verdict of a model when the rules are no farther than one step away."""
    verdicts = list(_BANDS)
    stricter_by = verdicts.index(choice.verdict) - verdicts.index(by_rules.outcome)
    if abs(stricter_by) > 1:
        raise not_permitted(f"the rules say {by_rules.outcome}, so {choice.verdict} is too far from it")
    # The rules block what two independent families agree on; what they do not block, a model cannot either.
    verdict = "review" if choice.verdict == "block" and stricter_by > 0 else choice.verdict
    [scored] = by_rules.emit
    assert isinstance(scored, FraudScored)
    lowest, highest = _BANDS[verdict]
    judged = FraudScored(
        payment_id=payment.payment_id,
        order_id=payment.order_id,
        customer_id=payment.customer_id,
        score=min(max(scored.score, lowest), highest),
        verdict=verdict,
        reasons=(*scored.reasons, *(WORDS[sign] for sign in dict.fromkeys(choice.signs))),
    )
    decision = Decision(
        outcome=verdict,
        reason=told(verdict, by_rules, choice),
        confidence=min(choice.confidence, by_rules.confidence),
        emit=[judged],
    )
    return downgraded(decision, by_rules) if stricter_by < 0 else decision
