"""Refunds: money given back, and its booking, as an effect of a decision.

The refund, its ledger entries and the bound on what was captured are rows and constraints of PostgreSQL: a refund
beyond the capture, one that was made before, or one that is not booked to the last unit is refused with the whole
decision (`StatementRejected`).
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from outbox.database import queries
from outbox.records import Statement

_SQL: Final = queries("refunds.sql")


@dataclass(frozen=True, kw_only=True, slots=True)
class LedgerEntry:
    """An amount booked from the account `credit` to the account `debit`, in the currency of its refund."""

    entry_id: str
    debit: str
    credit: str
    #: More than 0, in minor units.
    amount_minor: int


@dataclass(frozen=True, kw_only=True, slots=True)
class RefundRecord:
    """A refund as it is written: unique by `refund_id`. Implements `outbox.records.Effect`."""

    refund_id: str
    payment_id: str
    order_id: str
    customer_id: str
    #: More than 0, in minor units.
    amount_minor: int
    currency: str
    reason: str
    #: What the payment took from the customer, in minor units; what is written first stays the bound.
    captured_minor: int
    #: Must add up to the amount.
    entries: Sequence[LedgerEntry]

    def statements(self, decision: uuid.UUID) -> Sequence[Statement]:
        """The capture if it is not known yet, the refund, its entries."""
        capture = {
            "payment_id": self.payment_id,
            "order_id": self.order_id,
            "currency": self.currency,
            "captured_minor": self.captured_minor,
        }
        refund = {
            "refund_id": self.refund_id,
            "decision_id": str(decision),
            "payment_id": self.payment_id,
            "order_id": self.order_id,
            "customer_id": self.customer_id,
            "amount_minor": self.amount_minor,
            "currency": self.currency,
            "reason": self.reason,
        }
        booking = {
            "refund_id": self.refund_id,
            "order_id": self.order_id,
            "currency": self.currency,
            "entry_ids": [entry.entry_id for entry in self.entries],
            "debits": [entry.debit for entry in self.entries],
            "credits": [entry.credit for entry in self.entries],
            "amounts_minor": [entry.amount_minor for entry in self.entries],
        }
        return [(_SQL["know_capture"], capture), (_SQL["record_refund"], refund), (_SQL["post_entries"], booking)]
