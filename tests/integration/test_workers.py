"""What workers say of themselves, on a real database: one row each, in place, by the database's clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from app.reads.shapes import NotFound
from app.reads.workers import WorkersQuery, workers
from app.worker.status import PartitionStatus, WorkerStatus
from outbox.database import Database
from outbox.leases import LaneLeases
from outbox.workers import Worker, announce, say_goodbye

AT = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
ONE = Worker(
    name="host:1:aa",
    kind="live",
    agent_set="all",
    agents=("fraud", "recovery"),
    release="0.1.0",
    address="http://127.0.0.1:6066",
    started_at=AT,
)
STATUS = WorkerStatus(
    partitions={"timeline-order": "0-2", "payments": "1"},
    timelines=("timeline-order",),
    timeline_partitions=3,
    moving=(PartitionStatus(topic="timeline-order", partition=1, position=7, end=9, moved_at=AT, behind_since=AT),),
    in_flight=2,
    oldest_in_flight_at=AT,
    checks={"outbox": "ok", "lag": "timeline-order[1] is 700 s behind"},
    failing_since={"lag": AT},
    held_up={"payments": "UnknownTopicOrPartitionError"},
)
#: By seconds, so that no test waits for a clock.
AGO = "UPDATE workers SET seen_at = clock_timestamp() - make_interval(secs => {}) WHERE name = '{}'"


async def said(database: Database, *names: str, **more: Any) -> None:
    for name in names:
        await announce(database, replace(ONE, name=name, **more), STATUS.model_dump_json())


async def test_what_a_worker_says_is_told_as_it_was_said(database: Database) -> None:
    await announce(database, ONE, STATUS.model_dump_json())

    [told] = (await workers(database, WorkersQuery())).workers

    assert told.model_dump(exclude={"seen_at"}) == {
        "name": "host:1:aa",
        "kind": "live",
        "agent_set": "all",
        "agents": ["fraud", "recovery"],
        "release": "0.1.0",
        "address": "http://127.0.0.1:6066",
        "status": "alive",
        "started_at": AT,
        "stopped_at": None,
        "lanes": [],
        "topics": [
            {"topic": "payments", "partitions": [1]},
            {"topic": "timeline-order", "partitions": [0, 1, 2]},
        ],
        "partitions": [
            {
                "topic": "timeline-order",
                "partition": 1,
                "position": 7,
                "end": 9,
                "lag": 2,
                "moved_at": AT,
                "behind_since": AT,
            }
        ],
        "left_out": 0,
        "in_flight": 2,
        "oldest_in_flight_at": AT,
        "checks": {"outbox": "ok", "lag": "timeline-order[1] is 700 s behind"},
        "failing_since": {"lag": AT},
        "held_up": {"payments": "UnknownTopicOrPartitionError"},
    }


async def test_whether_anything_is_stuck_is_told_over_all_workers_whatever_is_filtered(
    database: Database, query: Callable[..., Any]
) -> None:
    await said(database, "a")
    await said(database, "b", agent_set="gone", agents=("incident",))
    query(AGO.format(3600, "b"))

    found = await workers(database, WorkersQuery(agent="nobody"))

    assert found.workers == []
    [nobody, late] = found.stuck
    assert nobody.startswith("nobody runs incident: b of the set gone has been silent since 20")
    assert late == "lag: timeline-order[1] is 700 s behind, says a of the set all"


async def test_the_lanes_of_a_worker_are_those_whose_leases_hold(database: Database, query: Callable[..., Any]) -> None:
    await said(database, "a", "b")
    await LaneLeases(database, "a").renew()
    query("UPDATE outbox_lanes SET leased_until = clock_timestamp() - interval '1 second' WHERE lane > 1")

    lanes = {one.name: one.lanes for one in (await workers(database, WorkersQuery())).workers}

    assert lanes == {"a": [0, 1], "b": []}


async def test_who_says_nothing_is_silent_and_who_said_goodbye_has_stopped(
    database: Database, query: Callable[..., Any]
) -> None:
    await said(database, "alive", "silent", "stopped")
    query(AGO.format(21, "silent"))
    await say_goodbye(database, "stopped")

    found = (await workers(database, WorkersQuery())).workers

    assert [(one.name, one.status, one.stopped_at is None) for one in found] == [
        ("alive", "alive", True),
        ("silent", "silent", True),
        ("stopped", "stopped", False),
    ]


async def test_a_worker_that_is_heard_of_again_is_alive(database: Database) -> None:
    await said(database, "a")
    await say_goodbye(database, "a")
    await said(database, "a")

    [told] = (await workers(database, WorkersQuery())).workers
    assert (told.status, told.stopped_at) == ("alive", None)


async def test_a_worker_is_forgotten_a_day_after_it_was_heard_of_last(
    database: Database, query: Callable[..., Any]
) -> None:
    await said(database, "gone", "going")
    query(AGO.format(24 * 3600 + 1, "gone"))
    query(AGO.format(24 * 3600 - 60, "going"))

    await said(database, "a")

    assert [one.name for one in (await workers(database, WorkersQuery())).workers] == ["a", "going"]


async def test_workers_are_told_of_page_by_page(database: Database, query: Callable[..., Any]) -> None:
    await said(database, "a", "b", "c")
    for seconds, name in enumerate("abc", 1):
        query(AGO.format(seconds, name))

    first = await workers(database, WorkersQuery(limit=2))
    second = await workers(database, WorkersQuery(limit=2, before=first.next))

    assert ([one.name for one in first.workers], first.next) == (["a", "b"], "b")
    assert ([one.name for one in second.workers], second.next) == (["c"], None)
    with pytest.raises(NotFound, match="no worker d"):
        await workers(database, WorkersQuery(before="d"))


async def test_what_another_version_says_shows_what_is_known_of_it(
    database: Database, query: Callable[..., Any]
) -> None:
    await announce(database, ONE, '{"in_flight": "many"}')

    [told] = (await workers(database, WorkersQuery())).workers
    assert (told.name, told.agents, told.in_flight, told.checks) == ("host:1:aa", ["fraud", "recovery"], 0, {})


async def test_a_worker_with_nothing_to_say_that_is_new_writes_next_to_nothing(
    database: Database, query: Callable[..., Any]
) -> None:
    moving = tuple(
        PartitionStatus(
            topic=f"timeline-{entity}", partition=number, position=number * 31, end=number * 31, moved_at=AT
        )
        for entity in ("customer", "order", "service")
        for number in range(33)
    )
    state = STATUS.model_copy(update={"moving": moving}).model_dump_json()
    # The first write of a page after a checkpoint holds all of it.
    await asyncio.to_thread(query, "CHECKPOINT")
    await announce(database, ONE, state)
    await announce(database, ONE, state)
    [(before,)] = query("SELECT pg_current_wal_insert_lsn()::text")

    for _ in range(20):
        await announce(database, ONE, state)

    [(written,)] = query(f"SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '{before}')::bigint")
    assert written / 20 < 1000
    assert query("SELECT count(*) FROM workers") == [(1,)]
