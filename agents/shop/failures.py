"""Failures of an order: what the events of root cause and recovery call them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from agents.model.event import DomainEvent
from agents.platform import events as platform
from agents.shop.events import AddressChanged, InventoryShort, LabelFailed, PaymentSucceeded, PriceChanged


class Failure(StrEnum):
    """What went wrong: the `failure` of the events of a recovery."""

    STOCK_SHORTAGE = "stock_shortage"
    DUPLICATE_CAPTURE = "duplicate_capture"
    LABEL_FAILED = "label_failed"
    ADDRESS_INVALID = "address_invalid"
    PRICE_CHANGED = "price_changed"
    BAD_DEPLOYMENT = platform.BAD_DEPLOYMENT
    BAD_CONFIGURATION = platform.BAD_CONFIGURATION
    #: Not found by looking back from an error: the verdict of `FraudScored`.
    FRAUD_BLOCKED = "fraud_blocked"
    #: Nor this one: somebody else's `OrderCancelled`, such as the customer's.
    ORDER_CANCELLED = "order_cancelled"
    UNKNOWN = platform.UNKNOWN
    #: Something speaks for it and something against it; a person has to look.
    INCONCLUSIVE = platform.INCONCLUSIVE


#: The failures that an event of the order leads to, and what type that event is.
CULPRITS: Final[Mapping[str, type[DomainEvent]]] = {
    Failure.STOCK_SHORTAGE: InventoryShort,
    Failure.DUPLICATE_CAPTURE: PaymentSucceeded,
    Failure.LABEL_FAILED: LabelFailed,
    Failure.ADDRESS_INVALID: AddressChanged,
    Failure.PRICE_CHANGED: PriceChanged,
}
