"""Given: events as a test writes them, and as a producer would send them. Times are absolute; no clock is read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from agents.model.domain import DomainInvalid
from agents.model.event import DomainEvent
from agents.model.types import Types
from tables.event import Event, to_json

#: When the first event happens that says no time.
START: Final = datetime(2024, 5, 1, 12, tzinfo=UTC)
#: How long after the one before it an event happens that says no time.
STEP: Final = timedelta(minutes=1)
#: Who produces what a test gives.
SOURCE: Final = "urn:test"


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """An event with what a test says of its envelope; the rest is made up in the order of the events.

    Raises ValueError for a time without a zone.
    """

    type: str
    data: Mapping[str, Any]
    #: When it happened, with a zone; None: a while after the event before it.
    at: datetime | None = None
    #: How long that while is.
    later: timedelta = STEP
    #: None: `event-1`, `event-2`, …
    id: str | None = None
    source: str = SOURCE
    correlationid: str | None = None
    causationid: str | None = None

    def __post_init__(self) -> None:
        if self.at is not None and self.at.utcoffset() is None:
            raise ValueError("a time needs a zone, or it is another one on every machine: at=datetime(..., tzinfo=UTC)")


#: What a test may give: typed data, an event with its envelope, or the bytes of a record.
Sent = DomainEvent | Given | Event | bytes


def as_given(event: DomainEvent, types: Types) -> Given:
    """Typed data as an event. Raises `DomainInvalid` when no loaded domain declares its type."""
    name = type(event).__name__
    if types.events.get(name) is not type(event):
        raise DomainInvalid(f"no loaded domain declares the event {name}")
    return Given(type=name, data=event.written())


def records(events: Iterable[Sent], types: Types) -> Iterator[bytes]:
    """The events as records, in this order. Raises `DomainInvalid`, or `InvalidEvent` for what no envelope holds."""
    at = START - STEP
    for number, sent in enumerate(events, 1):
        if isinstance(sent, bytes):
            at += STEP
            yield sent
            continue
        event = sent if isinstance(sent, Event) else _event(sent, types, number, at)
        at = event.time
        yield to_json(event)


def _event(sent: DomainEvent | Given, types: Types, number: int, before: datetime) -> Event:
    given = as_given(sent, types) if isinstance(sent, DomainEvent) else sent
    return Event(
        id=given.id or f"event-{number}",
        source=given.source,
        type=given.type,
        time=before + given.later if given.at is None else given.at.astimezone(UTC),
        data=given.data,
        correlationid=given.correlationid,
        causationid=given.causationid,
    )
