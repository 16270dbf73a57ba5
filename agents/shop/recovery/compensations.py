"""Compensations: what the steps of a plan are for one order, as events and effects.

A step that is done already, or has nothing to work on, gives nothing; a customer is told only of what was done. Here
alone refunds come to be, and together they are never more than the order owes once the plan is carried out: a plan that
would go beyond is left to a person.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from agents.shop.entities import order as order_entity
from agents.shop.events import (
    CustomerNotified,
    DomainEvent,
    EscalationRequested,
    FulfilmentCancelled,
    OrderCancelled,
    PaymentSucceeded,
    ShipmentRetryRequested,
)
from agents.shop.failures import Failure
from agents.shop.money import amount
from agents.shop.recovery.order_state import Concern, OrderState
from agents.shop.recovery.plans import Plan, Step
from agents.shop.refunds import Refund, refund


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A failure of one order that asks for a plan."""

    order_id: str
    #: What the verdict calls it; `agents.shop.failures.Failure` when it is one known here.
    failure: str
    #: The event to blame; the payment for one blocked as fraud; the error itself when nothing explains it.
    culprit_id: str
    confidence: float
    service: str | None = None
    evidence: tuple[str, ...] = ()
    #: The payment the case is about, where it is about one alone.
    payment_id: str | None = None

    @property
    def concern(self) -> Concern:
        """What a person is asked about once: the failure of the order, or of the one payment it is about."""
        return self.failure, self.payment_id or ""

    @property
    def key(self) -> tuple[str, str]:
        """Each culprit of a failure is recovered from once."""
        return self.failure, self.culprit_id


@dataclass(frozen=True, slots=True)
class Compensation:
    """What a plan comes to."""

    effects: Sequence[Refund] = ()
    emit: Sequence[DomainEvent] = ()

    def __bool__(self) -> bool:
        return bool(self.effects or self.emit)

    @property
    def acts(self) -> bool:
        """Whether anything is done besides asking a person."""
        return bool(self.without_escalation())

    def without_escalation(self) -> Compensation:
        """The same without asking a person."""
        emit = tuple(event for event in self.emit if not isinstance(event, EscalationRequested))
        return Compensation(self.effects, emit)


NOTHING: Final = Compensation()


def compensate(plan: Plan, case: Case, order: OrderState) -> Compensation:
    """Carry out the steps of a plan, or leave it to a person where it would give back more than is owed."""
    refunds = [each for step in plan.steps if step in _REFUNDS for each in _REFUNDS[step](case, order)]
    given_back = sum(each.amount_minor for each in refunds)
    if refunds and given_back > order.owed_minor(is_stopped=plan.stops):
        return leave_to_a_person(case, order, f"{plan.name} would give back more than is owed")
    emitted = [event for step in plan.steps if step in _EVENTS for event in _EVENTS[step](case, order)]
    if Step.ESCALATE in plan.steps:
        emitted.append(_escalation(case, order, plan.why))
    if Step.NOTIFY in plan.steps and (refunds or emitted):
        emitted.extend(_notify(case, order, refunds))
    return Compensation(refunds, emitted)


def leave_to_a_person(case: Case, order: OrderState, why: str) -> Compensation:
    """Nothing but an escalation."""
    return Compensation((), (_escalation(case, order, why),))


def _refund_everything(case: Case, order: OrderState) -> Iterator[Refund]:
    for capture in order.account.captures:
        yield from _refund(case, capture, order.account.left(capture))


def _refund_repeated(case: Case, order: OrderState) -> Iterator[Refund]:
    for capture in order.repeated(case.culprit_id):
        yield from _refund(case, capture, order.account.left(capture))


def _refund_overpaid(case: Case, order: OrderState) -> Iterator[Refund]:
    """What is beyond the worth, from the capture kept last backwards."""
    settlement = order.account.settle()
    if settlement is None:
        return
    rest = settlement.over_minor
    for capture in reversed(settlement.kept):
        minor = min(rest, order.account.left(capture))
        rest -= minor
        yield from _refund(case, capture, minor)


