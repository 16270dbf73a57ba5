"""Refunds: money given back, and its booking, as an effect of a decision.

The refund, its ledger entries and the bound on what was captured are rows and constraints of PostgreSQL
(`migrations`): a refund beyond what nobody gave back of the capture, one that was made before, or one that is not
booked to the last unit is refused with the whole decision.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Annotated, Final

from pydantic import Field

from agents.model.effect import Effect, Statement
from agents.model.event import Currency, Data, DomainEvent, Id, Name, Text
from agents.shop.events import LedgerEntryPosted, PaymentSucceeded, RefundIssued

#: Names the UUIDv5 of refunds and entries.
_NAMESPACE: Final = uuid.uuid5(uuid.NAMESPACE_URL, "urn:innervate:refund")

#: Money given back lowers the income (debit) and leaves the account the payment provider settles (credit).
REFUNDS_ACCOUNT: Final = "refunds"
PAYMENTS_ACCOUNT: Final = "payments"

#: The first report of a capture stays.
KNOW_CAPTURE: Final = """
INSERT INTO captures (payment_id, order_id, currency, captured_minor)
VALUES (%(payment_id)s, %(order_id)s, %(currency)s, %(captured_minor)s)
ON CONFLICT (payment_id) DO NOTHING
"""
# A trigger adds the amount to what was refunded of the capture, whose CHECK bounds it.
_RECORD_REFUND: Final = """
INSERT INTO refunds (refund_id, decision_id, payment_id, order_id, customer_id, amount_minor, currency, reason)
VALUES (
    %(refund_id)s, %(decision_id)s, %(payment_id)s, %(order_id)s, %(customer_id)s, %(amount_minor)s, %(currency)s,
    %(reason)s
)
"""
_POST_ENTRIES: Final = """
INSERT INTO ledger_entries (entry_id, refund_id, order_id, debit, credit, amount_minor, currency)
SELECT e.entry_id, %(refund_id)s, %(order_id)s, e.debit, e.credit, e.amount_minor, %(currency)s
FROM unnest(
    %(entry_ids)s::uuid[], %(debits)s::text[], %(credits)s::text[], %(amounts_minor)s::bigint[]
) AS e (entry_id, debit, credit, amount_minor)
"""

#: More than 0, in minor units.
Amount = Annotated[int, Field(ge=1, le=2**53 - 1)]


class LedgerEntry(Data):
    """An amount booked from the account `credit` to the account `debit`, in the currency of its refund."""

    entry_id: Id
    debit: Name
    credit: Name
    amount_minor: Amount


class Refund(Effect, kind="refund"):
    """A refund as it is written: unique by `refund_id`; see `refund`."""

    refund_id: Id
    payment_id: Id
    order_id: Id
    customer_id: Id
    amount_minor: Amount
    currency: Currency
    reason: Text
    #: What the payment took from the customer, in minor units; what is written first stays the bound.
    captured_minor: Amount
    #: Must add up to the amount.
    entries: Annotated[tuple[LedgerEntry, ...], Field(strict=False)]

    @property
    def moves_minor(self) -> int:
        """The amount."""
        return self.amount_minor

    def statements(self, decision_id: uuid.UUID) -> Sequence[Statement]:
        """The capture if it is not known yet, the refund, its entries."""
        parameters = {
            **self.model_dump(exclude={"entries"}),
            "decision_id": str(decision_id),
            "entry_ids": [entry.entry_id for entry in self.entries],
            "debits": [entry.debit for entry in self.entries],
            "credits": [entry.credit for entry in self.entries],
            "amounts_minor": [entry.amount_minor for entry in self.entries],
        }
        return [(KNOW_CAPTURE, parameters), (_RECORD_REFUND, parameters), (_POST_ENTRIES, parameters)]

    def events(self) -> Sequence[DomainEvent]:
        """`RefundIssued` and a `LedgerEntryPosted` for each entry."""
        issued = RefundIssued(
            refund_id=self.refund_id,
            payment_id=self.payment_id,
            order_id=self.order_id,
            customer_id=self.customer_id,
            amount_minor=self.amount_minor,
            currency=self.currency,
            reason=self.reason,
        )
        posted = [
            LedgerEntryPosted(
                entry_id=entry.entry_id,
                order_id=self.order_id,
                debit=entry.debit,
                credit=entry.credit,
                amount_minor=entry.amount_minor,
                currency=self.currency,
                refund_id=self.refund_id,
            )
            for entry in self.entries
        ]
        return (issued, *posted)


def refund(*, capture: PaymentSucceeded, amount_minor: int, cause: str, reason: str) -> Refund:
    """Give back money of one capture.

    `cause` is what it makes good: one refund for each capture and cause, whoever asks and however often. `reason` is
    one line for the customer's account. Raises ValueError when the amount is not positive or beyond the capture.
    PostgreSQL refuses a refund with the same capture and cause as one before, and one beyond what is left of the
    capture.
    """
    if not 0 < amount_minor <= capture.amount_minor:
        raise ValueError(f"a refund must be within 1..{capture.amount_minor}, got {amount_minor}")
    refund_id = refund_id_of(capture.payment_id, cause)
    entry = LedgerEntry(
        entry_id=str(uuid.uuid5(uuid.UUID(refund_id), "entry")),
        debit=REFUNDS_ACCOUNT,
        credit=PAYMENTS_ACCOUNT,
        amount_minor=amount_minor,
    )
    return Refund(
        refund_id=refund_id,
        payment_id=capture.payment_id,
        order_id=capture.order_id,
        customer_id=capture.customer_id,
        amount_minor=amount_minor,
        currency=capture.currency,
        reason=reason,
        captured_minor=capture.amount_minor,
        entries=(entry,),
    )


def refund_id_of(payment_id: str, cause: str) -> str:
    """The id of the one refund of a capture for a cause."""
    return str(uuid.uuid5(_NAMESPACE, f"{len(payment_id)}:{payment_id}{cause}"))
