"""Order state: what recovery knows of an order, and what of it was made good already.

Everything here comes from the events, whatever their order in the log: captures, prices, shipments. What recovery
itself did is derived from the events it decided on, not from the messages of those decisions, which may not have
reached the timeline yet; a message that has is recognised by its refund id.

It grows one event at a time, so that a window is read once, not once for each of its events.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from agents.model.history import Past
from agents.shop.events import (
    AddressChanged,
    DomainEvent,
    FulfilmentCancelled,
    FulfilmentRequested,
    InventoryReserved,
    InventoryShort,
    LabelFailed,
    OrderPlaced,
    PaymentSucceeded,
)
from agents.shop.facts.account import MOST_PIECES, Account
from agents.shop.facts.prices import Moment
from agents.shop.failures import Failure
from agents.shop.recovery.address import Address

#: A failure, and what of it is a matter of its own: a person is asked about it once.
Concern = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Done:
    """What recovery has decided for an order in answer to one event."""

    #: Failure and culprit of every plan that was carried out.
    recovered: frozenset[tuple[str, str]] = frozenset()
    #: What a person was asked about, or was to be asked about again.
    escalated: Concern | None = None
    #: Payment and amount of each refund, by its id.
    refunds: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    cancelled: bool = False
    #: How many of the order's requests for fulfilment are called off by then.
    called_off: int = 0
    #: Why nothing of the order is to go on.
    stopped_by: Failure | None = None
    #: Whether what is captured after the order was stopped is given back without a person.
    gives_back: bool = False
    retries: int = 0
    #: Whether the customer was asked for an address.
    asked: bool = False
    #: Whether nothing is packed until a person has looked at a payment.
    holds: bool = False


class OrderState:
    """One order as of the event decided on."""

    def __init__(self) -> None:
        self.account = Account()
        self.address = Address()
        #: Whose order it is, if an event says so.
        self.customer_id: str | None = None
        self._place = 0
        self._events: dict[str, tuple[Moment, DomainEvent] | None] = {}
        self._reserved: dict[str, list[tuple[Moment, int]]] = {}
        self._done: dict[Hashable, Done] = {}
        self._recovered: Counter[tuple[str, str]] = Counter()
        self._escalated: Counter[Concern] = Counter()
        self._stopped_by: dict[Hashable, Failure] = {}
        self._gives_back_for: dict[Hashable, Failure] = {}
        self._cancelled = 0
        #: How often fulfilment was requested, and how many of those requests are called off, by what.
        self.requests = 0
        self._called_off_by_message = 0
        self._called_off: dict[Hashable, int] = {}
        #: Where in the log the newest review of a payment lies that nobody has answered.
        self._reviewed_at: int | None = None
        #: How often the shipment was tried again.
        self.retries = 0

    def add(self, past: Past[DomainEvent]) -> None:
        """Take in the next event of the order."""
        data, moment = past.data, Moment(past.at, self._place)
        self._place += 1
        self.account.add(past)
        # Two events with one id cannot be told apart by it: neither can be blamed.
        known = self._events.setdefault(past.id, (moment, data))
        if known is not None and known[1] != data:
            self._events[past.id] = None
        if self.customer_id is None and isinstance(data, (OrderPlaced, PaymentSucceeded, AddressChanged)):
            self.customer_id = data.customer_id
        if isinstance(data, AddressChanged):
            self.address.change(past.at, is_valid=data.valid)
        elif isinstance(data, LabelFailed):
            self.address.fail()
        elif isinstance(data, InventoryReserved):
            self._reserved.setdefault(data.sku, []).append((moment, data.wanted))
        elif isinstance(data, FulfilmentRequested):
            self.requests += 1
            if not self.is_overtaken(past):
                self._reviewed_at = None
        elif isinstance(data, FulfilmentCancelled):
            self._called_off_by_message = self.requests

    def put_down(self, cause: Hashable, done: Done) -> None:
        """Count what an event led to, in place of what was counted for it before."""
        earlier = self._done.get(cause)
        if earlier is not None:
            self._tally(earlier, -1)
            for refund_id in earlier.refunds:
                self.account.returned.take_back(refund_id)
        self._done[cause] = done
        self._tally(done, 1)
        for refund_id, (payment_id, minor) in done.refunds.items():
            self.account.returned.give_back(refund_id, payment_id, minor)
        self._stopped_by.pop(cause, None)
        self._gives_back_for.pop(cause, None)
        self._called_off.pop(cause, None)
        if done.holds:
            self._reviewed_at = self._place
        if done.called_off:
            self._called_off[cause] = done.called_off
        if done.stopped_by is not None:
            self._stopped_by[cause] = done.stopped_by
            if done.gives_back:
                self._gives_back_for[cause] = done.stopped_by

    def event(self, event_id: str) -> DomainEvent | None:
        """The event with this id, if it is remembered and no other has its id."""
        known = self._events.get(event_id)
        return known[1] if known is not None else None

    def is_recovered(self, key: tuple[str, str]) -> bool:
        """Whether a plan was carried out for this failure and culprit."""
        return self._recovered[key] > 0

    def times_escalated(self, concern: Concern) -> int:
        """How often there was a reason to ask a person about it; who was asked once is not asked again."""
        return self._escalated[concern]

    @property
    def stopped_by(self) -> Failure | None:
        """Why nothing of the order is to go on; None while it goes on."""
        return next(iter(self._stopped_by.values()), None)

    @property
    def gives_back_for(self) -> Failure | None:
        """Why what is captured now is given back; None when it is not."""
        return next(iter(self._gives_back_for.values()), None)

    @property
    def is_cancelled(self) -> bool:
        """Whether the order is called off."""
        return self._cancelled > 0 or self.account.is_cancelled

    @property
    def is_off(self) -> bool:
        """Whether nothing of the order is to be delivered any more."""
        return self.is_cancelled or self.stopped_by is not None

    @property
    def is_shipped(self) -> bool:
        """Whether a carrier has the goods."""
        return self.account.is_shipped

    @property
    def is_fulfilment_begun(self) -> bool:
        """Whether fulfilment was requested and not called off since."""
        # What is called off later covers more requests.
        called_off = next(reversed(self._called_off.values()), 0)
        return self.requests > max(called_off, self._called_off_by_message)

    def is_overtaken(self, request: Past[DomainEvent]) -> bool:
        """Whether fulfilment asked for this before it knew of a review: what led to it lies before that in the log.

        What a person agreed to is led to by the review itself, or by what came after it.
        """
        cause = self._events.get(request.causationid or "")
        return self._reviewed_at is not None and cause is not None and cause[0].place < self._reviewed_at

    def owed_minor(self, *, is_stopped: bool = False) -> int:
        """What the order owes to its customer, once it is stopped where `is_stopped`; see `Account.owed_minor`."""
        return self.account.owed_minor(is_stopped=is_stopped or self.is_off)

    def lines(self) -> Iterator[str]:
        """The account of the order, for a person."""
        return self.account.lines(is_stopped=self.is_off)

    def payment_of(self, culprit_id: str) -> str | None:
        """The payment to blame, named by itself or by the event that it was taken with; None when it is not known."""
        event = self.event(culprit_id)
        payment_id = event.payment_id if isinstance(event, PaymentSucceeded) else culprit_id
        return payment_id if self.account.has(payment_id) else None

    def repeated(self, culprit_id: str) -> Sequence[PaymentSucceeded]:
        """The captures that repeat one that is kept, when the one to blame is among them.

        None unless those kept pay for the order exactly (what a changed price leaves over is no capture of its own),
        all others are of one amount and tender, and a capture of that is kept: what else was taken is no repetition,
        and of an order that was amended since nobody can tell.
        """
        payment_id = self.payment_of(culprit_id)
        settlement = self.account.settle(apart=payment_id)
        if settlement is None or not 0 <= settlement.over_minor <= settlement.explained_minor:
            return ()
        is_among = any(capture.payment_id == payment_id for capture in settlement.extra)
        tenders = {(capture.amount_minor, capture.method) for capture in settlement.extra}
        is_kept = tenders <= {(capture.amount_minor, capture.method) for capture in settlement.kept}
        is_repeated = is_among and is_kept and len(tenders) == 1
        return settlement.extra if is_repeated and not self.account.is_amended_since_paid else ()

    def is_still_short(self, culprit_id: str) -> bool:
        """Whether the article to blame is missing for the newest version of the order, whoever counts.

        Pieces kept since, by the clock or by the log, add up.
        """
        known = self._events.get(culprit_id)
        moment, short = known or (None, None)
        if moment is None or not isinstance(short, InventoryShort):
            return False
        if not self.account.asks_for(short.sku) or self.account.is_amended_since(moment):
            return False
        reserved = self._reserved.get(short.sku, [])
        by_log = sum(wanted for when, wanted in reserved[-MOST_PIECES:] if when.place > moment.place)
        by_clock = sum(wanted for when, wanted in reserved[-MOST_PIECES:] if when.at > moment.at)
        return len(reserved) <= MOST_PIECES and max(by_log, by_clock) < short.wanted - short.available

    def _tally(self, done: Done, sign: int) -> None:
        for key in done.recovered:
            self._recovered[key] += sign
        if done.escalated is not None:
            self._escalated[done.escalated] += sign
        self._cancelled += sign * done.cancelled
        self.retries += sign * done.retries
        self.address.count(asked=sign * done.asked, retried=sign * done.retries)
