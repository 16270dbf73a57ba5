"""What an order owes, event by event, and that no plan can go beyond it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from fakes import history_of
from recovery_cases import AGAIN, CANCEL, CARD, CUP, GIFT, LOWERED, ORDER, PAID, RAISED, version
from stories import captured, charged_back, refunded
from test_recovery import dispatched, requested

from agents.shop.events import DomainEvent, EscalationRequested
from agents.shop.failures import Failure
from agents.shop.recovery.compensations import Case, compensate
from agents.shop.recovery.order_state import OrderState
from agents.shop.recovery.plans import Plan, Step, always
from tables.event import Event


def state(*events: Event) -> OrderState:
    order = OrderState()
    for past in history_of(requested(), *events).of(DomainEvent):
        order.add(past)
    return order


@pytest.mark.parametrize(
    ("events", "owed", "owed_when_stopped"),
    [
        ((ORDER,), 0, 0),
        ((ORDER, PAID), 0, 2000),
        ((ORDER, GIFT, CARD), 0, 2000),
        ((ORDER, PAID, PAID), 0, 2000),
        ((ORDER, PAID, AGAIN), 2000, 4000),
        ((ORDER, PAID, AGAIN, dispatched()), 2000, 2000),
        ((ORDER, PAID, dispatched()), 0, 0),
        ((ORDER, PAID, CANCEL), 2000, 2000),
        ((ORDER, PAID, refunded("r", 50, "p-1", 500), CANCEL), 1500, 1500),
        ((ORDER, PAID, charged_back("c", 50, amount_minor=500), CANCEL), 1500, 1500),
        ((ORDER, PAID, AGAIN, charged_back("c", 45)), 0, 2000),
        ((ORDER, LOWERED, PAID), 200, 2000),
        ((ORDER, RAISED, captured("paid", 60, amount_minor=2200)), 200, 2200),
        ((ORDER, PAID, version("amended", 40, 600, CUP)), 1400, 2000),
        ((PAID,), 0, 2000),
        ((ORDER, captured("paid", 60, currency="JPY")), 0, 0),
        ((ORDER, PAID, refunded("r", 50, "p-9", 500)), 0, 0),
        ((ORDER, PAID, CANCEL, dispatched()), 0, 0),
    ],
)
def test_owed_is_what_was_captured_and_neither_given_back_nor_covered_by_what_can_be_delivered(
    events: Sequence[Event], owed: int, owed_when_stopped: int
) -> None:
    order = state(*events)

    assert (order.owed_minor(), order.owed_minor(is_stopped=True)) == (owed, owed_when_stopped)


@pytest.mark.parametrize("step", [Step.REFUND_EVERYTHING, Step.REFUND_REPEATED, Step.REFUND_OVERPAID])
def test_a_plan_that_would_give_back_more_than_is_owed_is_left_to_a_person(step: Step) -> None:
    """Whatever a row of the table asks for: here everything of two captures, of an order that goes on."""
    bold = Plan(Failure.DUPLICATE_CAPTURE, "bold", always, (step, Step.REFUND_EVERYTHING, Step.NOTIFY))
    case = Case(order_id="o-1", failure=Failure.DUPLICATE_CAPTURE, culprit_id="again", confidence=1)

    compensation = compensate(bold, case, state(ORDER, PAID, AGAIN))

    assert compensation.effects == ()
    [asked] = compensation.emit
    assert isinstance(asked, EscalationRequested)
    assert "bold would give back more than is owed; the order is worth 20.00 EUR" in asked.reason
    assert "40.00 EUR is left of all captures, 20.00 EUR is owed" in asked.reason
