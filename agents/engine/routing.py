"""Routing: which entities a Kafka message is about, and what is written to their timelines.

Pure: the same message always gives the same answer, or fails with `InvalidEvent` and becomes a dead letter.
An event about no entity is valid and routed nowhere.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from agents.engine.stamps import ALLOWANCE
from agents.model.catalogue import TIMELINE, Catalogue
from agents.model.entity import Entity
from tables.event import Event, Headers, InvalidEvent, parse, parse_and_write, to_json

#: Bytes of an event in a timeline: the most that `MAX_EVENT_BYTES` lets the router write there. Others may write more,
#: packed, and no changelog would take it. With what a window adds it is below 1 MiB, Kafka's default for a message.
MAX_PAYLOAD_BYTES: Final = 900 * 1024

#: Bytes of an entity id in UTF-8. It is a Kafka key and a part of every RocksDB key, so it is kept short.
MAX_ENTITY_ID_BYTES: Final = 256


@dataclass(frozen=True, slots=True)
class EntityRef:
    """One entity: the name of its kind, and its id of 1 to 256 bytes in UTF-8."""

    entity: str
    id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Routed:
    """An event, what to write for it, and to whose timelines."""

    event: Event
    #: The event as structured JSON: always the same bytes for the same event.
    payload: bytes
    #: As they are declared; empty when the event is about none of them.
    entities: tuple[EntityRef, ...]


def timeline(entity: str) -> str:
    """Name the topic with every event of the entities of this kind."""
    return f"{TIMELINE}{entity}"


def entity_id_of(key: bytes | None) -> str:
    """Read the key of a record in a timeline. Raises `InvalidEvent`."""
    key = key or b""
    if not 0 < len(key) <= MAX_ENTITY_ID_BYTES or b"\0" in key:
        raise InvalidEvent(
            "invalid_envelope", f"the key of a timeline must be an entity id of 1 to {MAX_ENTITY_ID_BYTES} bytes"
        )
    try:
        return key.decode()
    except UnicodeDecodeError:
        raise InvalidEvent("invalid_utf8", "the key of a timeline must be an entity id in UTF-8") from None


def read_timeline(key: bytes | None, value: bytes | None) -> tuple[Event, str]:
    """Read a record of a timeline, whoever wrote it: the event and the id of its entity. Raises `InvalidEvent`."""
    _check_size("event", len(value or b""), MAX_PAYLOAD_BYTES)
    return parse(value, ()), entity_id_of(key)


def route(
    value: bytes | None, headers: Headers, *, catalogue: Catalogue, max_bytes: int, latest: datetime | None = None
) -> Routed:
    """Read a message, check the data if its type is known, and find its entities.

    An event that says it happened more than `ALLOWANCE` after `latest`, the time of its record, happened at that time:
    what its own time would be is kept as `claimedtime`. Without `latest` it is believed.

    `max_bytes` bounds value and headers together as they came, and the payload as it goes. An entity field
    that is null or empty counts as absent where the type's model allows that; one that is no text is invalid.

    Raises `InvalidEvent`.
    """
    size = len(value or b"") + sum([len(name.encode()) + len(content or b"") for name, content in headers])
    _check_size("value with headers", size, max_bytes)
    event, payload = parse_and_write(value, headers)
    believed = _no_later_than(latest, event)
    if believed is not event:
        event, payload = believed, to_json(believed)
    catalogue.types.parse(event)
    entities = tuple(_find_entities(event.data, catalogue.entities.values()))
    _check_size("event as structured JSON", len(payload), max_bytes)
    return Routed(event=event, payload=payload, entities=entities)


def _no_later_than(latest: datetime | None, event: Event) -> Event:
    # An event of the future would find nothing young enough in its own history, and so would all that follow from it.
    if latest is None or event.time <= latest + ALLOWANCE:
        return event
    claimed = event.time.isoformat().replace("+00:00", "Z")
    return replace(event, time=latest, extensions={**event.extensions, "claimedtime": claimed})


def _check_size(what: str, size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise InvalidEvent("too_large", f"{what} must have at most {max_bytes} bytes: it has {size}")


def _find_entities(data: Mapping[str, Any], entities: Iterable[Entity]) -> Iterator[EntityRef]:
    for entity in entities:
        name = entity.field
        entity_id = data.get(name)
        if entity_id is None or entity_id == "":
            continue
        if not isinstance(entity_id, str):
            raise InvalidEvent("invalid_data", f"data.{name} must be a text")
        if len(entity_id.encode()) > MAX_ENTITY_ID_BYTES:
            raise InvalidEvent("invalid_data", f"data.{name} must have at most {MAX_ENTITY_ID_BYTES} bytes in UTF-8")
        yield EntityRef(entity.name, entity_id)
