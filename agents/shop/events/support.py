"""Events of the topic `support`: what customers say and what they are told."""

from typing import Annotated

from pydantic import Field

from agents.model.event import DomainEvent, Id, Name, Text
from agents.shop.entities import customer, order


class SupportEvent(DomainEvent, topic="support", about=customer):
    """What every event of a conversation says; no event type itself."""

    customer_id: Id


class ReviewPosted(SupportEvent, about=(order, customer)):
    """A customer gave 1 to 5 stars."""

    order_id: Id | None = None
    stars: Annotated[int, Field(ge=1, le=5)]
    text: Text


class SupportMessageReceived(SupportEvent, about=(order, customer)):
    """A customer wrote."""

    order_id: Id | None = None
    text: Text


class ConfirmationRequested(SupportEvent, about=(order, customer)):
    """The customer shall hear, in this tone, that the order goes ahead."""

    order_id: Id
    tone: Name
    message: Text


class CustomerNotified(SupportEvent, about=(order, customer)):
    """The customer was told about the order."""

    order_id: Id
    message: Text
