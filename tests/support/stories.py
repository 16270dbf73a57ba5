"""Short ways to write what happened to an order: each event by its id and the minutes before noon it happened."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from fakes import NOON, PAYMENT

from agents.shop.events import (
    AddressChanged,
    ChargebackReceived,
    DomainEvent,
    ErrorOccurred,
    InventoryReserved,
    InventoryShort,
    LabelFailed,
    OrderPlaced,
    PaymentSucceeded,
    PriceChanged,
    RefundIssued,
    ShipmentBooked,
)
from tables.event import Event

ITEMS = [{"sku": "lamp", "quantity": 2, "price_minor": 700}, {"sku": "cup", "quantity": 1, "price_minor": 600}]


def happened(
    kind: type[DomainEvent],
    event_id: str,
    minutes: float,
    *,
    by: str | None = None,
    source: str = "urn:test:shop",
    **data: Any,
) -> Event:
    """An event of order o-1 that long before noon; `by` is what caused it."""
    return Event(
        id=event_id,
        source=source,
        type=kind.__name__,
        time=NOON - timedelta(minutes=minutes),
        data={"order_id": "o-1", "customer_id": "ada"} | data,
        causationid=by,
    )


def placed(minutes: float = 100) -> Event:
    return happened(OrderPlaced, "placed", minutes, items=ITEMS, total_minor=2000, currency="EUR")


def captured(event_id: str, minutes: float, payment_id: str = "p-1", **rest: Any) -> Event:
    return happened(PaymentSucceeded, event_id, minutes, **(PAYMENT | {"payment_id": payment_id} | rest))


def refunded(event_id: str, minutes: float, payment_id: str, amount_minor: int = 2000) -> Event:
    return happened(
        RefundIssued,
        event_id,
        minutes,
        refund_id=event_id,
        payment_id=payment_id,
        amount_minor=amount_minor,
        currency="EUR",
        reason="twice",
    )


def charged_back(event_id: str, minutes: float, payment_id: str = "p-1", **rest: Any) -> Event:
    return happened(ChargebackReceived, event_id, minutes, **(PAYMENT | {"payment_id": payment_id} | rest))


def short(event_id: str, minutes: float, sku: str = "lamp", wanted: int = 2, available: int = 0, **rest: Any) -> Event:
    return happened(InventoryShort, event_id, minutes, sku=sku, wanted=wanted, available=available, **rest)


def reserved(event_id: str, minutes: float, sku: str = "lamp", wanted: int = 2, available: int = 2) -> Event:
    return happened(InventoryReserved, event_id, minutes, sku=sku, wanted=wanted, available=available)


def priced(event_id: str, minutes: float, old: int, new: int, sku: str = "lamp") -> Event:
    return happened(PriceChanged, event_id, minutes, sku=sku, old_minor=old, new_minor=new)


def moved(event_id: str, minutes: float, *, valid: bool, **rest: Any) -> Event:
    return happened(AddressChanged, event_id, minutes, address="Elm 1", valid=valid, **rest)


def label(event_id: str, minutes: float, *, transient: bool = True, **rest: Any) -> Event:
    return happened(LabelFailed, event_id, minutes, carrier="post", transient=transient, message="no label", **rest)


def booked(event_id: str, minutes: float) -> Event:
    return happened(ShipmentBooked, event_id, minutes, carrier="post")


def error(event_id: str = "error", minutes: float = 0, service: str = "checkout", **rest: Any) -> Event:
    what = {"step": "run", "error": "Failed", "message": "something went wrong"}
    return happened(ErrorOccurred, event_id, minutes, **(what | {"service": service} | rest))
