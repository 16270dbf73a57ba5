"""Events of the topic `support`: what customers say and what they are told."""

from typing import Annotated, ClassVar

from pydantic import Field

from agents.model.event import DomainEvent, Id, Name, Text


class SupportEvent(DomainEvent):
    """What every event of a conversation says; no event type itself."""

    topic: ClassVar[str] = "support"

    customer_id: Id


class ReviewPosted(SupportEvent):
    """A customer gave 1 to 5 stars."""

    order_id: Id | None = None
    stars: Annotated[int, Field(ge=1, le=5)]
    text: Text


class SupportMessageReceived(SupportEvent):
    """A customer wrote."""

    order_id: Id | None = None
    text: Text


class ConfirmationRequested(SupportEvent):
    """The customer shall hear, in this tone, that the order goes ahead."""

    order_id: Id
    tone: Name
    message: Text


class CustomerNotified(SupportEvent):
    """The customer was told about the order."""

    order_id: Id
    message: Text
