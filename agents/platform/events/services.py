"""Events of the topic `platform`: what happens to the services themselves."""

from typing import ClassVar

from pydantic import JsonValue

from agents.model.event import DomainEvent, Id, Name, Text


class PlatformEvent(DomainEvent):
    """What every event of a service says; no event type itself."""

    topic: ClassVar[str] = "platform"

    service: Id


class ErrorOccurred(PlatformEvent):
    """A step of the service failed, perhaps while it worked for an order or a customer."""

    step: Name
    error: Text
    message: Text
    order_id: Id | None = None
    customer_id: Id | None = None


class ServiceDeployed(PlatformEvent):
    """A version of the service went live."""

    version: Name


class ConfigChanged(PlatformEvent):
    """A setting of the service changed; null is a setting that was or became absent."""

    key: Name
    old: JsonValue
    new: JsonValue
