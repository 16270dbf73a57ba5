"""The watch on PostgreSQL: it sees what is due in every lane, and reads a row for each lane however many there are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from outbox.database import Database, queries
from outbox.watch import OutboxWatch

PENDING = (
    "INSERT INTO outbox_messages (lane, message_id, topic, key, headers, committed_at) "
    "SELECT {lane}, n::text, 'payments', '', '[]', clock_timestamp() - interval '90 s' "
    "FROM generate_series(1, {rows}) AS n"
)


async def test_every_lane_with_something_pending_is_seen_with_its_oldest_message_and_its_owner(
    database: Database, query: Callable[..., Any]
) -> None:
    query(PENDING.format(lane=5, rows=3))
    query(PENDING.format(lane=63, rows=1))
    query(PENDING.format(lane=0, rows=1))
    query("UPDATE outbox_lanes SET owner = 'a', leased_until = now() + interval '1 hour' WHERE lane = 5")
    query("UPDATE outbox_lanes SET owner = 'gone', leased_until = now() - interval '1 s' WHERE lane = 63")

    pending = await OutboxWatch(database).look()

    assert [(lane.lane, lane.seq, lane.owner) for lane in pending.lanes] == [(0, 5, None), (5, 1, "a"), (63, 4, None)]
    assert all(90 <= lane.age_seconds < 3600 for lane in pending.lanes)


async def test_a_message_is_due_and_published_whatever_its_seq(
    worker: Any, database: Database, query: Callable[..., Any]
) -> None:
    for lane, seq in ((5, 0), (5, -7), (6, -(2**62))):
        query(
            "INSERT INTO outbox_messages (seq, lane, message_id, topic, key, value, headers) OVERRIDING SYSTEM VALUE"
            " VALUES (%s, %s, %s, 'payments', 'k', '', '[]')",
            (seq, lane, f"m{seq}"),
        )

    due = (await OutboxWatch(database).look()).lanes
    assert [(lane.lane, lane.seq) for lane in due] == [(5, -7), (6, -(2**62))]
    assert await worker.relay.drain() == 3
    assert query("SELECT message_id FROM outbox_messages") == []


async def test_an_empty_outbox_has_nothing_due(database: Database) -> None:
    assert (await OutboxWatch(database).look()).lanes == []


def nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes(part)


@pytest.mark.parametrize("analysed", [True, False], ids=["analysed", "not analysed"])
@pytest.mark.parametrize("lane", ["n % 64", "n % 2", "63", "0"])
async def test_a_look_reads_one_row_for_each_lane_whatever_the_backlog(
    lane: str, analysed: bool, query: Callable[..., Any]
) -> None:
    query("ALTER TABLE outbox_messages SET (autovacuum_enabled = off)")
    query(PENDING.format(lane=lane, rows=30_000))
    if analysed:
        query("ANALYZE outbox_messages")

    floors = {"lanes": list(range(64)), "floors": [0] * 64}
    [([explained],)] = query(f"EXPLAIN (ANALYZE, FORMAT JSON) {queries('relay.sql')['first_pending']}", floors)

    [read] = [node for node in nodes(explained["Plan"]) if node.get("Relation Name") == "outbox_messages"]
    assert (read["Index Name"], read["Actual Loops"]) == ("outbox_messages_by_lane", 64)
    assert read["Actual Rows"] <= 1
    assert read.get("Rows Removed by Filter", 0) == 0


async def test_the_relay_reads_no_more_of_a_long_lane_for_the_lanes_that_are_empty(query: Callable[..., Any]) -> None:
    query("ALTER TABLE outbox_messages SET (autovacuum_enabled = off)")
    query(PENDING.format(lane="5", rows=30_000))
    query("ANALYZE outbox_messages")
    parameters = {
        "lanes": list(range(64)),
        "held_up_lanes": [],
        "held_up_topics": [],
        "limit": 200,
        "lane_bytes": 1_000_000,
        "bytes": 1_000_000,
        # In front of what is read.
        "published": list(range(1, 101)),
    }

    [([explained],)] = query(f"EXPLAIN (ANALYZE, FORMAT JSON) {queries('relay.sql')['next_messages']}", parameters)

    scans = {node["Index Name"]: node for node in nodes(explained["Plan"]) if "Index Name" in node}
    assert scans.keys() == {"outbox_messages_pkey", "outbox_messages_by_lane"}
    assert "Seq Scan" not in {node["Node Type"] for node in nodes(explained["Plan"])}
    read = scans["outbox_messages_by_lane"]
    assert read["Actual Rows"] * read["Actual Loops"] <= 256
    assert read.get("Rows Removed by Filter", 0) * read["Actual Loops"] <= 164


async def test_a_look_is_not_longer_for_what_was_deleted_long_ago(
    database: Database, query: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("outbox.watch.SETTLED_SECONDS", 0.0)
    query("ALTER TABLE outbox_messages SET (autovacuum_enabled = off)")
    query(PENDING.format(lane="n % 64", rows=30_000))
    query("DELETE FROM outbox_messages")
    watch = OutboxWatch(database)
    await watch.look()

    assert set(watch.floors.values()) == {30_000}
    query(PENDING.format(lane="7", rows=1))
    assert [(lane.lane, lane.seq) for lane in (await watch.look()).lanes] == [(7, 30_001)]


async def test_what_has_left_the_outbox_is_known_up_to_what_waits_longest_and_never_to_this_moment(
    database: Database, query: Callable[..., Any]
) -> None:
    watch = OutboxWatch(database)
    assert watch.published_until is None
    before = datetime.now(UTC)
    await watch.look()
    assert watch.published_until is not None
    # What is being committed at this moment cannot be seen.
    assert before <= watch.published_until + timedelta(seconds=60) <= datetime.now(UTC)

    query(PENDING.format(lane="7", rows=1))
    query("UPDATE outbox_messages SET committed_at = clock_timestamp() - interval '1 hour'")
    await watch.look()
    assert watch.published_until < datetime.now(UTC) - timedelta(minutes=59)
