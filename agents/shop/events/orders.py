"""Events of the topic `orders`: what was ordered, changed, cancelled and kept back from stock."""

from typing import Annotated

from pydantic import Field

from agents.model.event import Count, Currency, Data, DomainEvent, Id, Money, Quantity, Text
from agents.shop.entities import customer, order


class OrderItem(Data):
    """One line of an order; `price_minor` is the price of one piece."""

    sku: Id
    quantity: Quantity
    price_minor: Money


class OrderEvent(DomainEvent, topic="orders", about=order):
    """What every event of an order says; no event type itself."""

    order_id: Id


class OrderPlaced(OrderEvent, about=(order, customer)):
    """A customer ordered."""

    customer_id: Id
    items: Annotated[tuple[OrderItem, ...], Field(strict=False)]
    total_minor: Money
    currency: Currency


class OrderCancelled(OrderEvent):
    """The order will not be fulfilled."""

    reason: Text


class PriceChanged(OrderEvent):
    """The price of one piece changed after the order was placed."""

    sku: Id
    old_minor: Money
    new_minor: Money


class AddressChanged(OrderEvent, about=(order, customer)):
    """The address to ship to changed; `valid` says whether the carrier knows it."""

    customer_id: Id
    address: Text
    valid: bool


class InventoryReserved(OrderEvent):
    """The pieces wanted were kept for the order."""

    sku: Id
    wanted: Quantity
    available: Count


class InventoryShort(OrderEvent):
    """Fewer pieces were available than wanted."""

    sku: Id
    wanted: Quantity
    available: Count
