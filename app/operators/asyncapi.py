"""AsyncAPI: what the loaded domains read and write, as one document for people and generators.

https://www.asyncapi.com/docs/reference/specification/v3.0.0. Channels are topics: the domains' own, the timelines, and
the dead letters. Messages are event types, structured CloudEvents, with their keys. An agent says what it receives;
what it sends is its code's and is not declared, so no operation says so.

Pure: the same domains give the same document.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema

from agents.model.agent import Agent
from agents.model.catalogue import TIMELINE, Catalogue
from agents.model.entity import Entity
from agents.model.event import DomainEvent, OpenEvent
from outbox.parameters import DEAD_LETTERS

ASYNCAPI: Final = "3.0.0"
CONTENT_TYPE: Final = "application/cloudevents+json"

#: No class can be called so.
_ENVELOPE: Final = "CloudEvents-1.0"
_DEAD_LETTER: Final = "dead-letter"
#: Of the Kafka bindings for channels and messages.
_BINDING: Final = "0.5.0"

_TEXT: Final[Mapping[str, Any]] = {"type": "string"}


class _Schemas(GenerateJsonSchema):
    """A type that has no JSON schema may be anything."""

    def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> JsonSchemaValue:  # noqa: ARG002
        return {}


def asyncapi_document(catalogue: Catalogue, *, version: str, topics: Iterable[str] = ()) -> Mapping[str, Any]:
    """The document, ready for JSON.

    `topics` are read besides those of the declared events; `version` is Innervate's.
    """
    events = catalogue.types.events
    carried = [entity for domain in catalogue.domains for entity in domain.carries]
    channels = {
        topic: _channel(topic, [event for event in events.values() if event.topic == topic], "Written by any producer.")
        for topic in dict.fromkeys((*catalogue.topics, *topics))
    }
    for entity in catalogue.entities.values():
        about = [event for event in events.values() if catalogue.may_name(event, entity)]
        channels[f"{TIMELINE}{entity.name}"] = _channel(
            f"{TIMELINE}{entity.name}", about, f"What agents want of each {entity.name}, keyed by {entity.field}."
        )
    dead = _channel(DEAD_LETTERS, (), "What could not be processed, as it came.")
    channels[DEAD_LETTERS] = {**dead, "messages": {_DEAD_LETTER: {"$ref": f"#/components/messages/{_DEAD_LETTER}"}}}
    return {
        "asyncapi": ASYNCAPI,
        "info": {"title": ", ".join(domain.name for domain in catalogue.domains) or "no domain", "version": version},
        "defaultContentType": CONTENT_TYPE,
        "channels": channels,
        "operations": {f"{agent.name}.receive": _operation(agent) for agent in catalogue.agents.values()},
        "components": {
            "messages": {
                **{name: _message(event, carried) for name, event in events.items()},
                _DEAD_LETTER: _dead_letter(),
            },
            "schemas": {_ENVELOPE: _envelope(), **_schemas(events.values())},
        },
    }


def _channel(topic: str, events: Sequence[type[DomainEvent]], description: str) -> Mapping[str, Any]:
    return {
        "address": topic,
        "description": description,
        "messages": {event.__name__: {"$ref": f"#/components/messages/{event.__name__}"} for event in events},
        "bindings": {"kafka": {"topic": topic, "bindingVersion": _BINDING}},
    }


def _operation(agent: Agent) -> Mapping[str, Any]:
    channel = f"#/channels/{TIMELINE}{agent.entity.name}"
    reacts_to, remembers = (", ".join(sorted(names)) or "nothing" for names in (agent.reacts_to, agent.remembers))
    return {
        "action": "receive",
        "channel": {"$ref": channel},
        "title": agent.name,
        "description": f"Decides on {reacts_to}; remembers {remembers}.",
        "messages": [{"$ref": f"{channel}/messages/{kind.__name__}"} for kind in agent.kinds],
    }


def _message(event: type[DomainEvent], carried: Sequence[Entity]) -> Mapping[str, Any]:
    data: dict[str, Any] = {"$ref": f"#/components/schemas/{event.__name__}"}
    about = list(event.about)
    if issubclass(event, OpenEvent):
        about = [*carried, *about]
        ids = {entity.field: {"type": ["string", "null"]} for entity in carried}
        data = {"allOf": [data, {"type": "object", "properties": ids}]} if ids else data
    fields = " or ".join(dict.fromkeys(entity.field for entity in about))
    key = f"{fields}: the first that is there" if len(about) > 1 else fields or "none"
    own = {"type": "object", "properties": {"type": {"const": event.__name__}, "data": data}, "required": ["data"]}
    message = {
        "name": event.__name__,
        "contentType": CONTENT_TYPE,
        "payload": {"allOf": [{"$ref": f"#/components/schemas/{_ENVELOPE}"}, own]},
        "bindings": {"kafka": {"key": {**_TEXT, "description": key}, "bindingVersion": _BINDING}},
    }
    # A class without a docstring must not tell of its base.
    said = inspect.cleandoc(event.__dict__.get("__doc__") or "")
    return {**message, "summary": said.partition("\n")[0]} if said else message


def _dead_letter() -> Mapping[str, Any]:
    told = ("reason", "detail", "consumer", "topic", "partition", "offset", "time")
    return {
        "name": _DEAD_LETTER,
        "contentType": "application/octet-stream",
        "payload": {"description": "The bytes as they came."},
        "headers": {"type": "object", "properties": dict.fromkeys(told, _TEXT), "required": list(told)},
        "bindings": {"kafka": {"key": {**_TEXT, "description": "as it came"}, "bindingVersion": _BINDING}},
    }


def _envelope() -> Mapping[str, Any]:
    required = ["specversion", "id", "source", "type", "time"]
    texts = ("id", "source", "type", "subject", "correlationid", "causationid", "traceparent")
    return {
        "type": "object",
        "properties": {
            "specversion": {"const": "1.0"},
            **dict.fromkeys(texts, _TEXT),
            "time": {**_TEXT, "format": "date-time"},
            "data": {"type": "object"},
        },
        "required": required,
    }


def _schemas(events: Iterable[type[DomainEvent]]) -> Mapping[str, Any]:
    """The schema of every event type under its name, and of what they are made of."""
    found, parts = models_json_schema(
        [(event, "validation") for event in events],
        ref_template="#/components/schemas/{model}",
        schema_generator=_Schemas,
    )
    schemas = dict(parts.get("$defs", {}))
    # A part of the same name as an event makes pydantic call both by their modules.
    return schemas | {model.__name__: schemas.get(model.__name__, schema) for (model, _), schema in found.items()}
