"""Retention in PostgreSQL: contents leave by partitions; what recognises stays, and what is held or disputed."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg2
import pytest
from llm_calls import call
from waiting import PATIENCE_SECONDS, until

from app.reads.decisions import decision as read_decision
from app.reads.llm_calls import llm_call
from outbox.approvals import Approvals
from outbox.database import Database
from outbox.journal import Journal
from outbox.records import DecisionRecord, Hold, decision_id
from outbox.retention import NoSuchContents, Retention
from outbox.writer import DecisionWriter

DecisionOf = Callable[..., DecisionRecord]

#: Tests have partitions of before: one that is due when contents are kept for 30 days, and one that is not.
LONG_AGO = timedelta(days=45)
LATELY = timedelta(days=5)
#: Longer than anything is kept here.
HOLD = Hold(reason="large", expires_in=timedelta(days=400))
PARTITIONS = """
    CREATE TABLE decision_contents_due PARTITION OF decision_contents FOR VALUES FROM (%(due)s) TO (%(young)s);
    CREATE TABLE decision_contents_young PARTITION OF decision_contents FOR VALUES FROM (%(young)s) TO (%(today)s);
    CREATE TABLE llm_call_contents_due PARTITION OF llm_call_contents FOR VALUES FROM (%(due)s) TO (%(young)s);
    CREATE TABLE llm_call_contents_young PARTITION OF llm_call_contents FOR VALUES FROM (%(young)s) TO (%(today)s);
    UPDATE retention SET from_at = %(due)s;
