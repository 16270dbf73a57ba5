"""Listings: what was given back and booked, for people."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from pydantic import AwareDatetime

from agents.model.listing import ListedRow, Listing


class RefundRow(ListedRow):
    """Money given back by a decision."""

    refund_id: UUID
    decision_id: UUID
    order_id: str
    customer_id: str
    payment_id: str
    amount_minor: int
    """In minor units of the currency."""
    currency: str
    reason: str
    issued_at: AwareDatetime


class LedgerEntryRow(ListedRow):
    """An amount booked from the account `credit` to the account `debit`."""

    entry_id: UUID
    refund_id: UUID
    order_id: str
    debit: str
    credit: str
    amount_minor: int
    """In minor units of the currency."""
    currency: str
    posted_at: AwareDatetime


class GivenBackRow(ListedRow):
    """Money that others gave back: banks (`chargeback`), or somebody beside the agents (`refund`)."""

    given_back_id: UUID
    decision_id: UUID
    kind: str
    payment_id: str
    order_id: str
    amount_minor: int
    """In minor units of the currency."""
    currency: str
    recorded_at: AwareDatetime


SHOP_LISTINGS: Final = (
    Listing(
        name="refunds",
        title="Refunds",
        row=RefundRow,
        at="issued_at",
        key="refund_id",
        filters=("order_id", "customer_id", "payment_id", "decision_id"),
    ),
    Listing(
        name="ledger_entries",
        title="Ledger entries",
        row=LedgerEntryRow,
        at="posted_at",
        key="entry_id",
        filters=("order_id", "refund_id"),
    ),
    Listing(
        name="given_back",
        title="Given back by others",
        row=GivenBackRow,
        at="recorded_at",
        key="given_back_id",
        filters=("order_id", "payment_id", "decision_id", "kind"),
    ),
)
