"""Returned: what was given back of an order's payments, and by whom; grows event by event.

A refund counts once by its id, whether decided on here or told of by an event. A chargeback has no id of its own: the
same amount of one payment again is the same one reported again, if it is the whole; of a part nobody can tell.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from agents.shop.events import ChargebackReceived, RefundIssued
from agents.shop.money import amount

#: Of each kind of dispute so many are named. Own choice: a person reads them.
MOST_NAMED: Final = 5


@dataclass(slots=True)
class _OfPayment:
    """What was given back of one payment, in minor units."""

    ours_minor: int = 0
    others_minor: int = 0
    charged_back_minor: int = 0
    #: The amounts charged back, and those reported more than once.
    charged_back: set[int] = field(default_factory=set)
    repeated: set[int] = field(default_factory=set)

    @property
    def minor(self) -> int:
        """All of it."""
        return self.ours_minor + self.others_minor + self.charged_back_minor


class Returned:
    """What was given back of the payments of one order."""

    def __init__(self) -> None:
        self._taken_minor: dict[str, int] = {}
        self._of: dict[str, _OfPayment] = {}
        #: Refunds told of by events, and those decided on here, by id: payment and amount.
        self._told: dict[str, tuple[str, int]] = {}
        self._own: dict[str, tuple[str, int]] = {}
        self._decisions: Counter[str] = Counter()
        #: What the disputes are about, in the order found.
        self._differing: dict[str, None] = {}
        self._strange: dict[str, None] = {}
        self._beyond: dict[str, None] = {}

    def minor(self, payment_id: str) -> int:
        """What was given back of a payment, by anyone, in minor units."""
        of_payment = self._of.get(payment_id)
        return of_payment.minor if of_payment else 0

    def told(self, payment_id: str, currency: str) -> str:
        """What was given back of a payment and by whom, for a person."""
        of_payment = self._of.get(payment_id) or _OfPayment()
        by = (
            ("refunded here", of_payment.ours_minor),
            ("refunded by others", of_payment.others_minor),
            ("charged back", of_payment.charged_back_minor),
        )
        parts = [f"{amount(minor, currency)} {how}" for how, minor in by if minor]
        return ", ".join(parts) or "nothing given back"

    def is_beyond(self, payment_id: str) -> bool:
        """Whether more of the payment was given back than it took, or may have been."""
        return payment_id in self._beyond

    def take(self, payment_id: str, minor: int) -> None:
        """The order was paid with this payment; it is told once."""
        self._taken_minor[payment_id] = minor
        self._strange.pop(payment_id, None)
        self._compare(payment_id)

    def refund(self, refund: RefundIssued, *, is_ours: bool) -> None:
        """Count a refund that an event tells of, once by its id."""
        told = (refund.payment_id, refund.amount_minor)
        known = self._told.get(refund.refund_id) or self._own.get(refund.refund_id)
        if known is not None and known != told:
            self._differing[refund.refund_id] = None
        if refund.refund_id not in self._told:
            self._told[refund.refund_id] = told
            if refund.refund_id not in self._own:
                self._count(*told, is_ours=is_ours)

    def charge_back(self, chargeback: ChargebackReceived) -> None:
        """Count what the customer's bank took back."""
        of_payment = self._of_payment(chargeback.payment_id)
        if chargeback.amount_minor in of_payment.charged_back:
            of_payment.repeated.add(chargeback.amount_minor)
        else:
            of_payment.charged_back.add(chargeback.amount_minor)
            of_payment.charged_back_minor += chargeback.amount_minor
        self._compare(chargeback.payment_id)

    def give_back(self, refund_id: str, payment_id: str, minor: int) -> None:
        """Count a refund decided on here, whose event may not be back yet; one that is has the same id."""
        self._decisions[refund_id] += 1
        if self._decisions[refund_id] == 1:
            self._own[refund_id] = (payment_id, minor)
            if refund_id not in self._told:
                self._count(payment_id, minor, is_ours=True)
            elif self._told[refund_id] != self._own[refund_id]:
                self._differing[refund_id] = None

    def take_back(self, refund_id: str) -> None:
        """Count a refund decided on here no longer: it was not made."""
        self._decisions[refund_id] -= 1
        if self._decisions[refund_id] == 0:
            payment_id, minor = self._own.pop(refund_id)
            if refund_id not in self._told:
                self._count(payment_id, -minor, is_ours=True)

    def disputes(self) -> Iterator[str]:
        """Where what was given back does not fit what was taken, or itself."""
        for refund_id in islice(self._differing, MOST_NAMED):
            yield f"refund {refund_id} is reported in different ways"
        for payment_id in islice(self._strange, MOST_NAMED):
            yield f"money of payment {payment_id} was given back, which the order was not paid with"
        for payment_id in islice(self._beyond, MOST_NAMED):
            yield f"payment {payment_id} was given back beyond its amount, or may have been"

    def _count(self, payment_id: str, minor: int, *, is_ours: bool) -> None:
        of_payment = self._of_payment(payment_id)
        if is_ours:
            of_payment.ours_minor += minor
        else:
            of_payment.others_minor += minor
        self._compare(payment_id)

    def _of_payment(self, payment_id: str) -> _OfPayment:
        if payment_id not in self._taken_minor:
            self._strange[payment_id] = None
        return self._of.setdefault(payment_id, _OfPayment())

    def _compare(self, payment_id: str) -> None:
        """Note whether more than the payment took may have been given back."""
        of_payment = self._of.get(payment_id)
        taken_minor = self._taken_minor.get(payment_id)
        if of_payment is None or taken_minor is None:
            return
        is_beyond = of_payment.minor > taken_minor
        if is_beyond or (of_payment.repeated and of_payment.repeated != {taken_minor}):
            self._beyond[payment_id] = None
        else:
            self._beyond.pop(payment_id, None)
