"""Normal: what happened to an order before an error, and what in it no ordinary order has.

A story is ordered by the time of the events, ties by the log, so that events which reached the timeline a little out
of order tell the same one. It is only as good as the producers' clocks, and as long as the window.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Final, TypeVar

from agents.events import (
    AddressChanged,
    ConfirmationRequested,
    CustomerNotified,
    DomainEvent,
    ErrorOccurred,
    EscalationRequested,
    FraudScored,
    FulfilmentRequested,
    InventoryReserved,
    LedgerEntryPosted,
    OrderPlaced,
    PaymentAuthorized,
    PaymentSucceeded,
    RefundIssued,
    ReviewPosted,
    RootCauseIdentified,
    RootCauseSuspected,
    ShipmentBooked,
    ShipmentDispatched,
    ShipmentRetryRequested,
    SupportMessageReceived,
)
from agents.history import History, Past

T = TypeVar("T", bound=DomainEvent)

#: The course of an ordinary order, in this order; a second capture is not part of it.
COURSE: Final = (
    OrderPlaced,
    InventoryReserved,
    PaymentAuthorized,
    PaymentSucceeded,
    FulfilmentRequested,
    ShipmentBooked,
    ShipmentDispatched,
)
#: What is said about an order or answers a failure: it breaks nothing itself.
ABOUT: Final = (
    ConfirmationRequested,
    CustomerNotified,
    ErrorOccurred,
    EscalationRequested,
    FraudScored,
    LedgerEntryPosted,
    RefundIssued,
    ReviewPosted,
    RootCauseIdentified,
    RootCauseSuspected,
    ShipmentRetryRequested,
    SupportMessageReceived,
)


@dataclass(frozen=True, slots=True)
class Trace:
    """Where an event stands: all that ranking it needs."""

    id: str
    #: When it happened, UTC.
    at: datetime
    source: str


@dataclass(frozen=True)
class Story:
    """What happened to one order up to `at`, in order of time."""

    history: History
    #: When the error happened; what happened later cannot have caused it.
    at: datetime
    #: Ids of the culprits of the order's earlier errors.
    blamed: frozenset[str] = frozenset()

    def of(self, kind: type[T]) -> Sequence[Past[T]]:
        """The events of one type, the earliest first; `DomainEvent` gives all."""
        return sorted((past for past in self.history.of(kind) if past.at <= self.at), key=lambda past: past.at)

    def later(self, one: Past[T], other: Trace) -> bool:
        """Tell whether `one` comes after `other` in the story."""
        return self._places[one.id] > self._places[other.id]

    @cached_property
    def placed(self) -> Past[OrderPlaced] | None:
        """The order itself; None when it is no longer, or not yet, remembered."""
        return next(iter(self.of(OrderPlaced)), None)

    @cached_property
    def captures(self) -> Sequence[Past[PaymentSucceeded]]:
        """Each payment taken, the earliest first."""
        return distinct_captures(self.of(PaymentSucceeded))

    def holds(self, sku: str) -> bool:
        """Tell whether the order is for this sku; an order not remembered may be for any."""
        return self.placed is None or any(item.sku == sku for item in self.placed.data.items)

    @cached_property
    def _places(self) -> Mapping[str, int]:
        return {past.id: place for place, past in enumerate(self.of(DomainEvent))}


def distinct_captures(captures: Iterable[Past[PaymentSucceeded]]) -> Sequence[Past[PaymentSucceeded]]:
    """Each payment once, the earliest first, ties by the order given. One reported again is no second capture."""
    first: dict[str, Past[PaymentSucceeded]] = {}
    for capture in sorted(captures, key=lambda past: past.at):
        first.setdefault(capture.data.payment_id, capture)
    return list(first.values())


def trace(past: Past[T]) -> Trace:
    """Where a remembered event stands."""
    return Trace(past.id, past.at, past.source)


def deviations(story: Story) -> Sequence[Trace]:
    """What an ordinary order does not have, the earliest first: harmless or not, made good or not."""
    extra = {capture.id for capture in story.captures[1:]}
    return [trace(past) for past in story.of(DomainEvent) if past.id in extra or _is_odd(past.data)]


def _is_odd(data: DomainEvent) -> bool:
    # A valid address is what a correction leaves behind.
    corrected = isinstance(data, AddressChanged) and data.valid
    return not corrected and not isinstance(data, COURSE + ABOUT)
