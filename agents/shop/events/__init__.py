"""Events of the shop: the typed `data` of every event type its agents know, with those of the platform."""

from typing import Final

from agents.model.event import DomainEvent
from agents.platform.events import (
    ConfigChanged,
    ErrorOccurred,
    EscalationRequested,
    RootCauseIdentified,
    RootCauseSuspected,
    ServiceDeployed,
)
from agents.shop.events.ledger import LedgerEntryPosted
from agents.shop.events.orders import (
    AddressChanged,
    InventoryReserved,
    InventoryShort,
    OrderCancelled,
    OrderItem,
    OrderPlaced,
    PriceChanged,
)
from agents.shop.events.payments import (
    ChargebackReceived,
    FraudScored,
    PaymentAuthorized,
    PaymentFailed,
    PaymentSucceeded,
    RefundIssued,
)
from agents.shop.events.shipping import (
    FulfilmentCancelled,
    FulfilmentRequested,
    LabelFailed,
    ShipmentBooked,
    ShipmentDispatched,
    ShipmentRetryRequested,
)
from agents.shop.events.support import (
    ConfirmationRequested,
    CustomerNotified,
    ReviewPosted,
    SupportMessageReceived,
)

__all__ = [
    "SHOP_EVENTS",
    "AddressChanged",
    "ChargebackReceived",
    "ConfigChanged",
    "ConfirmationRequested",
    "CustomerNotified",
    "DomainEvent",
    "ErrorOccurred",
    "EscalationRequested",
    "FraudScored",
    "FulfilmentCancelled",
    "FulfilmentRequested",
    "InventoryReserved",
    "InventoryShort",
    "LabelFailed",
    "LedgerEntryPosted",
    "OrderCancelled",
    "OrderItem",
    "OrderPlaced",
    "PaymentAuthorized",
    "PaymentFailed",
    "PaymentSucceeded",
    "PriceChanged",
    "RefundIssued",
    "ReviewPosted",
    "RootCauseIdentified",
    "RootCauseSuspected",
    "ServiceDeployed",
    "ShipmentBooked",
    "ShipmentDispatched",
    "ShipmentRetryRequested",
    "SupportMessageReceived",
]

#: Those that the shop declares.
SHOP_EVENTS: Final[tuple[type[DomainEvent], ...]] = (
    PaymentAuthorized,
    PaymentSucceeded,
    PaymentFailed,
    ChargebackReceived,
    RefundIssued,
    FraudScored,
    OrderPlaced,
    OrderCancelled,
    PriceChanged,
    AddressChanged,
    InventoryReserved,
    InventoryShort,
    FulfilmentRequested,
    FulfilmentCancelled,
    ShipmentBooked,
    ShipmentDispatched,
    LabelFailed,
    ShipmentRetryRequested,
    ReviewPosted,
    SupportMessageReceived,
    ConfirmationRequested,
    CustomerNotified,
    LedgerEntryPosted,
)
