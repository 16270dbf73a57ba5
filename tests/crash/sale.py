"""Sale: one record of a trade, as it is sent to Kafka."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from recomputed import who_decides

SOURCE: Final = "urn:shop:crash"


def name_of(source: str, event_id: str) -> str:
    """What tells an event from every other, as text."""
    return f"{event_id} of {source}"


@dataclass(frozen=True, slots=True)
class Failure:
    """An entity that is made to fail."""

    #: The effect that has to come of it, by its kind.
    effect: str
    entity_id: str
    #: What it has to be done to: a payment to be given back, a test to be quarantined.
    target: str
    #: All events of its story, by name.
    events: frozenset[str]


@dataclass(frozen=True, slots=True)
class Sale:
    """One record; `event_id` is None for what is broken."""

    topic: str
    key: bytes
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    event_id: str | None = None
    source: str = SOURCE
    #: Who must decide on it.
    deciders: tuple[str, ...] = ()
    #: The record's timestamp in milliseconds since 1970; None for the producer's clock.
    stamp_ms: int | None = None
    #: What the last record of a story says about the whole of it.
    failure: Failure | None = None

    @property
    def name(self) -> str | None:
        """What tells its event from every other; None for what is broken."""
        return None if self.event_id is None else name_of(self.source, self.event_id)


def event(
    topic: str,
    kind: str,
    event_id: str,
    data: Mapping[str, Any],
    *,
    at: datetime,
    key: str,
    binary: bool = False,
    source: str = SOURCE,
) -> Sale:
    """An event as structured JSON or in Kafka's binary mode."""
    attributes = {
        "specversion": "1.0",
        "id": event_id,
        "source": source,
        "type": kind,
        "time": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    deciders = tuple(who_decides(kind, data))
    if not binary:
        structured = json.dumps({**attributes, "data": data}).encode()
        headers = [("content-type", b"application/cloudevents+json")]
        return Sale(topic, key.encode(), structured, tuple(headers), event_id, source, deciders)
    headers = [(f"ce_{attribute}", text.encode()) for attribute, text in attributes.items()]
    headers.append(("content-type", b"application/json"))
    return Sale(topic, key.encode(), json.dumps(data).encode(), tuple(headers), event_id, source, deciders)
