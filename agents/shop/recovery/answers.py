"""Answers: what each event of an order leads to, knowing the order as of that event.

Pure: the same event in the same state gives the same answer, so that what was decided earlier can be found again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from agents.model.history import Past, agent_source
from agents.platform.events import SURE_FROM
from agents.shop.entities import order as order_entity
from agents.shop.events import (
    AddressChanged,
    CustomerNotified,
    DomainEvent,
    EscalationRequested,
    FraudScored,
    FulfilmentCancelled,
    FulfilmentRequested,
    OrderCancelled,
    RootCauseIdentified,
    ShipmentRetryRequested,
)
from agents.shop.failures import CULPRITS, Failure
from agents.shop.recovery.compensations import (
    NOTHING,
    Case,
    Compensation,
    compensate,
    hand_over,
    leave_to_a_person,
    reason_of,
)
from agents.shop.recovery.order_state import Done, OrderState
from agents.shop.recovery.plans import (
    ESCALATE,
    LATE_PAYMENT,
    LEFT_TO_OPERATORS,
    MAX_RETRIES,
    TRY_AGAIN,
    Plan,
    plan_for,
)
from agents.shop.recovery.verdicts import Verdicts

#: No error shows these: an event of their own does.
_NOT_OF_AN_ERROR: Final = frozenset({Failure.FRAUD_BLOCKED, Failure.ORDER_CANCELLED})
#: Of these the agent `incident` tells people once for all orders; of what others say of a service nobody heard.
_OF_A_SERVICE: Final = frozenset({Failure.BAD_DEPLOYMENT, Failure.BAD_CONFIGURATION})
_INCIDENT: Final = agent_source("incident")
#: What an escalation calls a review of a payment.
REVIEW: Final = "fraud_review"


@dataclass(frozen=True, slots=True)
class Answer:
    """What one event leads to."""

    outcome: str
    reason: str
    #: What is done after it, besides what was done before.
    does: Done = field(default_factory=Done)
    compensation: Compensation = NOTHING
    confidence: float = 1.0
    #: What is published in place of the compensation when a person is to decide; empty when one is to anyway.
    otherwise: tuple[EscalationRequested, ...] = ()
    #: What is done after it when the compensation was not carried out: it is not planned a second time.
    left_to_a_person: Done = field(default_factory=Done)


def answer_to(past: Past[DomainEvent], order: OrderState, verdicts: Verdicts, place: int) -> Answer:
    """What the event at this place of the window leads to; `order` is as it was before the event."""
    data = past.data
    if isinstance(data, RootCauseIdentified):
        return _on_cause(past, data, order, verdicts, place)
    if isinstance(data, FraudScored):
        return _on_score(past, data, order, verdicts)
    if isinstance(data, FulfilmentRequested):
        return _on_request(past, data, order)
    if isinstance(data, OrderCancelled):
        return _on_cancellation(past, data, order)
    if isinstance(data, AddressChanged):
        return _on_address(past, data, order)
    return Answer("nothing", "no failure")


def _on_cause(
    past: Past[DomainEvent], cause: RootCauseIdentified, order: OrderState, verdicts: Verdicts, place: int
) -> Answer:
    case = _case_of(cause)
    if not verdicts.trusts_cause(past.source):
        return _ask(case, order, _not_trusted(past))
    if order.is_recovered(case.key):
        return _recovered_before(case, order)
    doubt = _doubt(case, order)
    if doubt:
        return _ask(case, order, doubt)
    is_told = past.source == _INCIDENT and case.failure in _OF_A_SERVICE
    plan = LEFT_TO_OPERATORS if is_told else plan_for(case.failure, case.culprit_id, order)
    compensation = compensate(plan, case, order)
    if compensation.acts and (objection := verdicts.objection(cause, past.at, place)):
        return _ask(case, order, objection)
    return _carry_out(plan, case, order, compensation)


def _case_of(cause: RootCauseIdentified) -> Case:
    return Case(
        order_id=order_entity.id_of(cause) or "",
        failure=cause.failure,
        culprit_id=cause.culprit_event_id or cause.error_event_id,
        confidence=cause.confidence,
        service=cause.service,
        evidence=cause.evidence,
    )


def _doubt(case: Case, order: OrderState) -> str:
    """Why a verdict cannot be acted on, before the plans are looked at; "" when it may be."""
    if case.confidence < SURE_FROM:
        return "the verdict is a guess"
    if case.failure in _NOT_OF_AN_ERROR:
        return "no error shows such a failure"
    kind = CULPRITS.get(case.failure)
    if kind is not None and not isinstance(order.event(case.culprit_id), kind):
        return f"event {case.culprit_id} is not remembered as one {kind.__name__}"
    return ""


def _on_score(past: Past[DomainEvent], score: FraudScored, order: OrderState, verdicts: Verdicts) -> Answer:
    is_block = score.verdict == "block"
    case = _of_payment(score, Failure.FRAUD_BLOCKED if is_block else REVIEW)
    if not verdicts.trusts_score(past.source):
        is_harmless = score.verdict == "approve"
        return Answer("not_trusted", _not_trusted(past)) if is_harmless else _ask(case, order, _not_trusted(past))
    if is_block:
        return _by_table(case, order)
    late = _late_payment(score, order)
    if late is not None:
        return late
    if score.verdict == "review":
        return _on_review(case, order)
    return Answer("not_blocked", "the verdict on the payment is approve")


def _not_trusted(past: Past[DomainEvent]) -> str:
    return f"the verdict is of {past.source}, which is not trusted"


def _by_table(case: Case, order: OrderState) -> Answer:
    """The plan of the table, for what needs no deriving."""
    if order.is_recovered(case.key):
        return _recovered_before(case, order)
    plan = plan_for(case.failure, case.culprit_id, order)
    return _carry_out(plan, case, order, compensate(plan, case, order))


def _of_payment(score: FraudScored, failure: str) -> Case:
    payment_id = score.payment_id
    return Case(order_id=score.order_id, failure=failure, culprit_id=payment_id, confidence=1, payment_id=payment_id)


def _late_payment(score: FraudScored, order: OrderState) -> Answer | None:
    """A payment for an order that was stopped is given back; None when it is no such payment, or nothing is left."""
    stopped_by = order.gives_back_for
    if stopped_by is None or not order.account.has(score.payment_id):
        return None
    case = _of_payment(score, stopped_by)
    if order.is_recovered(case.key):
        return None
    is_doubtful = order.account.is_disputed or order.is_shipped
    plan = ESCALATE if is_doubtful else LATE_PAYMENT
    compensation = compensate(plan, case, order)
    return _carry_out(plan, case, order, compensation) if compensation else None


def _on_review(case: Case, order: OrderState) -> Answer:
    """Nothing is packed until a person has looked; what is asked for then is not called off."""
    reason = "the verdict on the payment is review"
    if order.is_shipped or not order.is_fulfilment_begun:
        return Answer("not_blocked", reason, Done(holds=True))
    return _call_off("packing_held", reason, case, order, Done(holds=True, called_off=order.requests))


def _on_request(past: Past[DomainEvent], request: FulfilmentRequested, order: OrderState) -> Answer:
    """A request that overtook, or was overtaken by, what stops the order or holds the parcel."""
    payment_id = request.payment_id or request.order_id
    done = Done(called_off=order.requests + 1)
    if order.stopped_by is not None:
        case = Case(order_id=request.order_id, failure=order.stopped_by, culprit_id=payment_id, confidence=1)
        return _call_off("fulfilment_cancelled", "requested for an order that is stopped", case, order, done)
    if order.is_overtaken(past):
        case = Case(order_id=request.order_id, failure=REVIEW, culprit_id=payment_id, confidence=1)
        return _call_off("packing_held", "requested while a payment is under review", case, order, done)
    return Answer("nothing", "the order goes ahead")


def _call_off(outcome: str, reason: str, case: Case, order: OrderState, done: Done) -> Answer:
    cancelled = FulfilmentCancelled(order_id=case.order_id, reason=reason_of(case))
    return Answer(
        outcome,
        reason,
        done,
        Compensation((), (cancelled,)),
        otherwise=(_not_carried_out(outcome, case, order),),
        left_to_a_person=Done(holds=done.holds, escalated=case.concern),
    )


def _on_cancellation(past: Past[DomainEvent], cancellation: OrderCancelled, order: OrderState) -> Answer:
    """Somebody else's, such as the customer's: everything goes back, and nothing is packed."""
    if past.source == agent_source("recovery"):
        return Answer("nothing", "the order was cancelled by recovery itself")
    order_id = cancellation.order_id
    case = Case(order_id=order_id, failure=Failure.ORDER_CANCELLED, culprit_id=order_id, confidence=1)
    if order.account.is_placed_again_since(past.at):
        return _ask(case, order, "the order was placed again after it was cancelled")
    return _by_table(case, order)


def _on_address(past: Past[DomainEvent], change: AddressChanged, order: OrderState) -> Answer:
    """The correction that was asked for, or that a label failed for the lack of: the shipment is tried again, once."""
    if not change.valid or not order.address.is_awaited or order.is_shipped or order.is_off:
        return Answer("nothing", "no shipment waits for the address")
    case = Case(order_id=change.order_id, failure=Failure.ADDRESS_INVALID, culprit_id=past.id, confidence=1)
    if not order.address.is_corrected_at(past.at):
        return _ask(case, order, "clock and log disagree on whether the newest address is valid")
    if order.retries >= MAX_RETRIES:
        return _ask(case, order, "the shipment was tried again often enough")
    return _carry_out(TRY_AGAIN, case, order, compensate(TRY_AGAIN, case, order))


def _recovered_before(case: Case, order: OrderState) -> Answer:
    if order.times_escalated(case.concern):
        return _escalated_before(case, order, NOTHING)
    return Answer("already_recovered", f"{_words(case)} was recovered from before")


def _ask(case: Case, order: OrderState, why: str) -> Answer:
    """Ask a person, once about each concern; a verdict without doubt may still be acted on later."""
    if order.times_escalated(case.concern):
        return _escalated_before(case, order, NOTHING)
    compensation = leave_to_a_person(case, order, why)
    does = Done(escalated=case.concern)
    return Answer(ESCALATE.name, f"{_words(case)}: {why}", does, compensation, case.confidence)


def _escalated_before(case: Case, order: OrderState, rest: Compensation, done: Done | None = None) -> Answer:
    times = order.times_escalated(case.concern)
    reason = (
        f"a person was asked about {case.failure} before; there were {times} reasons to ask so far, and this is one"
    )
    return Answer("already_escalated", reason, done or Done(escalated=case.concern), rest, case.confidence)


def _carry_out(plan: Plan, case: Case, order: OrderState, compensation: Compensation) -> Answer:
    emitted = {type(event) for event in compensation.emit}
    asks = EscalationRequested in emitted
    does = Done(
        recovered=frozenset({case.key}),
        escalated=case.concern if asks else None,
        refunds={each.refund_id: (each.payment_id, each.amount_minor) for each in compensation.effects},
        cancelled=OrderCancelled in emitted,
        called_off=order.requests if FulfilmentCancelled in emitted else 0,
        stopped_by=plan.failure if plan.stops else None,
        gives_back=plan.gives_back and not asks,
        retries=int(ShipmentRetryRequested in emitted),
        asked=case.failure == Failure.ADDRESS_INVALID and CustomerNotified in emitted,
    )
    if asks and order.times_escalated(case.concern):
        return _escalated_before(case, order, compensation.without_escalation(), does)
    outcome = ESCALATE.name if asks else plan.name if compensation or not plan.steps else "already_done"
    otherwise = (_not_carried_out(outcome, case, order),) if compensation.acts and not asks else ()
    return Answer(
        outcome,
        f"{_words(case)}: {plan.name}, {plan.why}",
        does,
        compensation,
        case.confidence,
        otherwise,
        left_to_a_person=Done(recovered=does.recovered, escalated=case.concern),
    )


def _not_carried_out(outcome: str, case: Case, order: OrderState) -> EscalationRequested:
    reason = f"{case.failure}: nothing was done by itself, a person decides; the plan was {outcome}"
    return hand_over(case, "; ".join([reason, *order.lines()]))


def _words(case: Case) -> str:
    return f"{case.failure} by {case.culprit_id}"
