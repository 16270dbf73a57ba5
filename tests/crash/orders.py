"""Orders: short stories of an order from the purchase to an error, some of which must end with money given back.

Each has a customer of its own, so that nothing the other customers did makes its payments suspicious, and happened just
now by the wall clock, so that no window is too short for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from sale import Failure, Sale, event

#: In turn: captured twice, out of stock, an error nothing explains, and one where all is well.
ENDINGS: Final = ("duplicate", "shortage", "error", "well")
#: The story begins so long before now and takes so long from one event to the next.
AGO: Final = timedelta(hours=1)
STEP: Final = timedelta(minutes=1)


def story(number: int, name: str, now: datetime) -> Iterator[Sale]:
    """The records of one order in the order in which they happened, on several topics; ids carry `name`."""
    order_id, ending = f"{name}-b-{number}", ENDINGS[number % len(ENDINGS)]
    sales = [
        event(topic, kind, f"{order_id}-e-{step}", {"order_id": order_id, **data}, key=order_id, at=_at(now, step))
        for step, (topic, kind, data) in enumerate(_sales(order_id, ending))
    ]
    refunded = {"duplicate": f"{order_id}-p-2", "shortage": f"{order_id}-p-1"}.get(ending)
    yield from sales[:-1]
    if refunded is None:
        yield sales[-1]
    else:
        names = frozenset(sale.name for sale in sales if sale.name is not None)
        yield replace(sales[-1], failure=Failure("refund", order_id, refunded, names))


def _at(now: datetime, step: int) -> datetime:
    return now - AGO + step * STEP


def _sales(order_id: str, ending: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Topic, type and data of each record."""
    customer = {"customer_id": f"{order_id}-c"}
    stock = {"sku": "lamp", "wanted": 1}
    items = [{"sku": "lamp", "quantity": 1, "price_minor": 4200}]
    yield "orders", "OrderPlaced", {**customer, "items": items, "total_minor": 4200, "currency": "EUR"}
    yield "orders", "InventoryReserved", {**stock, "available": 3}
    yield "payments", "PaymentSucceeded", {**customer, **_payment(f"{order_id}-p-1")}
    if ending == "duplicate":
        yield "payments", "PaymentSucceeded", {**customer, **_payment(f"{order_id}-p-2")}
    if ending == "shortage":
        yield "orders", "InventoryShort", {**stock, "available": 0}
    if ending != "well":
        failed = {"service": "warehouse", "step": "pack", "error": "Conflict", "message": "cannot be packed"}
        yield "platform", "ErrorOccurred", {**customer, **failed}


def _payment(payment_id: str) -> dict[str, Any]:
    return {
        "payment_id": payment_id,
        "amount_minor": 4200,
        "currency": "EUR",
        "method": "card",
        "country": "DE",
        "device_id": "device-1",
    }
