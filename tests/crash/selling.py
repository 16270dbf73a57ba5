"""Selling: a shop that goes on selling whatever breaks.

The messages that follow from a customer's payments share a few keys, so that there is an order to keep; the stories are
those of orders (`orders`).
"""

from __future__ import annotations

import random
from typing import Any, Final

from stream import ENTITIES, Drawn

TOPIC: Final = "payments"

_KINDS: Final = ("PaymentSucceeded",) * 8 + ("PaymentFailed", "ChargebackReceived")


def draw(chance: random.Random, number: int, name: str) -> Drawn:
    """An event of a customer."""
    customer = f"{name}-c-{chance.randrange(ENTITIES)}"
    kind = chance.choice(_KINDS)
    # A few payments share an order: their scores share a Kafka key.
    order = f"{customer}-o-{number // 400}"
    data: dict[str, Any] = {
        "payment_id": f"{name}-p-{number}",
        "order_id": order,
        "customer_id": customer,
        "amount_minor": chance.randrange(500, 20_000),
        "currency": "EUR",
        "method": "card",
        "country": chance.choice(("DE", "FR", "IT")),
        "device_id": f"device-{chance.randrange(4)}",
    }
    if kind == "PaymentFailed":
        data["reason"] = "card declined"
    return Drawn(TOPIC, kind, order, data)
