"""Story: what happened to an order up to a moment, and what in it no ordinary order has.

A story is ordered by the time of the events, ties by the log, so that events which reached the timeline a little out
of order tell the same one. It is only as good as the producers' clocks (`Retold` is what the log says where those may
be wrong), and as long as the window.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Final, TypeVar

from agents.model.history import EventKey, History, Past, Trace, those_of, trace
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
from agents.shop.facts.account import Account

T = TypeVar("T", bound=DomainEvent)

#: Producers' clocks may differ by this much. Own choice: hosts without a time service drift by minutes, and what is
#: later than that arrived late.
SKEW: Final = timedelta(minutes=30)

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

    Everything is sorted once for each decision, so a story costs no more than what it is about. `now` is the event
    decided on, where it is part of what happened.
    """

    def __init__(self, history: History, now: Past[DomainEvent] | None = None) -> None:
        self._history = history
        self._now = now
        #: In log order.
        self.log: Sequence[Past[DomainEvent]] = [*history.of(DomainEvent), *([now] if now else ())]
        self._tell(sorted(self.log, key=_at))

    def _tell(self, events: Sequence[Past[DomainEvent]]) -> None:
        self._events = events
        self._of: dict[type[DomainEvent], Sequence[Past[Any]]] = {DomainEvent: events}
        self._places = {past.key: place for place, past in enumerate(events)}

    def until(self, kind: type[T], at: datetime) -> Sequence[Past[T]]:
        """The events of one type up to then, the earliest first, ties by the log; `DomainEvent` gives all."""
        known = self._all(kind)
        return known[: bisect_right(known, at, key=_at)]

    def after(self, at: datetime) -> Sequence[Past[DomainEvent]]:
        """What happened later than that, the earliest first."""
        return self._events[bisect_right(self._events, at, key=_at) :]

    def _all(self, kind: type[T]) -> Sequence[Past[T]]:
        known = self._of.get(kind)
        if known is None:
            known = self._of[kind] = those_of(kind, self._events)
        return known

    def place(self, event: Past[T] | Trace) -> int:
        """Where the event stands among all."""
        return self._places[event.key]

    def cause(self, event: Past[Any]) -> Past[DomainEvent] | None:
        """The event that caused this one, if it is remembered; an id that several sources have names none."""
        return self._by_name.get(event.causationid or "")

    def is_ambiguous(self, event_id: str) -> bool:
        """Whether several sources have an event with this id here."""
        return self._history.is_ambiguous(event_id)

    @cached_property
    def _by_name(self) -> Mapping[str, Past[DomainEvent]]:
        by_name = self._history.by_name()
        if self._now is None:
            return by_name
        return {**by_name, self._history.names()[self._now.key]: self._now}


class Retold(Chronicle):
    """Events in the order of the log, wherever clocks that are a little wrong could have turned it around.

    Clocks that differ by more than `SKEW` are believed: the event arrived late.
    """

    def __init__(self, chronicle: Chronicle, at: datetime, place: int, linked: Collection[EventKey]) -> None:
        """What had happened at an error, by the log: `at` and `place` are the error's, `linked` its causes."""
        newest = datetime.min.replace(tzinfo=UTC)
        moments = []
        #: Whether it differs from what the clocks say.
        self.differs = False
        for index, past in enumerate(chronicle.log):
            moment = past.at
            if past.at < newest <= past.at + SKEW:
                moment, self.differs = newest, True
            newest = max(newest, moment)
            is_before_by_log = index < place and past.at <= at + SKEW
            if past.at <= at or is_before_by_log or past.key in linked:
                moments.append((moment, index, past))
                self.differs |= past.at > at and past.key not in linked
        self.log = chronicle.log
        self._tell([past for _, _, past in sorted(moments, key=lambda each: each[:2])])

    def until(self, kind: type[T], _: datetime) -> Sequence[Past[T]]:
        """The events of one type, the earliest first; they end with the error."""
        return self._all(kind)


@dataclass(frozen=True)
class Story:
    """What happened to one order up to `at`, in order of time."""

    chronicle: Chronicle
    #: When the error happened; what happened later cannot have caused it, unless its chain of causes says so.
    at: datetime
    #: The culprits of the order's earlier errors.
    blamed: frozenset[EventKey] = frozenset()
    #: What the error's chain of causes leads to though a clock says that it happened later, the earliest first.
    late: Sequence[Past[DomainEvent]] = ()

    def of(self, kind: type[T]) -> Sequence[Past[T]]:
        """The events of one type, the earliest first; `DomainEvent` gives all."""
        before = self.chronicle.until(kind, self.at)
        late: Sequence[Past[Any]] = [past for past in self.late if isinstance(past.data, kind)]
        return [*before, *late] if late else before

    def place(self, event: Past[T] | Trace) -> int:
        """Where an event stands in the story: what comes later has a higher place."""
        return self.chronicle.place(event)

    def later(self, one: Past[T], other: Trace) -> bool:
        """Tell whether `one` comes after `other` in the story."""
        return self.place(one) > self.place(other)

    @cached_property
    def placed(self) -> Past[OrderPlaced] | None:
        """The order as it was placed; None when it is no longer, or not yet, remembered."""
        return next(iter(self.of(OrderPlaced)), None)

    @cached_property
    def amended(self) -> Past[OrderPlaced] | None:
        """The newest version of the order, reported first; None when none is remembered."""
        newest: Past[OrderPlaced] | None = None
        for version in self.of(OrderPlaced):
            if newest is None or version.data != newest.data:
                newest = version
        return newest

    @cached_property
    def agreed(self) -> Past[OrderPlaced] | None:
        """The order as it was when it was paid first; as it was placed while nothing is paid."""
        paid = next(iter(self.captures), None)
        before = [version for version in self.of(OrderPlaced) if paid is None or self.later(paid, trace(version))]
        return before[-1] if before and paid else self.placed

    @cached_property
    def pieces(self) -> Mapping[str, int]:
        """How many pieces of each sku the newest version of the order asks for."""
        return pieces(self.amended.data) if self.amended else {}

    def holds(self, sku: str) -> bool:
        """Tell whether the order is for this sku; an order not remembered may be for any."""
        return self.amended is None or sku in self.pieces

    @cached_property
    def captures(self) -> Sequence[Past[PaymentSucceeded]]:
        """Each payment taken, the earliest first."""
        return distinct_captures(self.of(PaymentSucceeded))

    @cached_property
    def account(self) -> Account:
        """The money of the order as the story tells it."""
        account = Account()
        for past in self.of(DomainEvent):
            account.add(past)
        return account


def pieces(order: OrderPlaced) -> Mapping[str, int]:
    """How many pieces of each sku an order asks for."""
    wanted: Counter[str] = Counter()
    for item in order.items:
        wanted[item.sku] += item.quantity
    return wanted


def _at(past: Past[Any]) -> datetime:
    return past.at


def distinct_captures(captures: Iterable[Past[PaymentSucceeded]]) -> Sequence[Past[PaymentSucceeded]]:
    """Each payment once, in the order given. One reported again is no second capture."""
    first: dict[str, Past[PaymentSucceeded]] = {}
    for capture in captures:
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
