"""Events of the topic `shipping`: from the wish to fulfil an order to the parcel on its way."""

from agents.model.event import DomainEvent, Id, Name, Text
from agents.shop.entities import customer, order


class ShippingEvent(DomainEvent, topic="shipping", about=order):
    """What every event of a shipment says; no event type itself."""

    order_id: Id


class FulfilmentRequested(ShippingEvent, about=(order, customer)):
    """The order may be packed."""

    customer_id: Id | None = None
    payment_id: Id | None = None


class FulfilmentCancelled(ShippingEvent):
    """The order must not be packed any more."""

    reason: Text


class ShipmentBooked(ShippingEvent):
    """A carrier accepted the parcel."""

    carrier: Name
    tracking_id: Id | None = None


class ShipmentDispatched(ShippingEvent):
    """The parcel left."""

    carrier: Name
    tracking_id: Id | None = None


class LabelFailed(ShippingEvent):
    """The carrier gave no label; `transient` says that trying again may help."""

    carrier: Name
    transient: bool
    message: Text


class ShipmentRetryRequested(ShippingEvent):
    """Booking the shipment shall be tried again."""

    reason: Text
