"""Refunds to write: each has its number, all are of one payment unless told otherwise."""

from __future__ import annotations

from typing import Any

from agents.shop.refunds import LedgerEntry, Refund


def refund(number: int, amount_minor: int = 2000, **changes: Any) -> Refund:
    """The refund with this number of payment p-1, which took 50.00 EUR."""
    entry = LedgerEntry(
        entry_id=f"00000000-0000-0000-0001-{number:012}", debit="refunds", credit="payments", amount_minor=amount_minor
    )
    record = Refund(
        refund_id=f"00000000-0000-0000-0000-{number:012}",
        payment_id="p-1",
        order_id="o-1",
        customer_id="c-1",
        amount_minor=amount_minor,
        currency="EUR",
        reason="two captures",
        captured_minor=5000,
        entries=(entry,),
    )
    return record.model_copy(update=changes)
