"""Domain events: the typed `data` of every event type the agents know.

`parse_data` gives a model, None for a type nobody here knows, or `InvalidEvent` with every problem found; its
message never repeats the data.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from pydantic import ValidationError

from agents.model.event import DomainEvent
from agents.platform.events.findings import EscalationRequested, RootCauseIdentified, RootCauseSuspected
from agents.platform.events.services import ConfigChanged, ErrorOccurred, ServiceDeployed
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
from tables.event import Event, InvalidEvent

__all__ = [
    "EVENT_TYPES",
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
    "parse_data",
]

_TYPES: Final[tuple[type[DomainEvent], ...]] = (
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
    ErrorOccurred,
    ServiceDeployed,
    ConfigChanged,
    RootCauseIdentified,
    RootCauseSuspected,
    EscalationRequested,
    LedgerEntryPosted,
)

#: The model of every event type, by the type's name.
EVENT_TYPES: Final[Mapping[str, type[DomainEvent]]] = MappingProxyType({model.__name__: model for model in _TYPES})

_MESSAGE_LIMIT: Final = 500


def parse_data(event: Event) -> DomainEvent | None:
    """Read the data of an event as the model of its type; None when the type is unknown.

    Raises `InvalidEvent` ("invalid_data") that names every field at fault, in at most 500 characters.
    """
    model = EVENT_TYPES.get(event.type)
    if model is None:
        return None
    try:
        return model.model_validate(event.data)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
    message = "; ".join(f"{_place(problem['loc'])}: {_lower_first(problem['msg'])}" for problem in problems)
    raise InvalidEvent("invalid_data", f"{event.type} {message}"[:_MESSAGE_LIMIT])


def _place(location: tuple[int | str, ...]) -> str:
    return ".".join(["data", *map(str, location)])


def _lower_first(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]
