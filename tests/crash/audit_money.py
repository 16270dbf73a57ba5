"""Audit of the money: what was given back, against the decisions, against what was taken, and against the books.

What was taken is Kafka's account of it, the `PaymentSucceeded` in the log, not the row PostgreSQL bounds the refunds
with. A failure that was made on purpose must end with its refund when its error is the last of the shop's events in the
order's timeline; while the router is interrupted an error may get there before its cause. It never ends with two.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any, Final

from evidence import EntryRow, Evidence, RefundRow
from findings import Findings

REFUNDER: Final = "recovery"
#: The accounts a refund debits and credits. Each entry has both, so what can be wrong are accounts and amounts.
BOOKING: Final = ("refunds", "payments")

#: What messages say, by the id of the refund or entry and the id of the message: copies count once.
Told = Mapping[str, Mapping[str, Mapping[str, Any]]]


def check_money(evidence: Evidence, findings: Findings) -> None:
    """Add to the findings whatever is wrong with refunds, entries and captures."""
    taken, refunds, entries = _told(evidence)
    _check_decisions(evidence, findings)
    _check_told({row.refund_id: row for row in evidence.refunds}, refunds, findings)
    _check_told({row.entry_id: row for row in evidence.entries}, entries, findings)
    _check_captures(evidence, taken, refunds, findings)
    _check_books(evidence, findings)
    _check_failures(evidence, findings)


def _told(evidence: Evidence) -> tuple[Mapping[str, int], Told, Told]:
    """What was taken by payment, and what the messages say of refunds and of entries."""
    taken: dict[str, int] = {}
    refunds: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    entries: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for record in evidence.domain:
        event = record.event or {"type": "broken"}
        if event["type"] == "PaymentSucceeded":
            taken[event["data"]["payment_id"]] = event["data"]["amount_minor"]
        elif event["type"] == "RefundIssued":
            refunds[event["data"]["refund_id"]][event["id"]] = event["data"]
        elif event["type"] == "LedgerEntryPosted":
            entries[event["data"]["entry_id"]][event["id"]] = event["data"]
    return taken, refunds, entries


def _check_decisions(evidence: Evidence, findings: Findings) -> None:
    refunders = {row.id for row in evidence.decisions if row.agent == REFUNDER and row.status == "committed"}
    findings.refund_undecided = sorted(row.refund_id for row in evidence.refunds if row.decision_id not in refunders)


def _check_told(rows: Mapping[str, RefundRow | EntryRow], told: Told, findings: Findings) -> None:
    """Each row is told of by one message, which says the same; nothing else is told."""
    findings.money_untold += sorted(name for name in rows if len(told.get(name, ())) != 1)
    for name, messages in sorted(told.items()):
        row = asdict(rows[name]) if name in rows else {"": "there is none"}
        row.pop("decision_id", None)
        if any(row != {column: said.get(column) for column in row} for said in messages.values()):
            findings.money_invented.append(name)


def _check_captures(evidence: Evidence, taken: Mapping[str, int], told: Told, findings: Findings) -> None:
    by_rows = _sums((row.payment_id, row.amount_minor) for row in evidence.refunds)
    issued = [data for messages in told.values() for data in list(messages.values())[:1]]
    by_messages = _sums((data["payment_id"], data["amount_minor"]) for data in issued)
    findings.refunds_over_captures = sorted(
        payment
        for payment in by_rows.keys() | by_messages.keys()
        if max(by_rows[payment], by_messages[payment]) > taken.get(payment, 0)
    )
    rows = {row.payment_id: (row.captured_minor, row.refunded_minor) for row in evidence.captures}
    due = {payment: (taken.get(payment), minor) for payment, minor in by_rows.items()}
    findings.captures_wrong = sorted(
        payment for payment in rows.keys() | due.keys() if rows.get(payment) != due.get(payment)
    )
    times = Counter(row.payment_id for row in evidence.refunds)
    findings.refunded_twice = sorted(payment for payment, count in times.items() if count > 1)


def _check_books(evidence: Evidence, findings: Findings) -> None:
    right = [row for row in evidence.entries if (row.debit, row.credit) == BOOKING]
    booked = _sums((row.refund_id, row.amount_minor) for row in right)
    due = _sums((row.refund_id, row.amount_minor) for row in evidence.refunds)
    wrong = {row.refund_id for row in evidence.entries} - {row.refund_id for row in right}
    unequal = {refund for refund in booked.keys() | due.keys() if booked[refund] != due[refund]}
    findings.ledger_unbalanced = sorted(wrong | unequal)


def _check_failures(evidence: Evidence, findings: Findings) -> None:
    refunded = {(row.order_id, row.payment_id) for row in evidence.refunds}
    open_orders = {order for order, payment in evidence.to_refund.items() if (order, payment) not in refunded}
    findings.failures_refunded = len(evidence.to_refund) - len(open_orders)
    stories: dict[str, dict[str, str]] = defaultdict(dict)
    for record in evidence.timelines.get("timeline-order", ()):
        order, event = (record.key or b"").decode(), record.event
        if order in open_orders and event is not None and record.message is None:
            stories[order].setdefault(event["id"], event["type"])
    findings.details += [f"{order} is not refunded: {', '.join(story.values())}" for order, story in stories.items()]
    # Of copies the first counts.
    told_in_order = {order for order, story in stories.items() if list(story.values())[-1] == "ErrorOccurred"}
    findings.never_refunded = sorted(told_in_order if findings.failures_refunded else open_orders)


def _sums(amounts: Iterable[tuple[str, int]]) -> Counter[str]:
    sums: Counter[str] = Counter()
    for name, minor in amounts:
        sums[name] += minor
    return sums