"""
#: Somebody whose turn it is.
TURN = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 7294655104 & 4294967295"
#: A worker that has said that it lives, by the SQL of the version before.
OLD_WORKER = (
    "INSERT INTO outbox_workers (owner, seen_until, tells_sources_apart, reads_steps) "
    "VALUES ('old', clock_timestamp() + %s, true, true)"
)


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def partitions(query: Callable[..., Any], now: datetime) -> None:
    [(today,)] = query("SELECT min(from_at) FROM retention")
    query(PARTITIONS, {"due": now - 2 * LONG_AGO, "young": now - timedelta(days=31), "today": today})


@pytest.fixture
def retention(database: Database) -> Retention:
    return Retention(database, try_again_seconds=0.01)


@pytest.fixture
def names(query: Callable[..., Any]) -> Callable[[], list[str]]:
    def partitions_of_decisions() -> list[str]:
        return [name for (name,) in query("SELECT partition FROM content_partitions('decision_contents')")]

    return partitions_of_decisions


@pytest.fixture
def reader(database_url: str) -> Iterator[Any]:
    """Somebody in a transaction that has read contents."""
    with closing(psycopg2.connect(database_url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT messages FROM decision_contents")
        yield cursor


def messages(query: Callable[..., Any], event_id: str) -> Any:
    [(found,)] = query("SELECT whole_messages FROM whole_decisions WHERE event_id = %s", (event_id,))
    return found


async def test_contents_are_in_a_partition_and_the_row_has_what_it_is_recognised_and_found_by(
    writer: DecisionWriter, decision: DecisionOf, query: Callable[..., Any], now: datetime
) -> None:
    await writer.record_all([decision("e-1", decided_at=now), decision("e-2", decided_at=now, messages=())])

    assert query("SELECT event_id, is_apart, messages FROM decisions ORDER BY 1") == [
        ("e-1", True, ["m-e-1"]),
        ("e-2", False, []),
    ]
    assert query("SELECT messages FROM decision_contents") == [
        ([{"topic": "payments", "key": "customer-1", "value": {"n": 1}}],)
    ]
    whole = [{"id": "m-e-1", "topic": "payments", "key": "customer-1", "value": {"n": 1}}]
    assert query("SELECT whole_messages, not_kept FROM whole_decisions ORDER BY event_id") == [
        (whole, None),
        ([], None),
    ]


@pytest.mark.parametrize("off", [timedelta(days=-3000), timedelta(days=3000)], ids=["before", "after"])
async def test_without_a_partition_for_its_time_a_decision_keeps_its_contents_itself(
    writer: DecisionWriter, decision: DecisionOf, query: Callable[..., Any], now: datetime, off: timedelta
) -> None:
    assert await writer.record(decision("e-1", decided_at=now + off))

    assert query("SELECT is_apart FROM decisions") == [(False,)]
    assert messages(query, "e-1")[0]["value"] == {"n": 1}


@pytest.mark.parametrize(("seen", "is_apart"), [("15 seconds", False), ("-1 second", True)], ids=["lives", "has-gone"])
async def test_contents_stay_in_the_row_while_a_worker_lives_that_reads_them_only_there(
    database: Database,
    writer: DecisionWriter,
    decision: DecisionOf,
    query: Callable[..., Any],
    now: datetime,
    seen: str,
    is_apart: bool,
) -> None:
    query(OLD_WORKER, (seen,))

    await writer.record(decision("e-1", decided_at=now))
    await Journal(database).record(call(called_at=now))

    assert query("SELECT is_apart FROM decisions") == [(is_apart,)]
    assert query(
        "SELECT is_apart, whole_prompt, whole_reply FROM llm_calls JOIN whole_llm_calls USING (id, is_apart)"
    ) == [(is_apart, "score this", "approve")]


async def test_a_worker_of_this_version_says_that_it_reads_contents(worker: Any, query: Callable[..., Any]) -> None:
    await worker.relay.drain()

    assert query("SELECT owner, reads_contents FROM outbox_workers") == [("a", True)]


@pytest.mark.usefixtures("partitions")
async def test_a_decision_is_not_made_again_after_its_contents_were_dropped(
    writer: DecisionWriter,
    decision: DecisionOf,
    retention: Retention,
    query: Callable[..., Any],
    names: Callable[[], list[str]],
    now: datetime,
) -> None:
    await writer.record(decision("e-1", decided_at=now - LONG_AGO))
    query("DELETE FROM outbox_messages")
    await retention.keep("decision_contents", 30, by="ada")

    done = await retention.maintain()

    assert [(each.partition, each.stay) for each in done.dropped] == [("decision_contents_due", 0)]
    assert "decision_contents_due" not in names()
    assert await writer.record(decision("e-1", decided_at=now)) is False
    assert query("SELECT count(*) FROM outbox_messages") == [(0,)]
    assert query("SELECT event_id, outcome, messages FROM decisions") == [("e-1", "approve", ["m-e-1"])]
    assert query("SELECT count(*) FROM decision_contents") == [(0,)]


@pytest.mark.usefixtures("partitions")
async def test_a_redelivery_in_another_partition_brings_no_second_contents(
    writer: DecisionWriter, decision: DecisionOf, query: Callable[..., Any], now: datetime
) -> None:
    assert await writer.record(decision("e-1", decided_at=now - LATELY)) is True

    assert await writer.record(decision("e-1", decided_at=now)) is False

    assert query("SELECT id, at FROM decision_contents") == query("SELECT id, decided_at FROM decisions")


@pytest.mark.usefixtures("partitions")
async def test_nothing_is_dropped_until_somebody_says_for_how_long_it_is_kept(
    writer: DecisionWriter, decision: DecisionOf, retention: Retention, names: Callable[[], list[str]], now: datetime
) -> None:
    await writer.record(decision("e-1", decided_at=now - LONG_AGO))

    done = await retention.maintain()

    assert (done.dropped, done.trimmed, done.released, done.put_off) == ([], 0, 0, "")
    assert names()[:2] == ["decision_contents_due", "decision_contents_young"]
    with pytest.raises(NoSuchContents, match="decision_contents, llm_call_contents"):
        await retention.keep("decisions", 30, by="ada")


@pytest.mark.usefixtures("partitions")
async def test_what_is_younger_stays(
    writer: DecisionWriter, decision: DecisionOf, retention: Retention, query: Callable[..., Any], now: datetime
) -> None:
    await writer.record_all([decision("e-1", decided_at=now - LONG_AGO), decision("e-2", decided_at=now - LATELY)])
    await retention.keep("decision_contents", 30, by="ada")

    await retention.maintain()

    assert messages(query, "e-1") is None
    assert messages(query, "e-2")[0]["value"] == {"n": 1}


@pytest.mark.usefixtures("partitions")
async def test_what_is_held_stays_until_somebody_has_answered(
    writer: DecisionWriter, decision: DecisionOf, retention: Retention, query: Callable[..., Any], now: datetime
) -> None:
    await writer.record_all(
        [
            decision("e-1", decided_at=now - LONG_AGO, status="held", hold=HOLD),
            decision("e-2", decided_at=now - LONG_AGO),
        ]
    )
    await retention.keep("decision_contents", 30, by="ada")

    [dropped] = (await retention.maintain()).dropped

    assert dropped.stay == 1
    assert messages(query, "e-1")[0]["value"] == {"n": 1}
    assert messages(query, "e-2") is None

    query("UPDATE decisions SET status = 'rejected' WHERE event_id = 'e-1'")
    assert (await retention.maintain()).released == 1
    assert messages(query, "e-1") is None


@pytest.mark.usefixtures("partitions")
async def test_what_a_bank_has_charged_back_stays_with_what_was_decided_on_the_same_events(
    writer: DecisionWriter, decision: DecisionOf, retention: Retention, query: Callable[..., Any], now: datetime
) -> None:
    on_order = {"agent": "fulfilment", "entity": "order"}
    await writer.record_all(
        [
            decision("e-1", decided_at=now - LONG_AGO),
            decision("e-1", decided_at=now - LONG_AGO, entity_id="o-1", **on_order),
            decision("e-2", decided_at=now - LONG_AGO),
            decision("e-2", decided_at=now - LONG_AGO, entity_id="o-2", **on_order),
        ]
    )
    query(
        "INSERT INTO given_back (given_back_id, decision_id, kind, payment_id, order_id, amount_minor, currency)"
        " SELECT gen_random_uuid(), id, 'chargeback', 'p-1', 'o-1', 100, 'EUR' FROM decisions LIMIT 1"
    )
    await retention.keep("decision_contents", 30, by="ada")

    [dropped] = (await retention.maintain()).dropped

    assert dropped.stay == 2
    kept = "SELECT event_id, agent FROM whole_decisions WHERE whole_messages IS NOT NULL ORDER BY 2"
    assert query(kept) == [("e-1", "fraud"), ("e-1", "fulfilment")]
    assert (await retention.maintain()).released == 0


@pytest.mark.usefixtures("partitions")
async def test_two_who_see_to_it_at_once_do_it_once(
    database_url: str,
    writer: DecisionWriter,
    decision: DecisionOf,
    retention: Retention,
    query: Callable[..., Any],
    now: datetime,
) -> None:
    await writer.record(decision("e-1", decided_at=now - LONG_AGO))
    await retention.keep("decision_contents", 30, by="ada")
    other = Database(database_url)
    try:
        rounds = await asyncio.gather(*(each.maintain() for each in (retention, Retention(other)) for _ in range(4)))
    finally:
        await other.close()
    # Whoever met another did nothing; this one does what is left.
    rounds.append(await retention.maintain())

    assert sum(len(each.dropped) for each in rounds) == 1
    assert query("SELECT count(*) FROM retention_drops") == [(1,)]


@pytest.mark.usefixtures("partitions")
async def test_whoever_holds_the_turn_makes_others_do_nothing(
    database_url: str, retention: Retention, query: Callable[..., Any], names: Callable[[], list[str]]
) -> None:
    await retention.keep("decision_contents", 30, by="ada")
    with closing(psycopg2.connect(database_url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT is_turn_of_retention()")

        assert (await retention.maintain()).dropped == []

    assert "decision_contents_due" in names()
    # Its turn dies with its connection.
    await until(lambda: not query(TURN))
    assert len((await retention.maintain()).dropped) == 1


@pytest.mark.usefixtures("partitions")
async def test_a_crash_before_the_commit_leaves_everything_as_it_was(
    database_url: str,
    writer: DecisionWriter,
    decision: DecisionOf,
    retention: Retention,
    query: Callable[..., Any],
    names: Callable[[], list[str]],
    now: datetime,
) -> None:
    await writer.record(decision("e-1", decided_at=now - LONG_AGO, status="held", hold=HOLD))
    await retention.keep("decision_contents", 30, by="ada")
    with closing(psycopg2.connect(database_url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT stay FROM drop_partition()")
        assert cursor.fetchall() == [(1,)]
        # Killed here: what it did is undone with its connection.

    assert "decision_contents_due" in names()
    assert query("SELECT count(*) FROM decision_contents_kept") == [(0,)]
    assert query("SELECT count(*) FROM retention_drops") == [(0,)]
    await until(lambda: not query(TURN))
    await retention.maintain()
    assert messages(query, "e-1")[0]["value"] == {"n": 1}


@pytest.mark.usefixtures("partitions")
async def test_a_reader_puts_a_drop_off_and_writers_go_on(
    writer: DecisionWriter,
    decision: DecisionOf,
    retention: Retention,
    query: Callable[..., Any],
    names: Callable[[], list[str]],
    now: datetime,
    reader: Any,
) -> None:
    await retention.keep("decision_contents", 30, by="ada")

    writing = [writer.record(decision(f"e-{number}", decided_at=now)) for number in range(20)]
    done, _ = await asyncio.gather(retention.maintain(), asyncio.gather(*writing))

    assert (done.dropped, "lock timeout" in done.put_off) == ([], True)
    assert query("SELECT count(*) FROM decision_contents") == [(20,)]
    reader.connection.rollback()
    await retention.maintain()
    assert "decision_contents_due" not in names()


@pytest.mark.usefixtures("partitions")
async def test_rows_of_before_are_relieved_of_their_contents_in_their_turn(
    writer: DecisionWriter, decision: DecisionOf, retention: Retention, query: Callable[..., Any], now: datetime
) -> None:
    query(OLD_WORKER, ("1 hour",))
    await writer.record_all(
        [
            *(decision(f"e-{number:04}", decided_at=now - LONG_AGO) for number in range(1500)),
            decision("h-1", decided_at=now - LONG_AGO, status="held", hold=HOLD),
            decision("y-1", decided_at=now - LATELY),
        ]
    )
    assert query("SELECT count(*) FROM decisions WHERE is_apart") == [(0,)]
    await retention.keep("decision_contents", 30, by="ada")

    await retention.maintain()

    assert query("SELECT count(*) FROM whole_decisions WHERE whole_messages IS NULL") == [(1500,)]
    assert messages(query, "h-1")[0]["id"] == "m-h-1"
    assert messages(query, "y-1")[0]["value"] == {"n": 1}
    assert query("SELECT is_apart FROM decisions WHERE event_id = 'y-1'") == [(False,)]
    # The ids stay, in the index too.
    found = "SELECT count(*) FROM decisions WHERE search_terms(event_id, correlation_id, messages) @> '[\"m-e-0007\"]'"
    assert query(found) == [(1,)]
    assert (await retention.maintain()).trimmed == 0


@pytest.mark.usefixtures("partitions")
async def test_who_looks_at_a_decision_is_told_since_when_its_contents_are_gone(
    database: Database, writer: DecisionWriter, decision: DecisionOf, retention: Retention, now: datetime
) -> None:
    made = decision("e-1", decided_at=now - LONG_AGO)
    await writer.record(made)
    await retention.keep("decision_contents", 30, by="ada")
    await retention.maintain()

    found = await read_decision(database, Approvals(database, on_commit=lambda _lanes: None, effects={}), made.id)

    assert (found.messages, found.message_ids) == ([], ["m-e-1"])
    assert found.not_kept is not None
    today = datetime.now(UTC).date()
    assert found.not_kept.sentence == f"Content no longer kept since {today}, by retention of 30 days."


@pytest.mark.usefixtures("partitions")
async def test_prompts_and_replies_leave_and_what_they_cost_stays(
    database: Database, retention: Retention, query: Callable[..., Any], now: datetime
) -> None:
    journal = Journal(database)
    try:
        await journal.record(call(called_at=now - LONG_AGO))
        await journal.record(call(called_at=now - LATELY, attempt=2, event_id="pay-2"))
        await retention.keep("llm_call_contents", 30, by="ada")

        await retention.maintain()

        assert await journal.replies("fraud", "urn:shop", "pay-1") == {}
        assert [each.reply for each in (await journal.replies("fraud", "urn:shop", "pay-2")).values()] == ["approve"]
    finally:
        await journal.stop()
    [(gone,)] = query("SELECT id::text FROM llm_calls WHERE event_id = 'pay-1'")
    found = await llm_call(database, uuid.UUID(gone))
    assert (found.prompt, found.reply, found.prompt_tokens) == ("", None, 120)
    assert found.not_kept is not None
    assert found.not_kept.keep_days == 30


@pytest.mark.usefixtures("partitions")
async def test_what_a_model_was_asked_for_a_held_decision_stays(
    database: Database,
    writer: DecisionWriter,
    decision: DecisionOf,
    retention: Retention,
    query: Callable[..., Any],
    now: datetime,
) -> None:
    held = decision("pay-1", decided_at=now - LONG_AGO, status="held", hold=HOLD)
    assert held.id == decision_id("fraud", "urn:shop", "pay-1")
    await writer.record(held)
    journal = Journal(database)
    try:
        await journal.record(call(called_at=now - LONG_AGO - timedelta(seconds=9)))
    finally:
        await journal.stop()
    await retention.keep("llm_call_contents", 30, by="ada")

    [dropped] = (await retention.maintain()).dropped

    assert (dropped.partition, dropped.stay) == ("llm_call_contents_due", 1)
    assert query("SELECT whole_reply FROM whole_llm_calls") == [("approve",)]


async def test_a_partition_that_somebody_has_dropped_by_hand_is_waited_for_and_comes_back(
    writer: DecisionWriter,
    decision: DecisionOf,
    retention: Retention,
    query: Callable[..., Any],
    names: Callable[[], list[str]],
    now: datetime,
) -> None:
    query("DROP TABLE " + ", ".join(names()))
    waiting = asyncio.create_task(writer.record(decision("e-1", decided_at=now)))
    await until(writer.troubles.current)
    assert not waiting.done()

    await retention.maintain()

    async with asyncio.timeout(PATIENCE_SECONDS):
        assert await waiting is True
    assert messages(query, "e-1")[0]["value"] == {"n": 1}
    assert query("SELECT is_apart, status FROM decisions") == [(True, "committed")]


async def test_one_that_somebody_has_detached_stays_as_it_is_and_another_takes_its_place(
    writer: DecisionWriter,
    decision: DecisionOf,
    retention: Retention,
    query: Callable[..., Any],
    names: Callable[[], list[str]],
    now: datetime,
) -> None:
    [detached] = names()
    query(f"ALTER TABLE decision_contents DETACH PARTITION {detached}")

    [added] = (await retention.maintain()).added
    await writer.record(decision("e-1", decided_at=now))

    assert names() == [added]
    assert added != detached
    assert query(f"SELECT count(*) FROM {detached}") == [(0,)]
    assert messages(query, "e-1")[0]["value"] == {"n": 1}


async def test_where_there_are_decisions_already_a_way_back_is_open_for_a_day(
    writer: DecisionWriter,
    decision: DecisionOf,
    retention: Retention,
    query: Callable[..., Any],
    names: Callable[[], list[str]],
    now: datetime,
) -> None:
    query(f"DROP TABLE {', '.join(names())}; UPDATE retention SET from_at = NULL, until_at = NULL")
    await writer.record(decision("e-0", decided_at=now))

    assert len((await retention.maintain()).added) == 1

    tomorrow, in_three_days = now + timedelta(days=1), now + timedelta(days=3)
    await writer.record_all([decision("e-1", decided_at=tomorrow), decision("e-2", decided_at=in_three_days)])
    assert query("SELECT event_id, is_apart FROM decisions ORDER BY 1") == [
        ("e-0", False),
        ("e-1", False),
        ("e-2", True),
    ]


@pytest.mark.usefixtures("partitions")
async def test_a_time_between_two_partitions_is_none_that_has_one(
    writer: DecisionWriter, decision: DecisionOf, retention: Retention, query: Callable[..., Any], now: datetime
) -> None:
    query("DROP TABLE decision_contents_young")
    await retention.maintain()

    await writer.record_all([decision("e-1", decided_at=now - LATELY), decision("e-2", decided_at=now)])

    assert query("SELECT event_id, is_apart FROM decisions ORDER BY 1") == [("e-1", False), ("e-2", True)]


async def test_partitions_are_made_ahead_and_a_gap_becomes_part_of_the_next_one(
    retention: Retention, query: Callable[..., Any], names: Callable[[], list[str]]
) -> None:
    query("DROP TABLE " + ", ".join(names()))
    query(
        "CREATE TABLE decision_contents_last PARTITION OF decision_contents FOR VALUES FROM (%s) TO (%s)",
        (datetime.now(UTC) - timedelta(days=47), datetime.now(UTC) - timedelta(days=40)),
    )

    assert len((await retention.maintain()).added) == 1

    covered = (
        "SELECT max(r.until_at) = max(p.until_at), min(r.from_at) < clock_timestamp() - interval '46 days',"
        " max(p.until_at) > clock_timestamp() + interval '6 days', count(*) FROM retention AS r,"
        " content_partitions(r.name) AS p WHERE r.name = 'decision_contents'"
    )
    assert query(covered) == [(True, True, True, 2)]
    assert (await retention.maintain()).added == []
