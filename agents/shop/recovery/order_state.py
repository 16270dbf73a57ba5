"""Order state: what recovery knows of an order, and what of it was made good already.

Everything here comes from the events, whatever their order in the log: captures, prices, shipments. What recovery
itself did is derived from the events it decided on, not from the messages of those decisions, which may not have
reached the timeline yet; a message that has is recognised by its refund id.

It grows one event at a time, so that a window is read once, not once for each of its events.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from agents.model.history import Past
from agents.shop.events import (
    AddressChanged,
    DomainEvent,
    FulfilmentCancelled,
    FulfilmentRequested,
    InventoryShort,
    OrderCancelled,
    OrderPlaced,
    PaymentSucceeded,
    ShipmentDispatched,
)
from agents.shop.facts.account import Account
from agents.shop.failures import Failure


@dataclass(frozen=True, slots=True)
class Done:
    """What recovery has decided for an order in answer to one event."""

    #: Failure and culprit of every plan that was carried out.
    recovered: frozenset[tuple[str, str]] = frozenset()
    #: Payment and amount of each refund, by its id.
    refunds: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    cancelled: bool = False
    fulfilment_cancelled: bool = False
    #: Why nothing of the order is to go on.
    stopped_by: Failure | None = None
    #: Whether what is captured after the order was stopped is given back without a person.
    gives_back: bool = False
    retries: int = 0


class OrderState:
    """One order as of the event decided on."""

    def __init__(self) -> None:
        self.account = Account()
        #: Whose order it is, if an event says so.
        self.customer_id: str | None = None
        #: Whether the goods are on their way.
        self.is_shipped = False
        self._seen: set[type[DomainEvent]] = set()
        self._events: dict[str, DomainEvent | None] = {}
        self._address: tuple[datetime, bool] | None = None
        self._done: dict[Hashable, Done] = {}
        self._recovered: Counter[tuple[str, str]] = Counter()
        self._stopped_by: dict[Hashable, Failure] = {}
        self._gives_back_for: dict[Hashable, Failure] = {}
        self._cancelled = 0
        self._fulfilment_cancelled = 0
        #: How often the shipment was tried again.
        self.retries = 0

    def add(self, past: Past[DomainEvent]) -> None:
        """Take in the next event of the order."""
        data = past.data
        self.account.add(past)
        self._seen.add(type(data))
        self.is_shipped |= isinstance(data, ShipmentDispatched)
        # Two events with one id cannot be told apart by it: neither can be blamed.
        known = self._events.setdefault(past.id, data)
        if known is not None and known != data:
            self._events[past.id] = None
        if self.customer_id is None and isinstance(data, (OrderPlaced, PaymentSucceeded, AddressChanged)):
            self.customer_id = data.customer_id
        if isinstance(data, AddressChanged) and (self._address is None or past.at > self._address[0]):
            self._address = (past.at, data.valid)

    def put_down(self, cause: Hashable, done: Done) -> None:
        """Count what an event led to, in place of what was counted for it before."""
        earlier = self._done.get(cause)
        if earlier is not None:
            self._tally(earlier, -1)
            for refund_id in earlier.refunds:
                self.account.take_back(refund_id)
        self._done[cause] = done
        self._tally(done, 1)
        for refund_id, (payment_id, minor) in done.refunds.items():
            self.account.give_back(refund_id, payment_id, minor)
        self._stopped_by.pop(cause, None)
        self._gives_back_for.pop(cause, None)
        if done.stopped_by is not None:
            self._stopped_by[cause] = done.stopped_by
            if done.gives_back:
                self._gives_back_for[cause] = done.stopped_by

    def event(self, event_id: str) -> DomainEvent | None:
        """The event with this id, if it is remembered and no other has its id."""
        return self._events.get(event_id)

    def is_recovered(self, key: tuple[str, str]) -> bool:
        """Whether a plan was carried out for this failure and culprit."""
        return self._recovered[key] > 0

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
        return self._cancelled > 0 or OrderCancelled in self._seen

    @property
    def is_fulfilment_begun(self) -> bool:
        """Whether fulfilment was requested and not called off."""
        called_off = self._fulfilment_cancelled > 0 or FulfilmentCancelled in self._seen
        return FulfilmentRequested in self._seen and not called_off

    @property
    def is_address_valid(self) -> bool:
        """Whether the newest address known is one the carrier knows; an order whose address never changed has one."""
        return self._address is None or self._address[1]

    def payment_of(self, culprit_id: str) -> str | None:
        """The payment to blame, named by itself or by the event that it was taken with; None when it is not known."""
        event = self.event(culprit_id)
        payment_id = event.payment_id if isinstance(event, PaymentSucceeded) else culprit_id
        return payment_id if self.account.has(payment_id) else None

    def beyond(self, culprit_id: str) -> Sequence[PaymentSucceeded]:
        """The captures beyond what the order is worth, when the one to blame is among them.

        None unless the others pay for the order exactly (what a changed price leaves over is no capture of its own) and
        those beyond are of one amount: what else was taken is no repetition.
        """
        payment_id = self.payment_of(culprit_id)
        settlement = self.account.settle(apart=payment_id)
        if settlement is None or not 0 <= settlement.over_minor <= settlement.explained_minor:
            return ()
        is_among = any(capture.payment_id == payment_id for capture in settlement.extra)
        is_repeated = len({capture.amount_minor for capture in settlement.extra}) == 1
        return settlement.extra if is_among and is_repeated else ()

    def asks_for_what_is_short(self, culprit_id: str) -> bool:
        """Whether the newest version of the order still has the article to blame; an unknown order may have any."""
        short = self.event(culprit_id)
        return not isinstance(short, InventoryShort) or self.account.asks_for(short.sku)

    def _tally(self, done: Done, sign: int) -> None:
        for key in done.recovered:
            self._recovered[key] += sign
        self._cancelled += sign * done.cancelled
        self._fulfilment_cancelled += sign * done.fulfilment_cancelled
        self.retries += sign * done.retries
