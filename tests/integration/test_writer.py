"""Decision writer on PostgreSQL: one decision, one transaction, once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg2
import pytest
from refunding import refund

from outbox.database import Database, Row
from outbox.errors import StatementRejected
from outbox.parameters import LANE_LOCK
from outbox.records import Hold
from outbox.writer import DecisionWriter

NOON = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
MESSAGE_IDS = "SELECT message_id FROM outbox_messages ORDER BY seq"
EVENT_IDS = "SELECT event_id FROM decisions ORDER BY event_id"


class CountingDatabase(Database):
    """The real database; counts the statements that write decisions."""

    batches = 0

    async def run(self, statement: str, parameters: Mapping[str, Any] | None = None) -> Sequence[Row]:
        self.batches += "INSERT INTO decisions" in statement
        return await super().run(statement, parameters)


async def test_a_decision_is_written_as_it_was_made(
    writer: DecisionWriter, decision: Callable[..., Any], query: Callable[..., Any]
) -> None:
    record = decision("pay-1", model="small", fallback_reason="too slow", brain="rules")

    assert await writer.record(record) is True

    [row] = query("SELECT * FROM decisions")
    assert row[:11] == (
        *(str(record.id), "fraud", "pay-1", "urn:shop", "PaymentSucceeded", NOON),
        *("customer", "customer-1", "timeline-customer", 2, 7),
    )
    assert row[11:18] == (
        *({"steps": "5 1", "sha256": "00ff"}, "rules", "small", "approve", "nothing unusual", 0.75, "too slow"),
    )
    assert query("SELECT plain_history(history) FROM decisions") == [({"offsets": [5, 6], "sha256": "00ff"},)]
    kept = [{"id": "m-pay-1", "topic": "payments", "key": "customer-1", "value": {"n": 1}}]
    assert row[18:21] == (kept, "committed", NOON)


async def test_a_message_is_kept_with_its_bytes_and_headers_until_the_relay_takes_it(
    writer: DecisionWriter, decision: Callable[..., Any], query: Callable[..., Any]
) -> None:
    await writer.record(decision("pay-1"))

    assert query(
        "SELECT message_id, topic, convert_from(key, 'UTF8'), convert_from(value, 'UTF8'), headers, lane "
        "FROM outbox_messages"
    ) == [("m-pay-1", "payments", "customer-1", '{"n":1}', [["content-type", "dGV4dC94"]], 56)]


async def test_a_decision_and_its_messages_are_one_transaction(
    writer: DecisionWriter,
    decision: Callable[..., Any],
    message: Callable[..., Any],
    query: Callable[..., Any],
    settle: Callable[..., Any],
) -> None:
    await writer.record(decision("pay-1", messages=(message("m-1"), message("m-2"))))
    [refused] = await settle(writer, decision("pay-2", messages=(message("m-3"), message("m-4", topic=""))))

    assert isinstance(refused, StatementRejected)
    assert query(EVENT_IDS) == [("pay-1",)]
    assert query(MESSAGE_IDS) == [("m-1",), ("m-2",)]
    assert query("SELECT count(DISTINCT xmin) FROM (SELECT xmin::text FROM decisions "
                 "UNION ALL SELECT xmin::text FROM outbox_messages) AS rows") == [(1,)]  # fmt: skip


async def test_a_decision_without_messages_is_written_too(
    writer: DecisionWriter, decision: Callable[..., Any], query: Callable[..., Any]
) -> None:
    assert await writer.record(decision("pay-1", messages=())) is True

    assert query(EVENT_IDS) == [("pay-1",)]
    assert query(MESSAGE_IDS) == []


async def test_a_decision_that_is_there_is_not_written_again_and_its_messages_are_not_either(
    writer: DecisionWriter, decision: Callable[..., Any], query: Callable[..., Any]
) -> None:
    await writer.record(decision("pay-1"))

    assert await writer.record(decision("pay-1", outcome="block", reason="changed its mind")) is False

    assert query("SELECT outcome FROM decisions") == [("approve",)]
    assert query(MESSAGE_IDS) == [("m-pay-1",)]


async def test_copies_that_meet_in_one_batch_are_one_decision(
    writer: DecisionWriter, decision: Callable[..., Any], query: Callable[..., Any], settle: Callable[..., Any]
) -> None:
    outcomes = await settle(writer, decision("pay-1"), decision("pay-1"), decision("pay-2"))

    assert query(EVENT_IDS) == [("pay-1",), ("pay-2",)]
    assert query(MESSAGE_IDS) == [("m-pay-1",), ("m-pay-2",)]
    assert outcomes == [True, False, True]


async def test_two_agents_decide_on_the_same_event(
    writer: DecisionWriter, decision: Callable[..., Any], query: Callable[..., Any], settle: Callable[..., Any]
) -> None:
    outcomes = await settle(writer, decision("pay-1"), decision("pay-1", agent="refunds"))

    assert outcomes == [True, True]
    assert query("SELECT agent FROM decisions ORDER BY agent") == [("fraud",), ("refunds",)]


@pytest.mark.parametrize("in_one_batch", [False, True])
async def test_the_same_id_from_another_source_is_another_event(
    writer: DecisionWriter,
    decision: Callable[..., Any],
    query: Callable[..., Any],
    in_one_batch: bool,
    settle: Callable[..., Any],
    message: Callable[..., Any],
) -> None:
    ours, theirs = decision("1001"), decision("1001", event_source="urn:elsewhere", messages=(message("m-2"),))

    if in_one_batch:
        outcomes = await settle(writer, ours, theirs, replace(ours), replace(theirs))
    else:
        outcomes = [one for each in (ours, theirs, ours, theirs) for one in await settle(writer, each)]

    assert outcomes == [True, True, False, False]
    assert query("SELECT event_id, event_source FROM decisions ORDER BY event_source") == [
        ("1001", "urn:elsewhere"),
        ("1001", "urn:shop"),
    ]
    assert query(MESSAGE_IDS) == [("m-1001",), ("m-2",)]


async def test_many_decisions_share_few_transactions(
    database_url: str,
    decision: Callable[..., Any],
    query: Callable[..., Any],
    writing: Callable[..., Any],
    settle: Callable[..., Any],
) -> None:
    database = CountingDatabase(database_url)
    try:
        async with writing(database) as writer:
            outcomes = await settle(writer, *(decision(f"pay-{n}") for n in range(1000)))

        assert outcomes == [True] * 1000
        assert query("SELECT count(*) FROM decisions") == [(1000,)]
        assert database.batches == 10
    finally:
        await database.close()


async def test_messages_leave_in_the_order_of_their_decisions(
    database: Database,
    decision: Callable[..., Any],
    message: Callable[..., Any],
    query: Callable[..., Any],
    writing: Callable[..., Any],
    settle: Callable[..., Any],
) -> None:
    records = [
        decision(f"pay-{n}", messages=tuple(message(f"m-{n}-{m}", key=b"customer-%d" % (n % 3)) for m in range(2)))
        for n in range(50)
    ]
    async with writing(database, batch_size=7) as writer:
        await settle(writer, *records)

    for key in range(3):
        sent = query("SELECT message_id FROM outbox_messages WHERE key = %s ORDER BY seq", [b"customer-%d" % key])
        assert sent == [(f"m-{n}-{m}",) for n in range(key, 50, 3) for m in range(2)]


async def test_a_commit_is_announced_and_a_copy_is_not(
    database: Database, decision: Callable[..., Any], writing: Callable[..., Any]
) -> None:
    announced: list[str] = []
    async with writing(database, on_commit=lambda _lanes: announced.append("commit")) as writer:
        await writer.record(decision("pay-1"))
        assert announced == ["commit"]
        await writer.record(decision("pay-1"))
        assert announced == ["commit"]


async def test_commits_of_one_lane_follow_each_other_and_other_lanes_do_not_wait(
    database: Database, decision: Callable[..., Any], message: Callable[..., Any], database_url: str,
    writing: Callable[..., Any], until: Callable[..., Any], query: Callable[..., Any],
) -> None:  # fmt: skip
    waiting = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    with contextlib.closing(psycopg2.connect(database_url)) as earlier:
        # A commit of another worker in the lane of customer-1: it has drawn its `seq` and is not through yet.
        earlier.cursor().execute("SELECT pg_advisory_xact_lock(%s, 56)", (LANE_LOCK,))
        async with writing(database) as writer, writing(database) as another:
            later = asyncio.create_task(writer.record(decision("pay-1")))
            await until(lambda: query(waiting))
            elsewhere = message("m-2", key=b"customer-2")
            assert await another.record(decision("pay-2", messages=(elsewhere,))) is True
            assert not later.done()
            earlier.commit()
            assert await later is True


@pytest.mark.parametrize(
    "special",
    [
        {},
        {"effects": (refund(1),)},
        {"status": "rejected", "hold": Hold(reason="refused", expires_in=timedelta(0), rejected_by="PostgreSQL")},
    ],
    ids=["all-alike", "effects-between", "a-question-between"],
)
async def test_decisions_of_one_batch_are_committed_in_the_order_they_came_and_so_their_messages_leave(
    writer: DecisionWriter,
    decision: Callable[..., Any],
    message: Callable[..., Any],
    query: Callable[..., Any],
    settle: Callable[..., Any],
    special: dict[str, Any],
) -> None:
    if "hold" in special:
        special = {**special, "hold": replace(special["hold"], otherwise=(message("m-e3"),))}
    # Neither by their stories nor by their kinds are they in this order.
    batch = [
        *(decision("e1", correlation_id="story-5"), decision("e2", correlation_id="story-3")),
        decision("e3", correlation_id="story-1", **special),
        *(decision("e4", correlation_id="story-4"), decision("e5", correlation_id="story-2")),
    ]

    assert await settle(writer, *batch) == [True] * 5

    in_order = ["e1", "e2", "e3", "e4", "e5"]
    assert [each for (each,) in query("SELECT event_id FROM decisions ORDER BY committed_at")] == in_order
    assert [each for (each,) in query(MESSAGE_IDS)] == [f"m-{each}" for each in in_order]
