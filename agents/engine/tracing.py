"""Tracing: what router and stream loop tell whoever follows events from one to the next. The engine knows no library.

Without a tracer nothing is called for an event. With one, whatever is written for an event carries on where it came
from, in headers that its record has besides: the event itself stays the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from agents.engine.ports import Record
from outbox.errors import Permanent
from outbox.records import DecisionRecord
from tables.event import Event

#: Headers of a record that say where it comes from.
Carried = tuple[tuple[str, bytes], ...]


class Place(Protocol):
    """Where something was read."""

    @property
    def topic(self) -> str:
        """The topic."""

    @property
    def partition(self) -> int:
        """The partition of it."""


class RoutedRecord(Place, Protocol):
    """A record of a domain topic, as aiokafka fetched it."""

    @property
    def offset(self) -> int:
        """The offset in the partition."""

    @property
    def headers(self) -> Sequence[tuple[str, bytes]]:
        """Kafka headers."""


class Routing(Protocol):
    """One event in the router."""

    @property
    def carried(self) -> Carried:
        """What its records in timelines carry."""


class RouterTracing(Protocol):
    """Follows events through the router."""

    def routing(self, record: RoutedRecord, event: Event) -> Routing:
        """An event is about to be written to timelines."""

    def routed(self, events: Sequence[Routing]) -> None:
        """Kafka was given all of these, which were read together."""


class Deciding(Protocol):
    """One event that an agent decides on."""

    def asking(self) -> AbstractContextManager[None]:
        """While the brain waits for somebody, or something is logged of it: all of that belongs to this event."""

    def decided(self, record: DecisionRecord) -> DecisionRecord:
        """It is made, and about to be committed: the same decision, its messages carrying on where they are from."""

    def ended(self, outcome: bool | Permanent) -> None:
        """It is committed, was there before, or never will be."""


class DecisionTracing(Protocol):
    """Follows events through the agents."""

    def deciding(self, agent: str, batch: Place, record: Record, event: Event) -> Deciding:
        """An agent reacts to an event."""

    def together(self, agent: str, batch: Place, events: Sequence[Deciding]) -> AbstractContextManager[None]:
        """While the decisions on these, of one part of a partition, are committed."""
