"""Story: what happened to an order up to a moment, and what in it no ordinary order has.

A story is ordered by the time of the events, ties by the log, so that events which reached the timeline a little out
of order tell the same one. It is only as good as the producers' clocks, and as long as the window.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Final, TypeVar

from agents.model.history import EventKey, History, Past, Trace, trace
from agents.shop.events import (
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


class Chronicle:
    """The remembered events of one order by the time they happened: what the stories of its errors have in common.

    Everything is sorted once for each decision, so a story costs no more than what it is about.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self._events = sorted(history.of(DomainEvent), key=_at)
        self._of: dict[type[DomainEvent], Sequence[Past[Any]]] = {DomainEvent: self._events}
        self._places = {past.key: place for place, past in enumerate(self._events)}

    def until(self, kind: type[T], at: datetime) -> Sequence[Past[T]]:
        """The events of one type up to then, the earliest first, ties by the log; `DomainEvent` gives all."""
        known = self._of.get(kind)
        if known is None:
            known = self._of[kind] = [past for past in self._events if isinstance(past.data, kind)]
        return known[: bisect_right(known, at, key=_at)]

    def place(self, event: Past[T] | Trace) -> int:
        """Where the event stands among all."""
        return self._places[event.key]

    def cause(self, event: Past[Any]) -> Past[DomainEvent] | None:
        """The event that caused this one, if it is remembered; an id that several sources have names none."""
        return self._by_name.get(event.causationid or "")

    @cached_property
    def _by_name(self) -> Mapping[str, Past[DomainEvent]]:
        return self._history.by_name()


@dataclass(frozen=True)
class Story:
    """What happened to one order up to `at`, in order of time."""

    chronicle: Chronicle
    #: When the error happened; what happened later cannot have caused it.
    at: datetime
    #: The culprits of the order's earlier errors.
    blamed: frozenset[EventKey] = frozenset()

    def of(self, kind: type[T]) -> Sequence[Past[T]]:
        """The events of one type, the earliest first; `DomainEvent` gives all."""
        return self.chronicle.until(kind, self.at)

    def place(self, event: Past[T] | Trace) -> int:
        """Where an event stands in the story: what comes later has a higher place."""
        return self.chronicle.place(event)

    def later(self, one: Past[T], other: Trace) -> bool:
        """Tell whether `one` comes after `other` in the story."""
        return self.place(one) > self.place(other)

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
        return self.placed is None or sku in self._skus

    @cached_property
    def _skus(self) -> frozenset[str]:
        return frozenset(item.sku for item in self.placed.data.items) if self.placed else frozenset()


def _at(past: Past[Any]) -> datetime:
    return past.at


def distinct_captures(captures: Iterable[Past[PaymentSucceeded]]) -> Sequence[Past[PaymentSucceeded]]:
    """Each payment once, the earliest first, ties by the order given. One reported again is no second capture."""
    first: dict[str, Past[PaymentSucceeded]] = {}
    for capture in sorted(captures, key=lambda past: past.at):
        first.setdefault(capture.data.payment_id, capture)
    return list(first.values())


def deviations(story: Story) -> Sequence[Trace]:
    """What an ordinary order does not have, the earliest first: harmless or not, made good or not."""
    extra = {capture.key for capture in story.captures[1:]}
    return [trace(past) for past in story.of(DomainEvent) if past.key in extra or _is_odd(past.data)]


def _is_odd(data: DomainEvent) -> bool:
    # A valid address is what a correction leaves behind.
    corrected = isinstance(data, AddressChanged) and data.valid
    return not corrected and not isinstance(data, COURSE + ABOUT)
