"""Recovery: undoes what went wrong with an order, by the plan for exactly this failure in this state (`agents.plans`).

A verdict must name a culprit that this agent remembers too; one that does not, and one that is a guess, goes to a
person. Each culprit is recovered from once, however many errors it causes. Refunds are effects: PostgreSQL holds them
within what was captured, whatever the events say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from agents.agent import Agent
from agents.causes import Failure
from agents.compensations import NOTHING, Case, Compensation, compensate
from agents.decision import Decision
from agents.events import (
    AddressChanged,
    DomainEvent,
    FraudScored,
    FulfilmentCancelled,
    FulfilmentRequested,
    InventoryShort,
    LabelFailed,
    OrderCancelled,
    OrderPlaced,
    PaymentSucceeded,
    PriceChanged,
    RefundIssued,
    RootCauseIdentified,
    ShipmentDispatched,
    ShipmentRetryRequested,
)
from agents.history import History
from agents.order_state import Done, OrderState
from agents.plans import ESCALATE, LATE_PAYMENT, SURE_FROM, Plan, plan_for
from tables.window import WindowSpec

recovery = Agent(
    name="recovery",
    entity="order",
    reacts_to=(RootCauseIdentified, FraudScored, FulfilmentRequested),
    remembers=(
        RootCauseIdentified,
        FraudScored,
        FulfilmentRequested,
        FulfilmentCancelled,
        OrderPlaced,
        OrderCancelled,
        PaymentSucceeded,
        RefundIssued,
        PriceChanged,
        AddressChanged,
        InventoryShort,
        LabelFailed,
        ShipmentDispatched,
    ),
    window=WindowSpec(events=50, age=timedelta(days=90)),
)

#: What the culprit of a failure must be among the events remembered, before anything is given back for it.
_CULPRITS: Final[Mapping[str, type[DomainEvent]]] = {
    Failure.STOCK_SHORTAGE: InventoryShort,
    Failure.DUPLICATE_CAPTURE: PaymentSucceeded,
    Failure.LABEL_FAILED: LabelFailed,
    Failure.ADDRESS_INVALID: AddressChanged,
    Failure.PRICE_CHANGED: PriceChanged,
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What one event leads to, and what has been done after it."""

    outcome: str
    reason: str
    done: Done
    compensation: Compensation = NOTHING
    confidence: float = 1.0


@recovery.rules
def recover(event: RootCauseIdentified | FraudScored | FulfilmentRequested, history: History) -> Decision:
    """Decide on the compensation, knowing what the events before this one have led to."""
    past = history.of(DomainEvent)
    done = Done()
    for position, earlier in enumerate(past):
        done = _answer(earlier.data, OrderState(past[:position], done)).done
    answer = _answer(event, OrderState(past, done))
    return Decision(
        outcome=answer.outcome,
        reason=answer.reason,
        confidence=answer.confidence,
        effects=answer.compensation.effects,
        emit=answer.compensation.emit,
    )


def _answer(event: DomainEvent, order: OrderState) -> Answer:
    if isinstance(event, RootCauseIdentified):
        return _recover(_case_of(event), order)
    if isinstance(event, FraudScored):
        return _recover(_blocked(event), order) if event.verdict == "block" else _on_payment(event, order)
    if isinstance(event, FulfilmentRequested):
        return _stop_fulfilment(event, order)
    return Answer("nothing", "no failure", order.done)


def _case_of(cause: RootCauseIdentified) -> Case:
    return Case(
        order_id=cause.order_id or "",
        failure=cause.failure,
        culprit_id=cause.culprit_event_id or cause.error_event_id,
        confidence=cause.confidence,
        service=cause.service,
        evidence=cause.evidence,
    )


def _blocked(score: FraudScored) -> Case:
    return Case(order_id=score.order_id, failure=Failure.FRAUD_BLOCKED, culprit_id=score.payment_id, confidence=1)


def _on_payment(score: FraudScored, order: OrderState) -> Answer:
    """A payment that is not blocked; one for an order that was stopped is given back."""
    stopped_by = order.done.stopped_by
    if stopped_by is not None:
        case = Case(order_id=score.order_id, failure=stopped_by, culprit_id=score.payment_id, confidence=1)
        compensation = compensate(LATE_PAYMENT, case, order)
        if compensation:
            done = _after(order.done, LATE_PAYMENT, case.key, compensation)
            return Answer(LATE_PAYMENT.name, f"the order was stopped: {stopped_by}", done, compensation)
    return Answer("not_blocked", f"the verdict on the payment is {score.verdict}", order.done)


def _recover(case: Case, order: OrderState) -> Answer:
    is_sure = case.confidence >= SURE_FROM and _is_backed(case, order)
    key = (case.failure if is_sure else f"guess: {case.failure}", case.culprit_id)
    if order.done.recovered & {key, (case.failure, case.culprit_id)}:
        return Answer("already_recovered", f"{_words(case)} was recovered from before", order.done)
    plan = plan_for(case.failure, order) if is_sure else ESCALATE
    compensation = compensate(plan, case, order)
    outcome = plan.name if compensation or not plan.steps else "already_done"
    reason = f"{_words(case)}: {plan.name}" + ("" if is_sure else ", for the verdict is not sure or not backed")
    done = _after(order.done, plan, key, compensation)
    return Answer(outcome, reason, done, compensation, case.confidence)


def _is_backed(case: Case, order: OrderState) -> bool:
    """Whether the event to blame is remembered here too, as what it must be."""
    kind = _CULPRITS.get(case.failure)
    return kind is None or any(past.id == case.culprit_id and isinstance(past.data, kind) for past in order.past)


def _after(done: Done, plan: Plan, key: tuple[str, str], compensation: Compensation) -> Done:
    refunds = {refund.refund_id: (refund.capture.payment_id, refund.amount_minor) for refund in compensation.effects}
    emitted = {type(event) for event in compensation.emit}
    return Done(
        recovered=done.recovered | {key},
        refunds={**done.refunds, **refunds},
        cancelled=done.cancelled or OrderCancelled in emitted,
        fulfilment_cancelled=done.fulfilment_cancelled or FulfilmentCancelled in emitted,
        stopped_by=done.stopped_by or (plan.failure if plan.stops else None),
        retries=done.retries + (ShipmentRetryRequested in emitted),
    )


def _stop_fulfilment(request: FulfilmentRequested, order: OrderState) -> Answer:
    """A request that overtook, or was overtaken by, the verdict on the payment."""
    if order.done.stopped_by is not Failure.FRAUD_BLOCKED:
        return Answer("nothing", "the order goes ahead", order.done)
    cancelled = FulfilmentCancelled(order_id=request.order_id, reason="a payment of the order was blocked as fraud")
    done = replace(order.done, fulfilment_cancelled=True)
    return Answer(
        "fulfilment_cancelled", "requested for an order that is blocked", done, Compensation((), (cancelled,))
    )


def _words(case: Case) -> str:
    return f"{case.failure} by {case.culprit_id}"
