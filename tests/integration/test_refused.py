"""What PostgreSQL refuses is told to a person: nothing of the decision is done, what it has for that case is said."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import orjson
import pytest
from refunding import refund
from waiting import PATIENCE_SECONDS

from agents.shop.refunds import Refund
from outbox.database import Database
from outbox.errors import StatementRejected
from outbox.records import DecisionRecord, Message
from outbox.writer import DecisionWriter

RefundOf = Callable[..., DecisionRecord]


@pytest.fixture
def recovery(decision: Callable[..., DecisionRecord], message: Callable[..., Message]) -> RefundOf:
    """The decision of `recovery` on an event: refunds, a message, and an escalation for when they are refused."""

    def build(event_id: str, *refunds: Refund) -> DecisionRecord:
        return decision(
            event_id,
            agent="recovery",
            messages=(message(f"issued-{event_id}"),),
            effects=refunds,
            otherwise=(message(f"escalated-{event_id}", topic="recovery"),),
        )

    return build


#: A payment id over two orders, a refund made before, one beyond the capture, one that is not booked (found at COMMIT).
REFUSALS = {
    "refunds_payment_id_order_id_currency_fkey": refund(2, order_id="o-2"),
    "refunds_pkey": refund(1),
    "refunded_at_most_what_was_captured": refund(3, 3001),
    "0 booked": refund(4, entries=()),
}


@pytest.mark.parametrize("why", REFUSALS)
async def test_a_refund_that_postgresql_refuses_is_rejected_and_a_person_hears(
    why: str, writer: DecisionWriter, recovery: RefundOf, query: Callable[..., Any], settle: Callable[..., Any]
) -> None:
    outcomes = await settle(writer, recovery("e-1", refund(1)), recovery("e-2", REFUSALS[why]), recovery("e-3"))

    assert outcomes == [True, True, True]
    assert query("SELECT event_id, status FROM decisions ORDER BY event_id") == [
        ("e-1", "committed"),
        ("e-2", "rejected"),
        ("e-3", "committed"),
    ]
    assert query("SELECT refund_id FROM refunds") == [(refund(1).refund_id,)]
    assert sorted(query("SELECT message_id FROM outbox_messages")) == [
        ("escalated-e-2",),
        ("issued-e-1",),
        ("issued-e-3",),
    ]
    [(reason, answer, answered_by, content)] = query("SELECT reason, answer, answered_by, content FROM approvals")
    assert (reason, answer) == ("refused", "rejected")
    assert answered_by.startswith("PostgreSQL: ")
    assert why in answered_by
    assert [kept["id"] for kept in orjson.loads(content)["otherwise"]] == ["escalated-e-2"]


async def test_a_refused_decision_that_comes_again_is_not_written_again(
    writer: DecisionWriter, recovery: RefundOf, query: Callable[..., Any], settle: Callable[..., Any]
) -> None:
    await settle(writer, recovery("e-1", refund(1)))
    outcomes = [await writer.record(recovery("e-2", refund(2, order_id="o-2"))) for _ in range(2)]

    assert outcomes == [True, False]
    assert query("SELECT count(*) FROM outbox_messages WHERE message_id = 'escalated-e-2'") == [(1,)]


async def test_a_refused_decision_that_has_nothing_for_that_case_is_left_to_its_caller(
    writer: DecisionWriter, decision: Callable[..., DecisionRecord], settle: Callable[..., Any]
) -> None:
    outcomes = await settle(writer, decision("e-1", effects=(refund(1, 5001),)))

    assert isinstance(outcomes[0], StatementRejected)


@pytest.fixture
async def impatient(database: Database) -> AsyncIterator[DecisionWriter]:
    """A writer that does not wait for what effects need."""
    writer = DecisionWriter(database, on_commit=lambda _lanes: None, effects_wait_seconds=0)
    yield writer
    await writer.stop()


def raising(message: str, code: str) -> str:
    """SQL after which no refund can be written."""
    return (
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{message}' USING ERRCODE = '{code}'; END $$;"
        "CREATE TRIGGER broken BEFORE INSERT ON refunds FOR EACH ROW EXECUTE FUNCTION fail()"
    )


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        ("ALTER TABLE refunds RENAME TO away", 'relation "refunds" does not exist'),
        ("ALTER TABLE ledger_entries DROP COLUMN credit CASCADE", 'column "credit" of relation "ledger_entries"'),
        (raising("no room", "53100"), "no room"),
        (raising("permission denied for table refunds", "42501"), "permission denied"),
    ],
    ids=["table", "column", "resources", "privilege"],
)
async def test_effects_that_waited_long_enough_for_what_is_not_there_are_refused_and_a_person_hears(
    harm: str, why: str, impatient: DecisionWriter, recovery: RefundOf, query: Callable[..., Any],
    settle: Callable[..., Any],
) -> None:  # fmt: skip
    query(harm)

    assert await settle(impatient, recovery("e-1", refund(1)), recovery("e-2")) == [True, True]

    assert query("SELECT event_id, status FROM decisions ORDER BY event_id") == [
        ("e-1", "rejected"),
        ("e-2", "committed"),
    ]
    assert sorted(query("SELECT message_id FROM outbox_messages")) == [("escalated-e-1",), ("issued-e-2",)]
    [(answered_by,)] = query("SELECT answered_by FROM approvals")
    assert why in answered_by


async def test_effects_that_have_nothing_for_that_case_wait_until_what_they_need_is_there(
    impatient: DecisionWriter, decision: Callable[..., DecisionRecord], query: Callable[..., Any],
    until: Callable[..., Any],
) -> None:  # fmt: skip
    query("ALTER TABLE refunds RENAME TO away")
    waiting = asyncio.create_task(impatient.record(decision("e-1", effects=(refund(1),))))
    await until(lambda: bool(impatient.troubles.current()))

    query("ALTER TABLE away RENAME TO refunds")

    assert await asyncio.wait_for(waiting, PATIENCE_SECONDS) is True
