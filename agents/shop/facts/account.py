"""Account: the money of one order, reconciled by amounts before any of it moves.

A capture is a payment of the order and counts once, however often and under whatever event ids it is reported. Against
the captures stands what anybody gave back: refunds of recovery, of others, and chargebacks. Both are held against the
worth of the newest version of the order, as far as it can still be delivered. What is captured, and neither given back
nor covered by that, is owed (`owed_minor`): no plan gives back more. Where these accounts disagree (`is_disputed`)
nothing is owed by itself, and a person is given the `lines`.

Events are taken in one at a time, in log order, and no question costs more than the bounds below allow: a decision
stays linear in its window. It fails by disputing: more than it can hold apart is for a person.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Final

from agents.model.history import Past, agent_source
from agents.shop.events import (
    ChargebackReceived,
    DomainEvent,
    OrderCancelled,
    OrderPlaced,
    PaymentSucceeded,
    PriceChanged,
    RefundIssued,
    ShipmentBooked,
    ShipmentDispatched,
)
from agents.shop.facts.prices import Difference, Moment, Prices
from agents.shop.facts.returned import MOST_NAMED, Returned
from agents.shop.money import amount

#: An order paid in more pieces, or with more versions, is for a person. Own choice: tenders and parcels of an order are
#: a handful.
MOST_PIECES: Final = 20
#: The source of the refunds that recovery decides on.
_OURS: Final = agent_source("recovery")


@dataclass(frozen=True, slots=True)
class Settlement:
    """Which captures pay for the order, and which are beyond it."""

    #: Together no more than what was asked for the order, the earliest first.
    kept: Sequence[PaymentSucceeded]
    extra: Sequence[PaymentSucceeded]
    #: What is left of those kept beyond the worth of the order, in minor units; below 0 when they do not pay for it.
    over_minor: int
    #: By how much what was asked exceeds the worth, because a price changed.
    explained_minor: int


class Account:
    """What was captured for an order, given back, and what the order is worth; grows by `add`."""

    def __init__(self) -> None:
        #: The newest version of the order in the log, if any is remembered.
        self.order: OrderPlaced | None = None
        self._placed: Moment | None = None
        self._versions = 0
        self._is_contradicted = False
        self._cancelled_at: datetime | None = None
        #: Whether a carrier has the goods.
        self.is_shipped = False
        self._taken: dict[str, tuple[Moment, PaymentSucceeded]] = {}
        #: The first capture by its time.
        self._paid: Moment | None = None
        #: What was given back, by anyone.
        self.returned = Returned()
        self._currencies: set[str] = set()
        self._prices = Prices()
        #: What the newest version of the order asks for.
        self._skus: frozenset[str] = frozenset()
        self._place = 0
        #: The payments reported with several amounts, in the order found.
        self._differing: dict[str, list[PaymentSucceeded]] = {}

    def add(self, past: Past[DomainEvent]) -> None:
        """Take in the next event of the order; what is not about money changes nothing."""
        data = past.data
        moment = Moment(past.at, self._place)
        self._place += 1
        if isinstance(data, PaymentSucceeded):
            self._capture(moment, data)
        elif isinstance(data, RefundIssued):
            self._currencies.add(data.currency)
            self.returned.refund(data, is_ours=past.source == _OURS)
        elif isinstance(data, ChargebackReceived):
            self._currencies.add(data.currency)
            self.returned.charge_back(data)
        elif isinstance(data, OrderPlaced):
            self._place_order(moment, data)
        elif isinstance(data, PriceChanged):
            self._prices.add(moment, data)
        elif isinstance(data, OrderCancelled):
            self._cancelled_at = max(past.at, self._cancelled_at or past.at)
        elif isinstance(data, ShipmentBooked | ShipmentDispatched):
            self.is_shipped = True

    @property
    def captures(self) -> Sequence[PaymentSucceeded]:
        """Each payment taken once, the earliest first, ties by the log; the first ones reported when disputed."""
        taken = sorted(islice(self._taken.values(), MOST_PIECES), key=lambda each: each[0].at)
        return [payment for _, payment in taken]

    def left(self, capture: PaymentSucceeded) -> int:
        """What of the capture nobody gave back, in minor units."""
        return max(0, capture.amount_minor - self.returned.minor(capture.payment_id))

    @property
    def left_minor(self) -> int:
        """What of all captures nobody gave back, in minor units."""
        return sum(self.left(capture) for capture in self.captures)

    def is_beyond(self, payment_id: str) -> bool:
        """Whether more was given back of a payment than it took, or may have been."""
        return self.returned.is_beyond(payment_id)

    def has(self, payment_id: str) -> bool:
        """Whether the order was paid with this payment, among others."""
        return payment_id in self._taken

    def asks_for(self, sku: str) -> bool:
        """Whether the newest version of the order has this article; an unknown order may have any."""
        return self.order is None or sku in self._skus

    def is_amended_since(self, moment: Moment) -> bool:
        """Whether a version of the order is newer, by the clock or by the log, that is not the first one."""
        placed = self._placed
        return self._versions > 1 and placed is not None and (placed.at > moment.at or placed.place > moment.place)

    @property
    def is_amended_since_paid(self) -> bool:
        """Whether the order became another one after its first capture."""
        return self._paid is not None and self.is_amended_since(self._paid)

    def is_placed_again_since(self, cancelled_at: datetime) -> bool:
        """Whether another version of the order is newer than its cancellation."""
        return self._versions > 1 and self._placed is not None and self._placed.at > cancelled_at

    @property
    def is_cancelled(self) -> bool:
        """Whether an event says that the order will not be fulfilled."""
        return self._cancelled_at is not None

    def owed_minor(self, *, is_stopped: bool = False) -> int:
        """What was captured and neither given back by anyone nor covered by what can still be delivered.

        In minor units; 0 where accounts disagree. Nothing is delivered any more of an order that was cancelled, or
        `is_stopped`; of one that was shipped all of it is. Of an order that is not known, and goes on, nothing is owed.
        """
        if self.is_disputed:
            return 0
        is_off = is_stopped or self.is_cancelled
        if self.is_shipped or not is_off:
            covered = self.left_minor if self.order is None else self._worth(self.order)[0]
        else:
            covered = 0
        return max(0, self.left_minor - covered)

    @property
    def price_doubt(self) -> str:
        """Why the changes of prices cannot be relied on, in one line; "" when they can."""
        return "" if self.order is None else self._difference(self.order).doubt

    def settle(self, apart: str | None = None) -> Settlement | None:
        """Keep the captures that pay for the order, the earliest first; None while the order is not known.

        `apart` is a payment not to keep. What was asked and what was agreed differ where a price changed before the
        first capture; the worth is the lower of the two: nobody pays more than they agreed to, and nobody pays a price
        that was lowered before they paid.
        """
        if self.order is None:
            return None
        worth, asked = self._worth(self.order)
        kept: list[PaymentSucceeded] = []
        extra: list[PaymentSucceeded] = []
        minor = 0
        for capture in self.captures:
            left = self.left(capture)
            if left and capture.payment_id != apart and minor + left <= asked:
                minor += left
                kept.append(capture)
            elif left:
                extra.append(capture)
        return Settlement(kept, extra, minor - worth, asked - worth)

    @property
    def is_paid_in_full(self) -> bool:
        """Whether what is left of all captures covers the worth of the order; only what is known can be paid."""
        return self.order is not None and self.left_minor >= self._worth(self.order)[0]

    @property
    def is_disputed(self) -> bool:
        """Whether the accounts disagree: the last of the `lines` say where."""
        return next(self._disputes(), None) is not None

    def lines(self, *, is_stopped: bool = False) -> Iterator[str]:
        """The account, for a person: the order, each payment, who gave back what, the sums, the disputes."""
        if self.order is None:
            yield "the order is not known"
        else:
            worth, _ = self._worth(self.order)
            agreed = amount(self.order.total_minor, self.order.currency)
            yield f"the order is worth {amount(worth, self.order.currency)}, {agreed} was agreed"
        for capture in self.captures:
            yield self._line(capture)
        if len(self._currencies) == 1:
            [currency] = self._currencies
            owed = amount(self.owed_minor(is_stopped=is_stopped), currency)
            yield f"{amount(self.left_minor, currency)} is left of all captures, {owed} is owed"
        if self.price_doubt:
            yield self.price_doubt
        yield from self._disputes()

    def _line(self, capture: PaymentSucceeded) -> str:
        taken = amount(capture.amount_minor, capture.currency)
        back = self.returned.told(capture.payment_id, capture.currency)
        return f"payment {capture.payment_id}: {taken} captured, {back}"

    def _disputes(self) -> Iterator[str]:
        if len(self._currencies) > 1:
            yield f"amounts are in {' and '.join(sorted(self._currencies)[:MOST_NAMED])}"
        for payment_id, reports in islice(self._differing.items(), MOST_NAMED):
            told = " and ".join(amount(each.amount_minor, each.currency) for each in reports)
            yield f"payment {payment_id} is reported as {told}"
        yield from self.returned.disputes()
        if self._is_contradicted:
            yield "the newest version of the order in the log is not the newest by its time"
        if self._cancelled_at is not None and self.is_shipped:
            yield "the order was cancelled, and a carrier has it"
        if self._cancelled_at is not None and self.is_placed_again_since(self._cancelled_at):
            yield "the order was placed again after it was cancelled"
        if len(self._taken) > MOST_PIECES or self._versions > MOST_PIECES:
            yield f"{len(self._taken)} payments and {self._versions} versions of the order are too many to tell apart"

    def _capture(self, moment: Moment, payment: PaymentSucceeded) -> None:
        payment_id = payment.payment_id
        self._currencies.add(payment.currency)
        if payment_id in self._taken:
            first = self._taken[payment_id][1]
            if (payment.amount_minor, payment.currency) != (first.amount_minor, first.currency):
                reports = self._differing.setdefault(payment_id, [first])
                if len(reports) < MOST_NAMED:
                    reports.append(payment)
            return
        self._taken[payment_id] = (moment, payment)
        self.returned.take(payment_id, payment.amount_minor)
        if self._paid is None or moment.at < self._paid.at:
            self._paid = moment

    def _place_order(self, moment: Moment, order: OrderPlaced) -> None:
        if order == self.order:
            return
        self._currencies.add(order.currency)
        self._is_contradicted |= self._placed is not None and moment.at < self._placed.at
        self._versions += 1
        self.order, self._placed = order, moment
        self._skus = frozenset(item.sku for item in order.items)

    def _worth(self, order: OrderPlaced) -> tuple[int, int]:
        """The worth of the order, and what was asked for it at most, in minor units."""
        changed = max(0, order.total_minor + self._difference(order).minor)
        return min(order.total_minor, changed), max(order.total_minor, changed)

    def _difference(self, order: OrderPlaced) -> Difference:
        if self._placed is None:
            return Difference()
        return self._prices.difference(order, self._placed.at, self._paid)