def _refund(case: Case, capture: PaymentSucceeded, minor: int) -> Iterator[Refund]:
    if minor > 0:
        cause = f"{case.failure}/{case.culprit_id}"
        yield refund(capture=capture, amount_minor=minor, cause=cause, reason=reason_of(case))


def reason_of(case: Case) -> str:
    """Why, in a refund and a cancellation."""
    return _REASONS.get(case.failure, case.failure)


def _cancel_order(case: Case, order: OrderState) -> Iterator[DomainEvent]:
    if not order.is_cancelled:
        yield OrderCancelled(order_id=case.order_id, reason=reason_of(case))


def _cancel_fulfilment(case: Case, order: OrderState) -> Iterator[DomainEvent]:
    if order.is_fulfilment_begun:
        yield FulfilmentCancelled(order_id=case.order_id, reason=reason_of(case))


def _retry_shipment(case: Case, _: OrderState) -> Iterator[DomainEvent]:
    yield ShipmentRetryRequested(order_id=case.order_id, reason=f"the label can be tried again: {case.culprit_id}")


def _ask_for_address(case: Case, order: OrderState) -> Iterator[DomainEvent]:
    message = (
        f"We cannot ship order {case.order_id} to the address we have. Please correct it, and it will be on its way."
    )
    yield from _tell(case, order, message)


def _escalation(case: Case, order: OrderState, why: str) -> EscalationRequested:
    """Why a person has to decide, and the account of the order, line by line."""
    reason = f"{case.failure} at a confidence of {case.confidence:.2f}: {why}"
    return hand_over(case, "; ".join([reason, *order.lines()]))


def hand_over(case: Case, reason: str) -> EscalationRequested:
    """Leave a failure to a person; the reason is one sentence for them."""
    return EscalationRequested(
        service=case.service,
        failure=case.failure,
        reason=reason,
        evidence=case.evidence,
        **order_entity.named(case.order_id),
    )


def _notify(case: Case, order: OrderState, refunds: Sequence[Refund]) -> Iterator[DomainEvent]:
    told = _MESSAGES[Failure(case.failure)].format(order=case.order_id)
    given_back = [amount(each.amount_minor, each.currency) for each in refunds]
    if given_back:
        told += f" We have refunded {' and '.join(given_back)}."
    yield from _tell(case, order, told)


def _tell(case: Case, order: OrderState, message: str) -> Iterator[DomainEvent]:
    if order.customer_id is not None:
        yield CustomerNotified(order_id=case.order_id, customer_id=order.customer_id, message=message)


_REFUNDS: Final[Mapping[Step, Callable[[Case, OrderState], Iterator[Refund]]]] = {
    Step.REFUND_EVERYTHING: _refund_everything,
    Step.REFUND_REPEATED: _refund_repeated,
    Step.REFUND_OVERPAID: _refund_overpaid,
}
_EVENTS: Final[Mapping[Step, Callable[[Case, OrderState], Iterator[DomainEvent]]]] = {
    Step.CANCEL_FULFILMENT: _cancel_fulfilment,
    Step.CANCEL_ORDER: _cancel_order,
    Step.RETRY_SHIPMENT: _retry_shipment,
    Step.ASK_FOR_ADDRESS: _ask_for_address,
}

_REASONS: Final[Mapping[str, str]] = {
    Failure.STOCK_SHORTAGE: "an article of the order is out of stock",
    Failure.DUPLICATE_CAPTURE: "the order was paid twice",
    Failure.PRICE_CHANGED: "more than the price was taken",
    Failure.FRAUD_BLOCKED: "the payment was blocked as fraud",
    Failure.ORDER_CANCELLED: "the order was cancelled",
    "fraud_review": "a payment of the order is under review",
}
#: What the customer is told, before the refund if there is one.
_MESSAGES: Final[Mapping[Failure, str]] = {
    Failure.STOCK_SHORTAGE: "We are sorry: an article of order {order} is out of stock, so we had to cancel the order.",
    Failure.DUPLICATE_CAPTURE: "We are sorry: order {order} was charged twice.",
    Failure.ORDER_CANCELLED: "Order {order} was cancelled.",
    Failure.PRICE_CHANGED: "The price of an article of order {order} changed while you were ordering.",
}
