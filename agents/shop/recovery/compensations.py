"""Compensations: what the steps of a plan are for one order, as events and effects.

A step that is done already, or has nothing to work on, gives nothing; a customer is told only of what was done.
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
from agents.shop.recovery.order_state import OrderState
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


NOTHING: Final = Compensation()


def compensate(plan: Plan, case: Case, order: OrderState) -> Compensation:
    """Carry out the steps of a plan."""
    refunds = [each for step in plan.steps if step in _REFUNDS for each in _REFUNDS[step](case, order)]
    emitted = [event for step in plan.steps if step in _EVENTS for event in _EVENTS[step](case, order)]
    if Step.NOTIFY in plan.steps and (refunds or emitted):
        emitted.extend(_notify(case, order, refunds))
    return Compensation(refunds, emitted)


def _refund_everything(case: Case, order: OrderState) -> Iterator[Refund]:
    for capture in order.account.captures:
        yield from _refund(case, capture, order.account.left(capture))


def _refund_beyond(case: Case, order: OrderState) -> Iterator[Refund]:
    for capture in order.beyond(case.culprit_id):
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
        yield refund(capture=capture, amount_minor=minor, cause=cause, reason=_reason(case))


def _reason(case: Case) -> str:
    return _REASONS.get(case.failure, case.failure)


def _cancel_order(case: Case, order: OrderState) -> Iterator[DomainEvent]:
    if not order.is_cancelled:
        yield OrderCancelled(order_id=case.order_id, reason=_reason(case))


def _cancel_fulfilment(case: Case, order: OrderState) -> Iterator[DomainEvent]:
    if order.is_fulfilment_begun:
        yield FulfilmentCancelled(order_id=case.order_id, reason=_reason(case))


def _retry_shipment(case: Case, _: OrderState) -> Iterator[DomainEvent]:
    yield ShipmentRetryRequested(order_id=case.order_id, reason=f"the label can be tried again: {case.culprit_id}")


def _ask_for_address(case: Case, order: OrderState) -> Iterator[DomainEvent]:
    message = (
        f"We cannot ship order {case.order_id} to the address we have. Please correct it, and it will be on its way."
    )
    yield from _tell(case, order, message)


def _escalate(case: Case, order: OrderState) -> Iterator[DomainEvent]:
    reason = f"{case.failure} at a confidence of {case.confidence:.2f}: no compensation fits by itself"
    # Who decides about money is given the account, line by line.
    account = "; ".join(order.account.lines()) if case.failure in _REASONS else ""
    yield hand_over(case, f"{reason}; {account}" if account else reason)


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
    Step.REFUND_BEYOND: _refund_beyond,
    Step.REFUND_OVERPAID: _refund_overpaid,
}
_EVENTS: Final[Mapping[Step, Callable[[Case, OrderState], Iterator[DomainEvent]]]] = {
    Step.CANCEL_FULFILMENT: _cancel_fulfilment,
    Step.CANCEL_ORDER: _cancel_order,
    Step.RETRY_SHIPMENT: _retry_shipment,
    Step.ASK_FOR_ADDRESS: _ask_for_address,
    Step.ESCALATE: _escalate,
}

#: Why, in a refund and a cancellation.
_REASONS: Final[Mapping[str, str]] = {
    Failure.STOCK_SHORTAGE: "an article of the order is out of stock",
    Failure.DUPLICATE_CAPTURE: "the order was paid twice",
    Failure.PRICE_CHANGED: "more than the price was taken",
    Failure.FRAUD_BLOCKED: "the payment was blocked as fraud",
}
#: What the customer is told, before the refund if there is one.
_MESSAGES: Final[Mapping[Failure, str]] = {
    Failure.STOCK_SHORTAGE: "We are sorry: an article of order {order} is out of stock, so we had to cancel the order.",
    Failure.DUPLICATE_CAPTURE: "We are sorry: order {order} was charged twice.",
    Failure.PRICE_CHANGED: "The price of an article of order {order} changed while you were ordering.",
}
