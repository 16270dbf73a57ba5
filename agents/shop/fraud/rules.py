"""Fraud: scores each payment against the customer's own recent past.

Payments are counted, not reports of them: one that is reported again, under whatever event id, is the same payment.

Points are added per sign and capped at 100; from 40 a person should look, from 70 the payment is blocked. The signs
and their weights are our own starting point, after the common card-not-present signals (velocity, amount, location,
device, dispute history); a team is expected to tune them against its own chargebacks with the time machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from statistics import median
from typing import Final, Literal, TypeVar

from agents.model.agent import Agent
from agents.model.decision import Decision
from agents.model.history import History, Past
from agents.shop.entities import customer
from agents.shop.events import ChargebackReceived, FraudScored, PaymentFailed, PaymentSucceeded
from agents.shop.events.payments import PaymentEvent
from tables.window import WindowSpec

fraud = Agent(
    name="fraud",
    entity=customer,
    reacts_to=(PaymentSucceeded,),
    remembers=(PaymentSucceeded, PaymentFailed, ChargebackReceived),
    window=WindowSpec(events=50, age=timedelta(days=30)),
)

REVIEW_FROM: Final = 40
BLOCK_FROM: Final = 70

#: Attempts within this time count as one burst.
BURST: Final = timedelta(minutes=10)
#: Payments a customer needs before an amount, a country or a device can be unusual for them.
ENOUGH_PAYMENTS: Final = 3

Sign = tuple[int, str]
P = TypeVar("P", bound=PaymentEvent)


@fraud.rules
def score(payment: PaymentSucceeded, history: History) -> Decision:
    """Decide approve, review or block from the signs found."""
    earlier = [past for past in _each_once(history.of(PaymentSucceeded)) if _payment(past.data) != _payment(payment)]
    signs = [
        *_velocity(history.at, earlier),
        *_amount(payment, earlier),
        *_novelty(payment, earlier),
        *_failures(history),
        *_chargebacks(history),
    ]
    points = min(100, sum(points for points, _ in signs))
    verdict = _verdict(points)
    reasons = tuple(reason for _, reason in signs)
    return Decision(
        outcome=verdict,
        reason=f"score {points}: {'; '.join(reasons) or 'nothing unusual'}",
        confidence=_confidence(points, len(earlier)),
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


def _payment(data: PaymentEvent) -> tuple[str, str]:
    """Which payment it is: providers number them for each order, or for all."""
    return data.payment_id, data.order_id


def _each_once(reports: Sequence[Past[P]]) -> Sequence[Past[P]]:
    """The first report of each payment."""
    first: dict[tuple[str, str], Past[P]] = {}
    for past in reports:
        first.setdefault(_payment(past.data), past)
    return list(first.values())


def _velocity(at: datetime, earlier: Sequence[Past[PaymentSucceeded]]) -> Iterator[Sign]:
    burst = sum(timedelta(0) <= at - past.at <= BURST for past in earlier)
    if burst >= 5:
        yield 45, f"{burst} payments in the 10 minutes before"
    elif burst >= 3:
        yield 25, f"{burst} payments in the 10 minutes before"


def _amount(payment: PaymentSucceeded, earlier: Sequence[Past[PaymentSucceeded]]) -> Iterator[Sign]:
    comparable = [past.data.amount_minor for past in earlier if past.data.currency == payment.currency]
    if len(comparable) < ENOUGH_PAYMENTS:
        return
    usual = max(1, median(comparable))
    times = payment.amount_minor / usual
    if times >= 10:
        yield 40, f"amount is {times:.0f} times the customer's median"
    elif times >= 4:
        yield 20, f"amount is {times:.0f} times the customer's median"


def _novelty(payment: PaymentSucceeded, earlier: Sequence[Past[PaymentSucceeded]]) -> Iterator[Sign]:
    if len(earlier) < ENOUGH_PAYMENTS:
        return
    if all(past.data.country != payment.country for past in earlier):
        yield 25, f"first payment from {payment.country}"
    if all(past.data.device_id != payment.device_id for past in earlier):
        yield 15, "first payment from this device"


def _failures(history: History) -> Iterator[Sign]:
    recent = len(_each_once(history.recent(PaymentFailed, timedelta(hours=1))))
    if recent >= 3:
        yield 35, f"{recent} failed payments in the hour before"
    elif recent:
        yield 10, f"{recent} failed payment{'s' if recent > 1 else ''} in the hour before"


def _chargebacks(history: History) -> Iterator[Sign]:
    chargebacks = len(_each_once(history.of(ChargebackReceived)))
    if chargebacks:
        yield (
            min(70, 40 + 15 * (chargebacks - 1)),
            f"{chargebacks} chargeback{'s' if chargebacks > 1 else ''}",
        )


def _confidence(points: int, known: int) -> float:
    """Far from a threshold and with some past to compare with, the rules are surer; never fully sure."""
    distance = min(abs(points - REVIEW_FROM), abs(points - BLOCK_FROM)) / REVIEW_FROM
    experience = min(1.0, known / ENOUGH_PAYMENTS)
    return round(0.5 + 0.25 * min(1.0, distance) + 0.2 * experience, 2)
