"""Fulfilment's choice: go ahead as the rules do, or let a person look at the order first.

Nothing is packed that the rules would not have packed, and a model cannot stop an order for good: a person can.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from pydantic import Field

from agents.model.choice import Choice
from agents.model.decision import Decision
from agents.model.forms import DOUBTFUL, told
from agents.model.history import History
from agents.shop.entities import order
from agents.shop.events import EscalationRequested, FraudScored, OrderPlaced, PaymentSucceeded, ShipmentRetryRequested
from agents.shop.fulfilment.rules import fulfilment


class FulfilmentChoice(Choice):
    """Say whether the order may be packed now.

    It is known and paid in full, no payment of it is under review, and nothing remembered has ended it. Go ahead unless
    the events speak against it, such as a payment that does not fit the order; then a person looks at the order before
    anything is packed.
    """

    go_ahead: Annotated[bool, Field(description="true: the order may be packed; false: a person looks at it first.")]


@fulfilment.model(
    FulfilmentChoice, settled=("ended", "blocked", "requested_before", "waiting", "disputed", "unpaid", "review")
)
def release(
    choice: FulfilmentChoice,
    event: OrderPlaced | PaymentSucceeded | ShipmentRetryRequested | FraudScored,
    history: History,
    by_rules: Decision,
) -> Decision:
    """Decide as the rules do, or hold the same decision for a person."""
    if choice.go_ahead:
        return replace(by_rules, reason=told("go ahead", by_rules, choice))
    stopped = EscalationRequested(
        **order.named(event.order_id),
        failure=DOUBTFUL,
        reason="the order is known and paid but was not requested from fulfilment: a person decides",
        evidence=(history.event.id,),
    )
    reason = told("only if a person agrees", by_rules, choice)
    return replace(by_rules, reason=reason, hold=DOUBTFUL, otherwise=(stopped,))
