"""Approvals on PostgreSQL: a held decision does nothing until it is approved, and is answered once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import orjson
import psycopg2
import pytest
from refunding import refund
from shop_catalogue import TYPES
from waiting import PATIENCE_SECONDS

from agents.shop.refunds import Refund
from app.sandbox import Postgres
from app.worker.runtime import expire_overdue
from outbox.approvals import AlreadyAnswered, AnotherContent, Approvals, Summary, UnknownApproval
from outbox.database import Database, queries
from outbox.errors import DatabaseUnavailable, StatementRejected
from outbox.operator_actions import Operator
from outbox.parameters import lock_parameters
from outbox.records import LANES, DecisionRecord, Hold, decision_id, lane_of
from outbox.writer import DecisionWriter

STATUS = "SELECT event_id, status FROM decisions ORDER BY event_id"
ANSWERS = "SELECT answer, answered_by, answered_at IS NOT NULL FROM approvals"
PUBLISHED = (
    "SELECT message_id, topic, convert_from(key, 'UTF8'), convert_from(value, 'UTF8'), headers "
    "FROM outbox_messages ORDER BY seq"
)
DONE = ("outbox_messages", "captures", "refunds", "ledger_entries")

#: jsonb would write this in another way.
ODD = b'{"z":1.0,"a":1e3,"z2":"\xc3\xa4"}'

#: What the message of a rejected decision on `e-1` is in the outbox.
OTHERWISE = ("escalated-e-1", "recovery", "customer-1", ODD.decode(), [["content-type", "dGV4dC94"]])
#: Overdue from the beginning, with nothing to publish.
AT_ONCE = Hold(reason="amount", expires_in=timedelta(0))

HeldOf = Callable[..., DecisionRecord]


@dataclass(frozen=True)
class Lanes:
    """What a relay was told."""

    kicked: list[set[int]]


@pytest.fixture
def lanes() -> Lanes:
    return Lanes([])


@pytest.fixture
def approvals(database: Database, lanes: Lanes) -> Approvals:
    return Approvals(database, on_commit=lambda changed: lanes.kicked.append(set(changed)), effects=TYPES.effects)


@pytest.fixture
def held(decision: Callable[..., DecisionRecord], message: Callable[..., Any]) -> HeldOf:
    """A held decision of `recovery` with its refunds and two messages, and one message otherwise."""

    def build(event_id: str, *refunds: Refund, **changes: Any) -> DecisionRecord:
        messages = (message(f"issued-{event_id}", value=ODD), message(f"posted-{event_id}", topic="ledger"))
        otherwise = (message(f"escalated-{event_id}", topic="recovery", value=ODD),)
        hold = Hold(reason="amount", expires_in=timedelta(days=1), otherwise=otherwise)
        given = {"agent": "recovery", "status": "held", "messages": messages, "effects": refunds, "hold": hold}
        return decision(event_id, **given | changes)

    return build


def at_once(held: HeldOf, event_id: str = "e-1") -> Hold:
    """Overdue from the beginning, with its message otherwise."""
    hold = held(event_id).hold
    assert hold is not None
    return replace(hold, expires_in=timedelta(0))


def done(query: Callable[..., Any]) -> list[int]:
    return [query(f"SELECT count(*) FROM {table}")[0][0] for table in DONE]


async def sha256(approvals: Approvals, record: DecisionRecord) -> str:
    approval = await approvals.find(record.id)
    assert approval is not None
    return approval.content_sha256


async def test_a_held_decision_is_written_and_does_nothing(
    writer: DecisionWriter, approvals: Approvals, held: HeldOf, query: Callable[..., Any]
) -> None:
    record = held("e-1", refund(1), hold=Hold(reason="confidence", expires_in=timedelta(hours=3)))

    assert await writer.record(record) is True

    assert query(STATUS) == [("e-1", "held")]
    assert done(query) == [0, 0, 0, 0]
    approval = await approvals.find(record.id)
    assert approval is not None
    assert approval.reason == "confidence"
    assert (approval.answer, approval.answered_by, approval.answered_at) == (None, None, None)
    assert approval.expires_at - approval.asked_at < timedelta(hours=3, seconds=1)
    assert approval.expires_at > approval.asked_at + timedelta(hours=2)


async def test_what_is_asked_for_is_every_byte_that_is_published_and_everything_that_is_done(
    writer: DecisionWriter, approvals: Approvals, held: HeldOf
) -> None:
    record = held("e-1", refund(1))
    await writer.record(record)

    approval = await approvals.find(record.id)

    assert approval is not None
    assert orjson.loads(approval.content) == {
        "messages": [
            {
                "id": "issued-e-1",
                "topic": "payments",
                "key": "customer-1",
                "value": '{"z":1.0,"a":1e3,"z2":"ä"}',
                "headers": [["content-type", "dGV4dC94"]],
            },
            {
                "id": "posted-e-1",
                "topic": "ledger",
                "key": "customer-1",
                "value": '{"n":1}',
                "headers": [["content-type", "dGV4dC94"]],
            },
        ],
        "otherwise": [
            {
                "id": "escalated-e-1",
                "topic": "recovery",
                "key": "customer-1",
                "value": '{"z":1.0,"a":1e3,"z2":"ä"}',
                "headers": [["content-type", "dGV4dC94"]],
            },
        ],
        "effects": [
            {
                "kind": "refund",
                "refund_id": "00000000-0000-0000-0000-000000000001",
                "payment_id": "p-1",
                "order_id": "o-1",
                "customer_id": "c-1",
                "amount_minor": 2000,
                "currency": "EUR",
                "reason": "two captures",
                "captured_minor": 5000,
                "entries": [
                    {
                        "entry_id": "00000000-0000-0000-0001-000000000001",
                        "debit": "refunds",
                        "credit": "payments",
                        "amount_minor": 2000,
                    }
                ],
            }
        ],
    }


async def test_an_approved_decision_publishes_its_bytes_and_makes_its_changes(
    writer: DecisionWriter, approvals: Approvals, held: HeldOf, lanes: Lanes, query: Callable[..., Any]
) -> None:
    record = held("e-1", refund(1))
    await writer.record(record)

    await approvals.approve(record.id, await sha256(approvals, record), Operator(name="ada"))

    assert query(STATUS) == [("e-1", "committed")]
    assert query(ANSWERS) == [("approved", "ada", True)]
    headers = [["content-type", "dGV4dC94"]]
    assert query(PUBLISHED) == [
        ("issued-e-1", "payments", "customer-1", ODD.decode(), headers),
        ("posted-e-1", "ledger", "customer-1", '{"n":1}', headers),
    ]
    assert query("SELECT refund_id, decision_id, amount_minor FROM refunds") == [
        ("00000000-0000-0000-0000-000000000001", str(record.id), 2000)
    ]
    assert query("SELECT account, balance_minor FROM ledger_balances ORDER BY account") == [
        ("payments", -2000),
        ("refunds", 2000),
    ]
    assert lanes.kicked == [{message.lane for message in record.messages}]
    assert query("SELECT array_agg(DISTINCT lane::integer) FROM outbox_messages") == [(sorted(lanes.kicked[0]),)]


async def test_a_held_decision_counts_as_committed_from_its_answer_on(
    writer: DecisionWriter, approvals: Approvals, held: HeldOf, query: Callable[..., Any]
) -> None:
    record, given_up = held("e-1"), held("e-2")
    for each in (record, given_up, held("e-3", status="committed")):
        await writer.record(each)

    await approvals.reject(given_up.id, await sha256(approvals, given_up), Operator(name="ada"))
    await approvals.approve(record.id, await sha256(approvals, record), Operator(name="ada"))

    assert query("SELECT event_id FROM decisions ORDER BY committed_at") == [("e-3",), ("e-2",), ("e-1",)]


async def test_a_rejected_decision_publishes_what_it_is_otherwise_and_does_nothing_for_ever(
    writer: DecisionWriter, approvals: Approvals, held: HeldOf, lanes: Lanes, query: Callable[..., Any]
) -> None:
    record = held("e-1", refund(1))
    await writer.record(record)
    hashed = await sha256(approvals, record)

    await approvals.reject(record.id, hashed, Operator(name="grace"))

    assert query(STATUS) == [("e-1", "rejected")]
    assert query(ANSWERS) == [("rejected", "grace", True)]
    for again in (approvals.approve, approvals.reject):
        with pytest.raises(AlreadyAnswered, match=r"already rejected by grace at 20\d\d-"):
            await again(record.id, hashed, Operator(name="ada"))
    assert query(PUBLISHED) == [OTHERWISE]
    assert done(query) == [1, 0, 0, 0]
    assert lanes.kicked == [{lane_of("recovery", b"customer-1")}]
    assert query("SELECT jsonb_path_query_array(messages, '$[*].id') FROM decisions") == [
        (["issued-e-1", "posted-e-1"],)
    ]


async def test_a_rejection_publishes_nothing_when_there_is_nothing_otherwise(
    writer: DecisionWriter, approvals: Approvals, held: HeldOf, lanes: Lanes, query: Callable[..., Any]
) -> None:
    record = held("e-1", refund(1), hold=Hold(reason="amount", expires_in=timedelta(days=1)))
    await writer.record(record)

    await approvals.reject(record.id, await sha256(approvals, record), Operator(name="grace"))

    assert query(STATUS) == [("e-1", "rejected")]
    assert done(query) == [0, 0, 0, 0]
    assert lanes.kicked == []


async def test_a_rejection_whose_messages_postgresql_refuses_leaves_the_decision_held(
    writer: DecisionWriter, approvals: Approvals, held: HeldOf, message: Callable[..., Any], query: Callable[..., Any]
) -> None:
    nowhere = Hold(reason="amount", expires_in=timedelta(days=1), otherwise=(message("escalated", topic=""),))
    record = held("e-1", hold=nowhere)
    await writer.record(record)

    with pytest.raises(StatementRejected, match="outbox_messages_topic_check"):
        await approvals.reject(record.id, await sha256(approvals, record), Operator(name="grace"))

    assert query(STATUS) == [("e-1", "held")]
    assert query(ANSWERS) == [(None, None, False)]


async def test_what_waits_is_listed_newest_first_with_its_decision(
    writer: DecisionWriter, approvals: Approvals, held: HeldOf
) -> None:
    answered, overdue = held("e-1"), held("e-2", hold=AT_ONCE)
    for record in (answered, overdue, held("e-3"), held("e-4", outcome="refund", entity_id="o-4", confidence=0.5)):
        await writer.record(record)
    await approvals.reject(answered.id, await sha256(approvals, answered), Operator(name="grace"))

    waiting = await approvals.waiting(limit=10)

    assert [approval.decision.event_id for approval in waiting] == ["e-4", "e-3"]
    assert waiting[0] == await approvals.find(waiting[0].decision_id)
    assert waiting[0].decision == Summary(
        agent="recovery",
        event_source="urn:shop",
        event_id="e-4",
        entity="customer",
        entity_id="o-4",
        outcome="refund",
        reason="nothing unusual",
        confidence=0.5,
        brain="rules",
    )
    assert [approval.decision.event_id for approval in await approvals.waiting(limit=1)] == ["e-4"]


async def test_of_many_who_press_at_the_same_time_exactly_one_wins(
    database_url: str, writer: DecisionWriter, approvals: Approvals, held: HeldOf, query: Callable[..., Any]
) -> None:
    record = held("e-1", refund(1))
    await writer.record(record)
    hashed = await sha256(approvals, record)
    pools = [Database(database_url, timeout_seconds=PATIENCE_SECONDS) for _ in range(2)]
    desks = [Approvals(pool, on_commit=lambda _lanes: None, effects=TYPES.effects) for pool in pools]

    outcomes = await asyncio.gather(
        *(desks[n % 2].approve(record.id, hashed, Operator(name=f"approver-{n}")) for n in range(4)),
        *(desks[n % 2].reject(record.id, hashed, Operator(name=f"rejecter-{n}")) for n in range(4)),
        return_exceptions=True,
    )
    for pool in pools:
        await pool.close()

    losers = [outcome for outcome in outcomes if isinstance(outcome, AlreadyAnswered)]
    assert (len(losers), outcomes.count(None)) == (7, 1)
    [(answer, by, _)] = query(ANSWERS)
    assert {(loser.approval.answer, loser.approval.answered_by) for loser in losers} == {(answer, by)}
    winner = outcomes.index(None)
    assert by == (f"approver-{winner}" if winner < 4 else f"rejecter-{winner - 4}")
    assert done(query) == ([2, 1, 1, 1] if answer == "approved" else [1, 0, 0, 0])


@pytest.mark.parametrize("answer", ["approve", "reject"])
async def test_an_answer_to_something_else_than_what_is_held_is_none(
    answer: str, writer: DecisionWriter, approvals: Approvals, held: HeldOf, query: Callable[..., Any]
) -> None:
    record, other = held("e-1", refund(1)), held("e-2", refund(2))
    await writer.record(record)
    await writer.record(other)

    with pytest.raises(AnotherContent, match=await sha256(approvals, record)):
        await getattr(approvals, answer)(record.id, await sha256(approvals, other), Operator(name="ada"))

    assert query(STATUS) == [("e-1", "held"), ("e-2", "held")]
    assert done(query) == [0, 0, 0, 0]


@pytest.mark.parametrize("answer", ["approve", "reject"])
async def test_a_decision_that_was_never_held_cannot_be_answered(
    answer: str, writer: DecisionWriter, approvals: Approvals, decision: Callable[..., DecisionRecord]
) -> None:
    await writer.record(decision("pay-1"))

    for never_held in (decision("pay-1").id, decision_id("fraud", "urn:shop", "nobody")):
        with pytest.raises(UnknownApproval, match=str(never_held)):
            await getattr(approvals, answer)(never_held, "00" * 32, Operator(name="ada"))


@pytest.mark.parametrize(
    ("changes", "why"),
    [({}, "refunded_at_most_what_was_captured"), ({"entries": ()}, "0 booked, 2000 refunded")],
    ids=["at-once", "at-the-commit"],
)
async def test_an_approval_that_postgresql_refuses_leaves_the_decision_held_and_says_why(
    changes: dict[str, Any],
    why: str,
    writer: DecisionWriter,
    approvals: Approvals,
    held: HeldOf,
    lanes: Lanes,
    query: Callable[..., Any],
) -> None:
    record = held("e-1", refund(1, **changes))
    await writer.record(record)
    await writer.record(held("e-2", refund(2, 4000), status="committed"))
    before = done(query)
    if changes:
        query("UPDATE captures SET refunded_minor = 0")

    with pytest.raises(StatementRejected, match=why):
        await approvals.approve(record.id, await sha256(approvals, record), Operator(name="ada"))

    assert query(STATUS) == [("e-1", "held"), ("e-2", "committed")]
    assert query(ANSWERS) == [(None, None, False)]
    assert done(query) == before
    assert lanes.kicked == []


async def test_what_nobody_answers_in_time_is_rejected(
    writer: DecisionWriter, approvals: Approvals, held: HeldOf, lanes: Lanes, query: Callable[..., Any]
) -> None:
    overdue, open_ = held("e-1", refund(1), hold=at_once(held)), held("e-2")
    await writer.record(overdue)
    await writer.record(open_)

    assert await approvals.expire() == [overdue.id]
    assert await approvals.expire() == []

    assert query(STATUS) == [("e-1", "rejected"), ("e-2", "held")]
    assert query(f"{ANSWERS} WHERE decision_id = '{overdue.id}'") == [("expired", None, True)]
    assert query(PUBLISHED) == [OTHERWISE]
    assert done(query) == [1, 0, 0, 0]
    assert lanes.kicked == [{lane_of("recovery", b"customer-1")}]


async def test_one_that_cannot_be_expired_stops_no_other_and_is_said_once(
    writer: DecisionWriter,
    approvals: Approvals,
    held: HeldOf,
    message: Callable[..., Any],
    query: Callable[..., Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    nowhere = Hold(reason="amount", expires_in=timedelta(0), otherwise=(message("escalated", topic=""),))
    stuck = [held(f"e-{n}", hold=nowhere) for n in (1, 2)]
    others = [held(f"e-{n}", hold=AT_ONCE) for n in (3, 4, 5)]
    for record in (*stuck, *others):
        await writer.record(record)

    assert await approvals.expire(page=2) == [record.id for record in others]
    assert await approvals.expire(page=2) == []

    assert [status for _, status in query(STATUS)] == ["held", "held", "rejected", "rejected", "rejected"]
    said = [record.getMessage() for record in caplog.records]
    assert [line.partition(":")[0] for line in said] == [
        f"held decision {record.id} is overdue and cannot be expired" for record in stuck
    ]


async def test_workers_that_expire_together_expire_each_decision_once(
    database_url: str, writer: DecisionWriter, held: HeldOf, query: Callable[..., Any]
) -> None:
    records = [held(f"e-{n:02}", hold=at_once(held, f"e-{n:02}")) for n in range(30)]
    for record in records:
        await writer.record(record)
    pools = [Database(database_url, timeout_seconds=PATIENCE_SECONDS) for _ in range(3)]

    expired = await asyncio.gather(
        *(Approvals(pool, on_commit=lambda _lanes: None, effects=TYPES.effects).expire(page=7) for pool in pools)
    )
    for pool in pools:
        await pool.close()

    assert sorted(one for each in expired for one in each) == sorted(record.id for record in records)
    assert sorted(row[0] for row in query(PUBLISHED)) == [f"escalated-e-{n:02}" for n in range(30)]


async def test_an_expiry_needs_postgresql(approvals: Approvals, postgres: Postgres) -> None:
    postgres.crash()
    try:
        with pytest.raises(DatabaseUnavailable):
            await approvals.expire()
        await expire_overdue(approvals)
    finally:
        postgres.restart()


async def test_an_overdue_decision_cannot_be_approved_even_before_its_expiry_is_written(
    writer: DecisionWriter, approvals: Approvals, held: HeldOf, query: Callable[..., Any]
) -> None:
    record = held("e-1", refund(1), hold=AT_ONCE)
    await writer.record(record)

    for answer in (approvals.approve, approvals.reject):
        with pytest.raises(AlreadyAnswered, match="already expired at 20"):
            await answer(record.id, await sha256(approvals, record), Operator(name="ada"))

    assert done(query) == [0, 0, 0, 0]


async def test_a_held_decision_that_comes_again_is_held_once_and_stays_as_it_was_answered(
    writer: DecisionWriter, approvals: Approvals, held: HeldOf, query: Callable[..., Any]
) -> None:
    record = held("e-1", refund(1))
    await writer.record(record)
    assert await writer.record(record) is False
    await approvals.approve(record.id, await sha256(approvals, record), Operator(name="ada"))

    assert await writer.record(held("e-1", refund(1, 999))) is False

    assert query(STATUS) == [("e-1", "committed")]
    assert done(query) == [2, 1, 1, 1]


async def test_held_and_committed_decisions_share_a_batch(
    writer: DecisionWriter, held: HeldOf, settle: Callable[..., Any], query: Callable[..., Any]
) -> None:
    outcomes = await settle(
        writer,
        held("e-1", refund(1)),
        held("e-2", refund(2), status="committed"),
        held("e-3", status="committed"),
        held("e-1", event_source="urn:other"),
    )

    assert outcomes == [True, True, True, True]
    assert query(STATUS) == [("e-1", "held"), ("e-1", "held"), ("e-2", "committed"), ("e-3", "committed")]
    assert [row[0] for row in query(PUBLISHED)] == ["issued-e-2", "posted-e-2", "issued-e-3", "posted-e-3"]


async def test_a_decision_with_a_change_nobody_can_keep_is_refused_alone(
    writer: DecisionWriter, held: HeldOf, settle: Callable[..., Any], query: Callable[..., Any]
) -> None:
    class Strange:
        def statements(self, _decision: object) -> list[Any]:
            return []

    outcomes = await settle(writer, held("e-1", Strange()), held("e-2"))

    assert isinstance(outcomes[0], StatementRejected)
    assert "Strange" in str(outcomes[0])
    assert outcomes[1] is True
    assert query(STATUS) == [("e-2", "held")]


@pytest.mark.parametrize("status", ["shadow", "rejected"])
async def test_only_a_committed_decision_publishes_and_changes_something(
    status: str, writer: DecisionWriter, held: HeldOf, query: Callable[..., Any]
) -> None:
    await writer.record(held("e-1", refund(1), status=status))

    assert query(STATUS) == [("e-1", status)]
    assert done(query) == [0, 0, 0, 0]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE approvals SET answer = 'rejected'",
        "UPDATE approvals SET content = '{}', content_sha256 = encode(sha256('{}'), 'hex')",
        "UPDATE approvals SET answered_by = 'eve'",
        "DELETE FROM approvals",
    ],
)
async def test_an_answer_and_what_it_was_given_to_cannot_be_changed(
    change: str, writer: DecisionWriter, approvals: Approvals, held: HeldOf, query: Callable[..., Any]
) -> None:
    record = held("e-1")
    await writer.record(record)
    await approvals.approve(record.id, await sha256(approvals, record), Operator(name="ada"))

    with pytest.raises(psycopg2.IntegrityError):
        query(change)


@pytest.mark.parametrize(
    "change",
    [
        "content = '{}'",
        "reason = 'another'",
        "answer = 'approved'",
        "answer = 'approved', answered_at = now()",
        "answer = 'rejected', answered_by = 'ada'",
        "answer = 'expired', answered_by = 'ada', answered_at = now()",
        "answered_by = 'ada'",
        "answered_at = now()",
        "answer = 'maybe', answered_by = 'ada', answered_at = now()",
    ],
)
async def test_an_answer_without_who_and_when_cannot_be_written(
    change: str, writer: DecisionWriter, held: HeldOf, query: Callable[..., Any]
) -> None:
    await writer.record(held("e-1"))

    with pytest.raises(psycopg2.IntegrityError):
        query(f"UPDATE approvals SET {change}")


@pytest.mark.parametrize(("answer", "status"), [("approve", "committed"), ("reject", "rejected")])
async def test_an_answer_holds_no_row_while_it_waits_for_a_lane(
    answer: str,
    status: str,
    database: Database,
    writer: DecisionWriter,
    approvals: Approvals,
    held: HeldOf,
    query: Callable[..., Any],
    until: Callable[..., Any],
) -> None:
    record = held("e-1")
    await writer.record(record)
    hashed = await sha256(approvals, record)
    # Whoever writes a copy as committed holds the lanes and then waits for a row that is being changed.
    async with database.transaction() as other:
        lanes = lock_parameters(range(LANES))
        await other.run(queries("writer.sql")["lock_lanes"], lanes)
        answering = asyncio.create_task(getattr(approvals, answer)(record.id, hashed, Operator(name="ada")))
        await until(lambda: query("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"))

        assert query("SELECT event_id FROM decisions JOIN approvals ON decision_id = id FOR UPDATE NOWAIT") == [
            ("e-1",)
        ]

    await answering

    assert query(STATUS) == [("e-1", status)]
