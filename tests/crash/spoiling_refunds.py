"""Spoiling refunds: a decision less, another amount in the books, and a refund nobody is told of that is too much."""

from __future__ import annotations

import json
from typing import Final

from evidence import Evidence
from spoiling import STRANGER, UNTOLD, SpoiltEffects, event_of
from witness import rows

# A session of its own may pass over triggers, and the constraints of foreign keys are triggers.
_PAST_TRIGGERS: Final = "SET session_replication_role = replica;"


def made(clean: Evidence) -> int:
    """How many of the orders that were made to fail got their refund."""
    return len(clean.to_refund.items() & {(row.order_id, row.payment_id) for row in clean.refunds})


def spoil(url: str, clean: Evidence) -> SpoiltEffects:
    """Spoil refunds of two orders that were made to fail."""
    changed, orphaned, *_ = (row for row in clean.refunds if clean.to_refund.get(row.order_id) == row.payment_id)
    entry = next(row.entry_id for row in clean.entries if row.refund_id == changed.refund_id)
    rows(url, "DELETE FROM decisions WHERE id = %s", orphaned.decision_id)
    rows(url, _PAST_TRIGGERS + "UPDATE ledger_entries SET amount_minor = 1 WHERE refund_id = %s", changed.refund_id)
    rows(
        url,
        _PAST_TRIGGERS + "INSERT INTO refunds SELECT (jsonb_populate_record(r, %s)).* FROM refunds AS r"
        " WHERE refund_id = %s",
        json.dumps({"refund_id": UNTOLD}),
        changed.refund_id,
    )
    told = {"refund_id": STRANGER, "payment_id": changed.payment_id, "amount_minor": 1}
    return SpoiltEffects(
        unfounded=orphaned.decision_id,
        invented_event_id="never-refunded",
        invented=event_of("never-refunded", "urn:innervate:agent:recovery", "RefundIssued", told),
        findings={
            "refund_undecided": [orphaned.refund_id],
            # The refund nobody was told of, and that it is not booked either.
            "money_untold": [UNTOLD],
            # The refund nobody made, and the entry that was published with another amount than its row has now.
            "money_invented": sorted([STRANGER, entry]),
            "refunded_twice": [changed.payment_id],
            "refunds_over_captures": [changed.payment_id],
            "ledger_unbalanced": sorted([changed.refund_id, UNTOLD]),
            "captures_wrong": [changed.payment_id],
        },
    )
