"""Fulfilment: asks for the goods to be packed once an order is both known and paid, and again when told to retry.

Its own earlier requests are derived from the events that led to them, not from `FulfilmentRequested`: that one may not
have reached the timeline yet when the next event is decided.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from agents.model.agent import Agent
from agents.model.decision import Decision
from agents.model.history import History
from agents.shop.entities import order
from agents.shop.events import (
    FulfilmentCancelled,
    FulfilmentRequested,
    OrderCancelled,
    OrderPlaced,
    PaymentSucceeded,
    ShipmentDispatched,
    ShipmentRetryRequested,
)
from tables.window import WindowSpec

fulfilment = Agent(
    name="fulfilment",
    entity=order,
    reacts_to=(OrderPlaced, PaymentSucceeded, ShipmentRetryRequested),
    remembers=(
        OrderPlaced,
        PaymentSucceeded,
        OrderCancelled,
        FulfilmentCancelled,
        ShipmentDispatched,
        ShipmentRetryRequested,
    ),
    window=WindowSpec(events=50, age=timedelta(days=90)),
)

#: What ends an order's way to the customer, one way or the other.
ENDS: Final = (OrderCancelled, FulfilmentCancelled, ShipmentDispatched)


@fulfilment.rules
def request(event: OrderPlaced | PaymentSucceeded | ShipmentRetryRequested, history: History) -> Decision:
    """Decide whether the order may be packed now."""
    ended = next((type(past.data).__name__ for kind in ENDS for past in history.of(kind)), None)
    if ended:
        return Decision(outcome="ended", reason=f"{ended} came before")
    if isinstance(event, ShipmentRetryRequested):
        return _on_retry(event, history)
    return _on_placed(event, history) if isinstance(event, OrderPlaced) else _on_paid(event, history)


def _on_placed(order: OrderPlaced, history: History) -> Decision:
    payments = history.of(PaymentSucceeded)
    if history.of(OrderPlaced):
        return Decision(outcome="known_before", reason="the order was placed before")
    if not payments:
        return Decision(outcome="waiting", reason="the order is not paid yet")
    return _requested(order, payments[0].data, outcome="requested", reason="paid before and now known")


def _on_paid(payment: PaymentSucceeded, history: History) -> Decision:
    orders = history.of(OrderPlaced)
    if history.of(PaymentSucceeded):
        return Decision(outcome="paid_before", reason="another payment of the order came before")
    if not orders:
        return Decision(outcome="waiting", reason="paid, but the order is not known yet")
    return _requested(orders[0].data, payment, outcome="requested", reason="known and paid")


def _on_retry(retry: ShipmentRetryRequested, history: History) -> Decision:
    orders, payments = history.of(OrderPlaced), history.of(PaymentSucceeded)
    if not (orders and payments):
        return Decision(outcome="waiting", reason="there is nothing to retry: the order was never requested")
    return _requested(orders[0].data, payments[0].data, outcome="retried", reason=f"told to retry: {retry.reason}")


def _requested(order: OrderPlaced, payment: PaymentSucceeded, *, outcome: str, reason: str) -> Decision:
    emitted = FulfilmentRequested(order_id=order.order_id, customer_id=order.customer_id, payment_id=payment.payment_id)
    return Decision(outcome=outcome, reason=reason, emit=[emitted])
