"""Effects on PostgreSQL: a refund, its booking, its decision and its messages are all there, or nothing is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import psycopg2
import pytest
from refunding import refund
from waiting import PATIENCE_SECONDS

from agents.shop.refunds import LedgerEntry, Refund
from outbox.database import Database
from outbox.errors import StatementRejected
from outbox.records import DecisionRecord
from outbox.writer import DecisionWriter

RefundOf = Callable[..., DecisionRecord]

#: What a refund leaves behind, and how to break the transaction there.
TABLES = ("decisions", "captures", "refunds", "ledger_entries", "outbox_messages")


@pytest.fixture
def recovery(decision: Callable[..., DecisionRecord], message: Callable[..., Any]) -> RefundOf:
    """The decision of `recovery` on an event, with its refunds and two messages."""

    def build(event_id: str, *refunds: Refund) -> DecisionRecord:
        messages = (message(f"issued-{event_id}"), message(f"posted-{event_id}", topic="ledger"))
        return decision(event_id, agent="recovery", messages=messages, effects=refunds)

    return build


def left(query: Callable[..., Any]) -> dict[str, int]:
    return {table: query(f"SELECT count(*) FROM {table}")[0][0] for table in TABLES}


async def test_a_refund_its_booking_and_its_messages_come_with_the_decision(
    writer: DecisionWriter, recovery: RefundOf, query: Callable[..., Any]
) -> None:
    record = recovery("e-1", refund(1))

    assert await writer.record(record) is True

    assert query("SELECT refund_id, decision_id, payment_id, order_id, customer_id, amount_minor, currency, reason "
                 "FROM refunds") == [
        (refund(1).refund_id, str(record.id), "p-1", "o-1", "c-1", 2000, "EUR", "two captures")
    ]  # fmt: skip
    assert query("SELECT entry_id, refund_id, order_id, debit, credit, amount_minor, currency FROM ledger_entries") == [
        (refund(1).entries[0].entry_id, refund(1).refund_id, "o-1", "refunds", "payments", 2000, "EUR")
    ]
    assert query("SELECT * FROM captures") == [("p-1", "o-1", "EUR", 5000, 2000)]
    assert query("SELECT message_id FROM outbox_messages ORDER BY seq") == [("issued-e-1",), ("posted-e-1",)]
    assert query("SELECT account, balance_minor FROM ledger_balances ORDER BY account") == [
        ("payments", -2000),
        ("refunds", 2000),
    ]


@pytest.mark.parametrize("table", TABLES)
async def test_a_transaction_that_breaks_at_any_statement_leaves_nothing_half_done(
    table: str,
    writer: DecisionWriter,
    recovery: RefundOf,
    decision: Callable[..., DecisionRecord],
    query: Callable[..., Any],
    settle: Callable[..., Any],
) -> None:
    guilty = {
        "decisions": "NEW.event_id = 'e-1'",
        "captures": "NEW.payment_id = 'p-1'",
        "refunds": "NEW.payment_id = 'p-1'",
        "ledger_entries": "NEW.order_id = 'o-1'",
        "outbox_messages": "NEW.message_id = 'posted-e-1'",
    }
    query(
        f"CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF {guilty[table]} THEN "
        "RAISE EXCEPTION 'broken here'; END IF; RETURN NEW; END $$;"
        f"CREATE TRIGGER broken AFTER INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION fail()"
    )

    outcomes = await settle(writer, decision("pay-1"), recovery("e-1", refund(1)), decision("pay-2"))

    assert isinstance(outcomes[1], StatementRejected)
    assert "broken here" in str(outcomes[1])
    assert [outcomes[0], outcomes[2]] == [True, True]
    assert left(query) == {"decisions": 2, "captures": 0, "refunds": 0, "ledger_entries": 0, "outbox_messages": 2}


async def test_no_refund_goes_beyond_what_was_captured(
    writer: DecisionWriter, recovery: RefundOf, query: Callable[..., Any], settle: Callable[..., Any]
) -> None:
    outcomes = await settle(
        writer,
        recovery("e-1", refund(1, 3000)),
        recovery("e-2", refund(2, 2001)),
        recovery("e-3", refund(3, 2000)),
        recovery("e-4", refund(4, 1, captured_minor=9000)),
    )

    assert [type(outcome) for outcome in outcomes] == [bool, StatementRejected, bool, StatementRejected]
    assert "refunded_at_most_what_was_captured" in str(outcomes[1])
    assert query("SELECT captured_minor, refunded_minor FROM captures") == [(5000, 5000)]
    assert left(query) == {"decisions": 2, "captures": 1, "refunds": 2, "ledger_entries": 2, "outbox_messages": 4}


async def test_workers_that_refund_one_capture_at_the_same_time_stay_within_it(
    database_url: str, recovery: RefundOf, query: Callable[..., Any], writing: Callable[..., Any]
) -> None:
    pools = [Database(database_url, timeout_seconds=PATIENCE_SECONDS) for _ in range(2)]
    async with writing(pools[0]) as one, writing(pools[1]) as other:
        outcomes = await asyncio.gather(
            *(
                (one, other)[number % 2].record(recovery(f"e-{number}", refund(number, 1000)))
                for number in range(1, 11)
            ),
            return_exceptions=True,
        )
    for pool in pools:
        await pool.close()

    assert outcomes.count(True) == 5
    assert sum(isinstance(outcome, StatementRejected) for outcome in outcomes) == 5
    assert query("SELECT sum(amount_minor)::bigint FROM refunds") == [(5000,)]
    assert query("SELECT sum(balance_minor)::bigint FROM ledger_balances") == [(0,)]


async def test_a_refund_made_before_is_not_made_again_by_another_decision(
    writer: DecisionWriter, recovery: RefundOf, query: Callable[..., Any], settle: Callable[..., Any]
) -> None:
    outcomes = await settle(writer, recovery("e-1", refund(1)), recovery("e-2", refund(1)))

    assert outcomes[0] is True
    assert isinstance(outcomes[1], StatementRejected)
    assert query("SELECT event_id FROM decisions") == [("e-1",)]


async def test_a_decision_that_comes_again_refunds_nothing(
    writer: DecisionWriter, recovery: RefundOf, query: Callable[..., Any]
) -> None:
    await writer.record(recovery("e-1", refund(1)))
    before = left(query)

    assert await writer.record(recovery("e-1", refund(2))) is False

    assert left(query) == before


@pytest.mark.parametrize(
    "entries",
    [
        (),
        (LedgerEntry(entry_id="00000000-0000-0000-0001-000000000001", debit="a", credit="b", amount_minor=1999),),
        (LedgerEntry(entry_id="00000000-0000-0000-0001-000000000001", debit="a", credit="a", amount_minor=2000),),
    ],
    ids=["not-booked", "booked-too-little", "booked-to-itself"],
)
async def test_a_refund_that_is_not_booked_to_the_last_unit_is_refused_alone(
    entries: tuple[LedgerEntry, ...],
    writer: DecisionWriter,
    recovery: RefundOf,
    query: Callable[..., Any],
    settle: Callable[..., Any],
) -> None:
    outcomes = await settle(writer, recovery("e-1", refund(1, entries=entries)), recovery("e-2", refund(2)))

    assert isinstance(outcomes[0], StatementRejected)
    assert outcomes[1] is True
    assert query("SELECT refund_id FROM refunds") == [(refund(2).refund_id,)]


async def test_a_refund_in_another_currency_than_its_capture_is_refused(
    writer: DecisionWriter, recovery: RefundOf, settle: Callable[..., Any]
) -> None:
    outcomes = await settle(writer, recovery("e-1", refund(1)), recovery("e-2", refund(2, currency="USD")))

    assert isinstance(outcomes[1], StatementRejected)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE refunds SET amount_minor = 1",
        "DELETE FROM refunds",
        "UPDATE ledger_entries SET debit = 'x'",
        "DELETE FROM ledger_entries",
    ],
)
async def test_what_was_given_back_and_booked_cannot_be_changed(
    change: str, writer: DecisionWriter, recovery: RefundOf, query: Callable[..., Any]
) -> None:
    await writer.record(recovery("e-1", refund(1)))

    with pytest.raises(psycopg2.IntegrityError):
        query(change)
