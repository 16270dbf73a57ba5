"""Events of the topic `platform`: what happens to the services themselves."""

from __future__ import annotations

from pydantic import JsonValue

from agents.model.event import DomainEvent, Id, Name, OpenEvent, Text
from agents.platform.entities import service as service_entity


class ErrorOccurred(OpenEvent, topic="platform", about=service_entity):
    """A step of the service failed, perhaps on behalf of another domain's entity, whose id it carries then."""

    service: Id
    step: Name
    error: Text
    message: Text


class ServiceEvent(DomainEvent, topic="platform", about=service_entity):
    """What every change of a service says; no event type itself."""

    service: Id


class ServiceDeployed(ServiceEvent):
    """A version of the service went live."""

    version: Name


class ConfigChanged(ServiceEvent):
    """A setting of the service changed; null is a setting that was or became absent."""

    key: Name
    old: JsonValue
    new: JsonValue
