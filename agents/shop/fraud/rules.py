"""Fraud: scores each payment against the customer's own recent past.

Points are added per family of signs (see `signs`) and capped at 100; from 40 a person should look, from 70 the payment
is blocked, and a blocked payment is given back. So no payment is blocked unless two independent families have a strong
sign each: without them the score ends at 69. How it judges, on a table of cases, is in `docs/fraud.md`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final, Literal

from agents.model.agent import Agent
from agents.model.decision import Decision
from agents.model.history import History
from agents.shop.entities import customer
from agents.shop.events import ChargebackReceived, FraudScored, PaymentFailed, PaymentSucceeded
from agents.shop.fraud.past import ENOUGH_ORDERS, past_of_customer
from agents.shop.fraud.signs import signs_in, strong_families
from tables.window import WindowSpec

fraud = Agent(
    name="fraud",
    version="1",
    entity=customer,
    reacts_to=(PaymentSucceeded,),
    remembers=(PaymentSucceeded, PaymentFailed, ChargebackReceived),
    # As long as most card schemes allow a payment to be disputed (Visa and Mastercard: 120 days).
    window=WindowSpec(events=50, age=timedelta(days=120)),
    # Counted apart, so that declined cards do not push out the payments to compare with, nor payments the chargebacks.
    slots={PaymentFailed: 50, ChargebackReceived: 20},
)

REVIEW_FROM: Final = 40
BLOCK_FROM: Final = 70
#: Independent families with a strong sign that it takes to block a payment.
FAMILIES_TO_BLOCK: Final = 2


@fraud.rules
def score(payment: PaymentSucceeded, history: History) -> Decision:
    """Decide approve, review or block from the signs found."""
    past = past_of_customer(payment, history)
    signs = signs_in(past)
    found = min(100, sum(sign.points for sign in signs))
    agreed = strong_families(signs) >= FAMILIES_TO_BLOCK
    points = found if agreed else min(found, BLOCK_FROM - 1)
    verdict = _verdict(points)
    reasons = tuple(map(str, signs))
    capped = f" (of {found}: strong signs of {FAMILIES_TO_BLOCK} independent families are missing)"
    return Decision(
        outcome=verdict,
        reason=f"score {points}{capped if points < found else ''}: {'; '.join(reasons) or 'nothing unusual'}",
        confidence=_confidence(points, len(past.settled)),
        emit=[
            FraudScored(
                payment_id=payment.payment_id,
                order_id=payment.order_id,
                customer_id=payment.customer_id,
                score=points,
                verdict=verdict,
                reasons=reasons,
            )
        ],
    )


def _verdict(points: int) -> Literal["approve", "review", "block"]:
    if points >= BLOCK_FROM:
        return "block"
    return "review" if points >= REVIEW_FROM else "approve"


def _confidence(points: int, known: int) -> float:
    """Far from a threshold and with some past to compare with, the rules are surer; never fully sure."""
    distance = min(abs(points - REVIEW_FROM), abs(points - BLOCK_FROM)) / REVIEW_FROM
    experience = min(1.0, known / ENOUGH_ORDERS)
    return round(0.5 + 0.25 * min(1.0, distance) + 0.2 * experience, 2)
