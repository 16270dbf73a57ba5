"""Effects: state changes an agent asks for, as values. They happen with the decision or not at all.

An effect brings the events that tell of it, so that what is published always says what was done.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from agents.shop.events import DomainEvent, LedgerEntryPosted, PaymentSucceeded, RefundIssued
from outbox import records
from outbox.refunds import LedgerEntry, RefundRecord

#: Names the UUIDv5 of refunds and entries.
_NAMESPACE: Final = uuid.uuid5(uuid.NAMESPACE_URL, "urn:innervate:refund")

#: Money given back lowers the income (debit) and leaves the account the payment provider settles (credit).
REFUNDS_ACCOUNT: Final = "refunds"
PAYMENTS_ACCOUNT: Final = "payments"


class Effect(Protocol):
    """A state change, and the events that tell of it."""

    def events(self) -> Sequence[DomainEvent]:
        """What is published when it has happened, in this order."""

    def record(self) -> records.Effect:
        """What is written."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Refund:
    """Give back money of one capture.

    Raises ValueError when the amount is not positive or beyond the capture. PostgreSQL refuses a refund with the same
    capture and cause as one before, and one beyond what is left of the capture.
    """

    capture: PaymentSucceeded
    amount_minor: int
    #: What it makes good: one refund for each capture and cause, whoever asks and however often.
    cause: str
    #: One line for the customer's account.
    reason: str

    def __post_init__(self) -> None:
        if not 0 < self.amount_minor <= self.capture.amount_minor:
            raise ValueError(f"a refund must be within 1..{self.capture.amount_minor}, got {self.amount_minor}")

    @property
    def refund_id(self) -> str:
        """Derived from the capture and the cause."""
        payment_id = self.capture.payment_id
        return str(uuid.uuid5(_NAMESPACE, f"{len(payment_id)}:{payment_id}{self.cause}"))

    def events(self) -> Sequence[DomainEvent]:
        """`RefundIssued` and its `LedgerEntryPosted`."""
        capture, [entry] = self.capture, self._entries()
        return (
            RefundIssued(
                refund_id=self.refund_id,
                payment_id=capture.payment_id,
                order_id=capture.order_id,
                customer_id=capture.customer_id,
                amount_minor=self.amount_minor,
                currency=capture.currency,
                reason=self.reason,
            ),
            LedgerEntryPosted(
                entry_id=entry.entry_id,
                order_id=capture.order_id,
                debit=entry.debit,
                credit=entry.credit,
                amount_minor=entry.amount_minor,
                currency=capture.currency,
                refund_id=self.refund_id,
            ),
        )

    def record(self) -> RefundRecord:
        """The rows of the refund and its booking."""
        capture = self.capture
        return RefundRecord(
            refund_id=self.refund_id,
            payment_id=capture.payment_id,
            order_id=capture.order_id,
            customer_id=capture.customer_id,
            amount_minor=self.amount_minor,
            currency=capture.currency,
            reason=self.reason,
            captured_minor=capture.amount_minor,
            entries=self._entries(),
        )

    def _entries(self) -> tuple[LedgerEntry]:
        entry_id = uuid.uuid5(uuid.UUID(self.refund_id), "entry")
        return (
            LedgerEntry(
                entry_id=str(entry_id),
                debit=REFUNDS_ACCOUNT,
                credit=PAYMENTS_ACCOUNT,
                amount_minor=self.amount_minor,
            ),
        )
