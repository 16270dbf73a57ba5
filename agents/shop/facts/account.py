"""Account: the money of one order, reconciled by amounts before any of it moves.

A capture is a payment of the order and counts once, however often and under whatever event ids it is reported. Against
the captures stands what anybody gave back: refunds of recovery, of others, and chargebacks. Both are held against the
worth of the newest version of the order. Where these accounts disagree (`is_disputed`) nothing may move by itself, and
a person is given the `lines`.

Events are taken in one at a time, in log order, and no question costs more than the bounds below allow: a decision
stays linear in its window. It fails by disputing: more than it can hold apart is for a person.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Final

from agents.model.history import Past
from agents.shop.events import (
    ChargebackReceived,
    DomainEvent,
    OrderPlaced,
    PaymentSucceeded,
    PriceChanged,
    RefundIssued,
)
from agents.shop.money import amount

#: An order paid in more pieces, or with more versions, is for a person. Own choice: tenders and parcels of an order are
#: a handful.
MOST_PIECES: Final = 20
#: Of each kind of dispute so many are named. Own choice: a person reads them.
_MOST_NAMED: Final = 5


@dataclass(slots=True)
class _Returned:
    """What was given back of one payment, in minor units."""

    refunded_minor: int = 0
    charged_back_minor: int = 0
    #: The amounts charged back, and those reported more than once: a chargeback has no id of its own.
    charged_back: set[int] = field(default_factory=set)
    repeated: set[int] = field(default_factory=set)

    @property
    def minor(self) -> int:
        """All of it."""
        return self.refunded_minor + self.charged_back_minor


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
        self._placed_at: datetime | None = None
        self._versions = 0
        self._is_contradicted = False
        self._taken: dict[str, tuple[datetime, PaymentSucceeded]] = {}
        self._paid_at: datetime | None = None
        self._returned: dict[str, _Returned] = {}
        #: Refunds told of by events, and those decided on here, by id: payment and amount.
        self._told: dict[str, tuple[str, int]] = {}
        self._own: dict[str, tuple[str, int]] = {}
        self._decisions: Counter[str] = Counter()
        self._currencies: set[str] = set()
        self._changes: list[tuple[datetime, PriceChanged]] = []
        #: The newest of them between the order and its first capture, by sku, and what all those add to the order.
        self._prices: dict[str, tuple[datetime, int]] = {}
        self._change_minor = 0
        #: Pieces and their agreed price together, by sku.
        self._agreed: dict[str, tuple[int, int]] = {}
        #: What the disputes are about, in the order found.
        self._differing: dict[str, list[PaymentSucceeded]] = {}
        self._differing_refunds: dict[str, None] = {}
        self._strange: dict[str, None] = {}
        self._beyond: dict[str, None] = {}

    def add(self, past: Past[DomainEvent]) -> None:
        """Take in the next event of the order; what is not about money changes nothing."""
        data = past.data
        if isinstance(data, PaymentSucceeded):
            self._capture(past.at, data)
        elif isinstance(data, RefundIssued):
            self._refund(data)
        elif isinstance(data, ChargebackReceived):
            self._charge_back(data)
        elif isinstance(data, OrderPlaced):
            self._place(past.at, data)
        elif isinstance(data, PriceChanged):
            self._changes.append((past.at, data))
            self._weigh(past.at, data)

    def give_back(self, refund_id: str, payment_id: str, minor: int) -> None:
        """Count a refund decided on here, whose event may not be back yet; one that is has the same id."""
        self._decisions[refund_id] += 1
        if self._decisions[refund_id] == 1:
            self._own[refund_id] = (payment_id, minor)
            if refund_id not in self._told:
                self._count(payment_id, minor)
            elif self._told[refund_id] != self._own[refund_id]:
                self._differing_refunds[refund_id] = None

    def take_back(self, refund_id: str) -> None:
        """Count a refund decided on here no longer: it was not made."""
        self._decisions[refund_id] -= 1
        if self._decisions[refund_id] == 0:
            payment_id, minor = self._own.pop(refund_id)
            if refund_id not in self._told:
                self._count(payment_id, -minor)

    @property
    def captures(self) -> Sequence[PaymentSucceeded]:
        """Each payment taken once, the earliest first, ties by the log; the first ones reported when disputed."""
        taken = sorted(islice(self._taken.values(), MOST_PIECES), key=lambda each: each[0])
        return [payment for _, payment in taken]

    def left(self, capture: PaymentSucceeded) -> int:
        """What of the capture nobody gave back, in minor units."""
        return max(0, capture.amount_minor - self._returned_minor(capture.payment_id))

    @property
    def left_minor(self) -> int:
        """What of all captures nobody gave back, in minor units."""
        return sum(self.left(capture) for capture in self.captures)

    def has(self, payment_id: str) -> bool:
        """Whether the order was paid with this payment, among others."""
        return payment_id in self._taken

    def asks_for(self, sku: str) -> bool:
        """Whether the newest version of the order has this article; an unknown order may have any."""
        return self.order is None or sku in self._agreed

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

    def lines(self) -> Iterator[str]:
        """The account, for a person: the order, each payment, the sums, the disputes."""
        if self.order is None:
            yield "the order is not known"
        else:
            worth, _ = self._worth(self.order)
            agreed = amount(self.order.total_minor, self.order.currency)
            yield f"the order is worth {amount(worth, self.order.currency)}, {agreed} was agreed"
        for capture in self.captures:
            back = amount(self._returned_minor(capture.payment_id), capture.currency)
            taken = amount(capture.amount_minor, capture.currency)
            yield f"payment {capture.payment_id}: {taken} captured, {back} given back"
        if len(self._currencies) == 1:
            [currency] = self._currencies
            yield f"{amount(self.left_minor, currency)} is left of all captures"
        yield from self._disputes()

    def _disputes(self) -> Iterator[str]:
        if len(self._currencies) > 1:
            yield f"amounts are in {' and '.join(sorted(self._currencies)[:_MOST_NAMED])}"
        for payment_id, reports in islice(self._differing.items(), _MOST_NAMED):
            told = " and ".join(amount(each.amount_minor, each.currency) for each in reports)
            yield f"payment {payment_id} is reported as {told}"
        for refund_id in islice(self._differing_refunds, _MOST_NAMED):
            yield f"refund {refund_id} is reported in different ways"
        for payment_id in islice(self._strange, _MOST_NAMED):
            yield f"money of payment {payment_id} was given back, which the order was not paid with"
        for payment_id in islice(self._beyond, _MOST_NAMED):
            yield f"payment {payment_id} was given back beyond its amount, or may have been"
        if self._is_contradicted:
            yield "the newest version of the order in the log is not the newest by its time"
        if len(self._taken) > MOST_PIECES or self._versions > MOST_PIECES:
            yield f"{len(self._taken)} payments and {self._versions} versions of the order are too many to tell apart"

    def _capture(self, at: datetime, payment: PaymentSucceeded) -> None:
        payment_id = payment.payment_id
        self._currencies.add(payment.currency)
        if payment_id in self._taken:
            first = self._taken[payment_id][1]
            if (payment.amount_minor, payment.currency) != (first.amount_minor, first.currency):
                reports = self._differing.setdefault(payment_id, [first])
                if len(reports) < _MOST_NAMED:
                    reports.append(payment)
            return
        self._taken[payment_id] = (at, payment)
        self._strange.pop(payment_id, None)
        self._compare(payment_id)
        if self._paid_at is None or at < self._paid_at:
            self._paid_at = at
            self._weigh_changes()

    def _place(self, at: datetime, order: OrderPlaced) -> None:
        if order == self.order:
            return
        self._currencies.add(order.currency)
        self._is_contradicted |= self._placed_at is not None and at < self._placed_at
        self._versions += 1
        self.order, self._placed_at = order, at
        self._agreed = {}
        for item in order.items:
            quantity, minor = self._agreed.get(item.sku, (0, 0))
            self._agreed[item.sku] = (quantity + item.quantity, minor + item.quantity * item.price_minor)
        self._weigh_changes()

    def _refund(self, refund: RefundIssued) -> None:
        self._currencies.add(refund.currency)
        told = (refund.payment_id, refund.amount_minor)
        known = self._told.get(refund.refund_id) or self._own.get(refund.refund_id)
        if known is not None and known != told:
            self._differing_refunds[refund.refund_id] = None
        if refund.refund_id not in self._told:
            self._told[refund.refund_id] = told
            if refund.refund_id not in self._own:
                self._count(*told)

    def _charge_back(self, chargeback: ChargebackReceived) -> None:
        self._currencies.add(chargeback.currency)
        returned = self._returned_of(chargeback.payment_id)
        if chargeback.amount_minor in returned.charged_back:
            returned.repeated.add(chargeback.amount_minor)
        else:
            returned.charged_back.add(chargeback.amount_minor)
            returned.charged_back_minor += chargeback.amount_minor
        self._compare(chargeback.payment_id)

    def _count(self, payment_id: str, minor: int) -> None:
        self._returned_of(payment_id).refunded_minor += minor
        self._compare(payment_id)

    def _returned_of(self, payment_id: str) -> _Returned:
        if payment_id not in self._taken:
            self._strange[payment_id] = None
        return self._returned.setdefault(payment_id, _Returned())

    def _returned_minor(self, payment_id: str) -> int:
        returned = self._returned.get(payment_id)
        return returned.minor if returned else 0

    def _compare(self, payment_id: str) -> None:
        """Note whether more than the payment took may have been given back.

        The whole amount charged back twice is one chargeback reported twice; of a part nobody can tell.
        """
        returned = self._returned.get(payment_id)
        if returned is None or payment_id not in self._taken:
            return
        taken_minor = self._taken[payment_id][1].amount_minor
        is_beyond = returned.minor > taken_minor
        if is_beyond or (returned.repeated and returned.repeated != {taken_minor}):
            self._beyond[payment_id] = None
        else:
            self._beyond.pop(payment_id, None)

    def _worth(self, order: OrderPlaced) -> tuple[int, int]:
        """The worth of the order, and what was asked for it at most, in minor units."""
        changed = max(0, order.total_minor + self._change_minor)
        return min(order.total_minor, changed), max(order.total_minor, changed)

    def _weigh_changes(self) -> None:
        """Weigh all changes anew; at most as often as there may be pieces and versions."""
        if len(self._taken) <= MOST_PIECES and self._versions <= MOST_PIECES:
            self._prices, self._change_minor = {}, 0
            for at, change in self._changes:
                self._weigh(at, change)

    def _weigh(self, at: datetime, change: PriceChanged) -> None:
        """Count what the newest price of an article adds to what was agreed, however often the change is reported.

        Changes outside the time between the order and its first capture, and of other articles, add nothing.
        """
        if self._placed_at is None or at < self._placed_at or (self._paid_at is not None and at > self._paid_at):
            return
        known = self._prices.get(change.sku)
        if change.sku not in self._agreed or (known is not None and at < known[0]):
            return
        quantity, agreed_minor = self._agreed[change.sku]
        before_minor = agreed_minor if known is None else quantity * known[1]
        self._prices[change.sku] = (at, change.new_minor)
        self._change_minor += quantity * change.new_minor - before_minor
