"""Recovery: undoes what went wrong with an order, by the plan for exactly this failure in this state (see `plans`).

A verdict must name a culprit that this agent remembers too; one that does not, and one that is a guess, goes to a
person. Each culprit is recovered from once, however many errors it causes. No more is given back than the order's own
account explains (`agents.shop.facts.account`), and PostgreSQL holds refunds within what was captured, whatever the
events say.

What was decided before is derived from the events that led to it. A plan that was not carried out, because a person
said no or a language model left it to one, is known by the escalation published in its place. Until that has come back
the plan counts as carried out: nothing is given back twice, but what is paid meanwhile for an order it stops is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from agents.model.agent import Agent
from agents.model.decision import Decision
from agents.model.history import History, Past
from agents.platform.events import SURE_FROM
from agents.shop.entities import order
from agents.shop.events import (
    AddressChanged,
    ChargebackReceived,
    DomainEvent,
    EscalationRequested,
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
from agents.shop.failures import CULPRITS, Failure
from agents.shop.recovery.compensations import NOTHING, Case, Compensation, compensate, hand_over
from agents.shop.recovery.order_state import Done, OrderState
from agents.shop.recovery.plans import ESCALATE, LATE_PAYMENT, Plan, plan_for
from tables.window import WindowSpec

recovery = Agent(
    name="recovery",
    entity=order,
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
        ChargebackReceived,
        PriceChanged,
        AddressChanged,
        InventoryShort,
        LabelFailed,
        ShipmentDispatched,
        EscalationRequested,
    ),
    window=WindowSpec(events=50, age=timedelta(days=90)),
)

#: The source of recovery's own messages.
_OWN: Final = f"urn:innervate:agent:{recovery.name}"


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

    @property
    def left_to_a_person(self) -> Done:
        """What is done after it when the compensation was not carried out: it is not planned a second time."""
        return Done(recovered=self.does.recovered)


@recovery.rules
def recover(event: RootCauseIdentified | FraudScored | FulfilmentRequested, history: History) -> Decision:
    """Decide on the compensation, knowing what the events before this one have led to."""
    answer = _answer(event, _state(history.of(DomainEvent)))
    return Decision(
        outcome=answer.outcome,
        reason=answer.reason,
        confidence=answer.confidence,
        effects=answer.compensation.effects,
        emit=answer.compensation.emit,
        otherwise=answer.otherwise,
    )


def _state(past: Sequence[Past[DomainEvent]]) -> OrderState:
    """Decide on each event as it was decided on then: an escalation counts from its place in the log on."""
    order = OrderState()
    # What a person may have said no to, by the id an escalation names: another producer's event may have the same.
    open_to_a_person: dict[str, dict[Hashable, Done]] = defaultdict(dict)
    for earlier in past:
        if isinstance(earlier.data, EscalationRequested) and earlier.source == _OWN:
            named = open_to_a_person.get(earlier.causationid or "", {})
            if len(named) == 1:
                [(cause, left_to_a_person)] = named.items()
                order.put_down(cause, left_to_a_person)
        else:
            answer = _answer(earlier.data, order)
            cause = (earlier.source, earlier.id)
            order.put_down(cause, answer.does)
            if answer.otherwise:
                open_to_a_person[earlier.id][cause] = answer.left_to_a_person
        order.add(earlier)
    return order


def _answer(event: DomainEvent, order: OrderState) -> Answer:
    if isinstance(event, RootCauseIdentified):
        return _recover(_case_of(event), order)
    if isinstance(event, FraudScored):
        return _recover(_blocked(event), order) if event.verdict == "block" else _on_payment(event, order)
    if isinstance(event, FulfilmentRequested):
        return _stop_fulfilment(event, order)
    return Answer("nothing", "no failure")


def _case_of(cause: RootCauseIdentified) -> Case:
    return Case(
        order_id=order.id_of(cause) or "",
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
    stopped_by = order.gives_back_for
    if stopped_by is not None and order.account.has(score.payment_id):
        case = Case(order_id=score.order_id, failure=stopped_by, culprit_id=score.payment_id, confidence=1)
        plan = ESCALATE if order.account.is_disputed else LATE_PAYMENT
        compensation = compensate(plan, case, order)
        if compensation and not order.is_recovered(case.key):
            reason = f"the order was stopped: {stopped_by}"
            return _acts(plan, plan.name, reason, case, case.key, compensation)
    return Answer("not_blocked", f"the verdict on the payment is {score.verdict}")


def _recover(case: Case, order: OrderState) -> Answer:
    is_sure = case.confidence >= SURE_FROM and _is_backed(case, order)
    key = (case.failure if is_sure else f"guess: {case.failure}", case.culprit_id)
    if order.is_recovered(key) or order.is_recovered(case.key):
        return Answer("already_recovered", f"{_words(case)} was recovered from before")
    plan = plan_for(case.failure, case.culprit_id, order) if is_sure else ESCALATE
    compensation = compensate(plan, case, order)
    outcome = plan.name if compensation or not plan.steps else "already_done"
    reason = f"{_words(case)}: {plan.name}" + ("" if is_sure else ", for the verdict is not sure or not backed")
    return _acts(plan, outcome, reason, case, key, compensation)


def _is_backed(case: Case, order: OrderState) -> bool:
    """Whether the event to blame is remembered here too, as what it must be, before anything is given back for it."""
    kind = CULPRITS.get(case.failure)
    return kind is None or isinstance(order.event(case.culprit_id), kind)


def _acts(
    plan: Plan, outcome: str, reason: str, case: Case, key: tuple[str, str], compensation: Compensation
) -> Answer:
    emitted = {type(event) for event in compensation.emit}
    does = Done(
        recovered=frozenset({key}),
        refunds={each.refund_id: (each.payment_id, each.amount_minor) for each in compensation.effects},
        cancelled=OrderCancelled in emitted,
        fulfilment_cancelled=FulfilmentCancelled in emitted,
        stopped_by=plan.failure if plan.stops else None,
        gives_back=plan.gives_back,
        retries=int(ShipmentRetryRequested in emitted),
    )
    is_for_a_person = not compensation or EscalationRequested in emitted
    otherwise = () if is_for_a_person else (_not_carried_out(outcome, case),)
    return Answer(outcome, reason, does, compensation, case.confidence, otherwise)


def _stop_fulfilment(request: FulfilmentRequested, order: OrderState) -> Answer:
    """A request that overtook, or was overtaken by, the verdict on the payment."""
    if order.stopped_by is not Failure.FRAUD_BLOCKED:
        return Answer("nothing", "the order goes ahead")
    payment = request.payment_id or request.order_id
    case = Case(order_id=request.order_id, failure=Failure.FRAUD_BLOCKED, culprit_id=payment, confidence=1)
    cancelled = FulfilmentCancelled(order_id=request.order_id, reason="a payment of the order was blocked as fraud")
    return Answer(
        "fulfilment_cancelled",
        "requested for an order that is blocked",
        Done(fulfilment_cancelled=True),
        Compensation((), (cancelled,)),
        otherwise=(_not_carried_out("fulfilment_cancelled", case),),
    )


def _not_carried_out(outcome: str, case: Case) -> EscalationRequested:
    return hand_over(case, f"{case.failure}: nothing was done by itself, a person decides; the plan was {outcome}")


def _words(case: Case) -> str:
    return f"{case.failure} by {case.culprit_id}"
