"""Fulfilment: asks for the goods to be packed once an order is known and paid in full, and again when told to retry.

Paid in full: what was captured in the order's currency and given back by nobody covers the worth of the newest version
of the order. Where the accounts disagree nothing is packed and a person is given them. A payment under review holds the
parcel: the request waits for a person, and what a person agrees to is packed though it was called off for the review.

Its own earlier requests are derived from the events that led to them, not from `FulfilmentRequested` alone: that one
may not have reached the timeline yet when the next event is decided.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import Final

from agents.model.agent import Agent
from agents.model.decision import Decision
from agents.model.expectation import Expectation
from agents.model.history import History, Past, past_of
from agents.shop.entities import order as order_entity
from agents.shop.events import (
    ChargebackReceived,
    DomainEvent,
    EscalationRequested,
    FraudScored,
    FulfilmentCancelled,
    FulfilmentRequested,
    OrderCancelled,
    OrderPlaced,
    PaymentSucceeded,
    PriceChanged,
    RefundIssued,
    ShipmentDispatched,
    ShipmentRetryRequested,
)
from agents.shop.fulfilment.readiness import Readiness
from agents.shop.money import amount
from tables.window import WindowSpec

#: What may make an order ready, or hold it.
_REACTS_TO: Final = (OrderPlaced, PaymentSucceeded, ShipmentRetryRequested, FraudScored)

#: How long after a payment its order is requested from fulfilment at the latest. The rules need a moment; the rest is
#: for a person who looks at a payment under review (own choice).
SHIPPED_WITHIN: Final = timedelta(hours=1)


def _calls_off(event: DomainEvent, history: History) -> bool:
    """Whether nobody waits for the order any more: it is called off, or none of its money is left."""
    return not isinstance(event, (RefundIssued, ChargebackReceived)) or not _readiness(history).account.left_minor


fulfilment = Agent(
    name="fulfilment",
    version="1",
    entity=order_entity,
    reacts_to=_REACTS_TO,
    remembers=(
        OrderPlaced,
        PaymentSucceeded,
        PriceChanged,
        RefundIssued,
        ChargebackReceived,
        FraudScored,
        OrderCancelled,
        FulfilmentRequested,
        FulfilmentCancelled,
        ShipmentDispatched,
        ShipmentRetryRequested,
    ),
    window=WindowSpec(events=50, age=timedelta(days=90)),
    expects=(
        Expectation(
            name="shipped",
            after=(PaymentSucceeded,),
            until=(FulfilmentRequested, ShipmentDispatched),
            within=SHIPPED_WITHIN,
            void=(OrderCancelled, FulfilmentCancelled, RefundIssued, ChargebackReceived),
            void_if=_calls_off,
            settled=("ended", "blocked", "requested_before"),
        ),
    ),
)

#: Outcomes, and what an escalation calls a failure: the accounts disagree, a retry of what is not paid any more, a
#: payment that a person has to look at.
DISPUTED: Final = "disputed"
UNPAID: Final = "unpaid"
REVIEW: Final = "review"
REQUESTED: Final = "requested"
RETRIED: Final = "retried"

#: So many payments are named where several are under review. Own choice: a person reads them.
_MOST_NAMED: Final = 5


@dataclass(frozen=True, slots=True)
class Answer:
    """What one event leads to."""

    outcome: str
    reason: str
    #: Whether a person is told, of what the outcome says.
    tells: bool = False


@fulfilment.rules
def request(event: OrderPlaced | PaymentSucceeded | ShipmentRetryRequested | FraudScored, history: History) -> Decision:
    """Decide whether the order may be packed now."""
    order = _readiness(history)
    received: Past[DomainEvent] = past_of(history.event, event)
    order.add(received)
    answer = _answer(event, order)
    if answer.tells:
        told = _escalation(event.order_id, answer.outcome, answer.reason, received.id)
        return Decision(outcome=answer.outcome, reason=answer.reason, emit=[told])
    if answer.outcome == REVIEW:
        return _put_to_a_person(answer, event.order_id, order, received.id)
    if answer.outcome in {REQUESTED, RETRIED}:
        return Decision(outcome=answer.outcome, reason=answer.reason, emit=[_packing(event.order_id, order)])
    return Decision(outcome=answer.outcome, reason=answer.reason)


def _readiness(history: History) -> Readiness:
    """Decide on each event as it was decided on then."""
    order = Readiness(lambda source: history.trusts(source, "fraud"))
    for earlier in history.of(DomainEvent):
        order.add(earlier)
        if isinstance(earlier.data, _REACTS_TO):
            answer = _answer(earlier.data, order)
            if answer.tells:
                order.told.add(answer.outcome)
            elif answer.outcome == REVIEW:
                order.asked(earlier.id)
            elif answer.outcome in {REQUESTED, RETRIED}:
                order.requested()
    return order


def _answer(event: DomainEvent, order: Readiness) -> Answer:
    is_retry = isinstance(event, ShipmentRetryRequested)
    if order.ended_by is not None:
        return Answer("ended", f"{order.ended_by} came before")
    if order.blocked is not None:
        return Answer("blocked", f"payment {order.blocked} was blocked as fraud")
    if order.is_requested and not is_retry and not order.to_ask_about:
        return Answer("requested_before", "packing was asked for before")
    if order.account.order is None or order.account.is_disputed or not order.is_paid:
        return _not_ready(order, is_retry=is_retry)
    return _ready(order, is_retry=is_retry)


def _ready(order: Readiness, *, is_retry: bool) -> Answer:
    if order.to_ask_about:
        return Answer(REVIEW, f"a person looks at a payment under review: {_some(order.to_ask_about)}")
    if order.asked_about:
        return Answer("waiting", f"a person was asked about a payment under review: {_some(order.asked_about)}")
    if is_retry:
        return Answer(RETRIED, "told to retry, and paid in full")
    return Answer(REQUESTED, "known and paid in full")


def _some(payment_ids: Iterable[str]) -> str:
    return ", ".join(islice(payment_ids, _MOST_NAMED))


def _not_ready(order: Readiness, *, is_retry: bool) -> Answer:
    account = order.account
    if account.order is None:
        return Answer("waiting", "the order is not known yet")
    if account.is_disputed and account.captures:
        return _told_once(order, DISPUTED, "the accounts of the order disagree and nothing is packed")
    if is_retry and order.is_requested:
        return _told_once(order, UNPAID, "told to retry an order that is not paid in full any more")
    left = amount(account.left_minor, account.order.currency)
    return Answer("waiting", f"the order is not paid in full: {left} was taken and not given back")


def _told_once(order: Readiness, outcome: str, reason: str) -> Answer:
    if outcome in order.told:
        return Answer(outcome, "a person was told before")
    return Answer(outcome, f"{reason}; {'; '.join(order.account.lines())}", tells=True)


def _put_to_a_person(answer: Answer, order_id: str, order: Readiness, event_id: str) -> Decision:
    stopped = _escalation(
        order_id, REVIEW, f"nobody agreed to it, so the order is not packed: {answer.reason}", event_id
    )
    return Decision(
        outcome=answer.outcome,
        reason=answer.reason,
        emit=[_packing(order_id, order)],
        hold=REVIEW,
        otherwise=(stopped,),
    )


def _packing(order_id: str, order: Readiness) -> FulfilmentRequested:
    account = order.account
    payment = next((capture for capture in account.captures if account.left(capture)), None)
    return FulfilmentRequested(
        order_id=order_id,
        customer_id=account.order.customer_id if account.order else None,
        payment_id=payment.payment_id if payment else None,
    )


def _escalation(order_id: str, failure: str, reason: str, event_id: str) -> EscalationRequested:
    return EscalationRequested(**order_entity.named(order_id), failure=failure, reason=reason, evidence=(event_id,))
