"""Which code decided: registered once, named by decisions, listed with what changed and since when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from shop_catalogue import CATALOGUE

from app.reads.codes import CodesQuery, code, codes
from app.reads.decisions import DecisionsQuery, decision, decisions
from app.reads.shapes import NotFound
from app.story.stored import own_decisions
from app.timemachine.recorded import RecordedDecisions
from outbox.approvals import Approvals
from outbox.codes import Code, register
from outbox.database import Database
from outbox.writer import DecisionWriter

NOON = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
OLD = Code(
    agent="fraud",
    version="1",
    rules_hash="aa",
    settings_hash="11",
    settings={"window": {"events": 50}, "hold": {"hours": 24.0}},
    sources={"shop.fraud.rules": "r1", "shop.fraud.signs": "s1"},
    release="0.4.0+aa811f1",
    libraries={"python": "3.11.9"},
)
NEW = replace(
    OLD,
    rules_hash="bb",
    settings_hash="22",
    settings={"window": {"events": 7}, "hold": {"hours": 24.0}},
    sources={"shop.fraud.rules": "r1", "shop.fraud.signs": "s2", "shop.fraud.more": "m1"},
)


@asynccontextmanager
async def worker(database: Database, *running: Code) -> AsyncIterator[DecisionWriter]:
    """A writer as a worker has it that runs this code; none is one of before."""
    writer = DecisionWriter(database, on_commit=lambda _lanes: None, codes=await register(database, running))
    try:
        yield writer
    finally:
        await writer.stop()


def at(minute: int) -> datetime:
    return NOON + timedelta(minutes=minute)


async def test_a_code_is_there_once_however_many_workers_start_with_it(database: Database, query: Any) -> None:
    found = await asyncio.gather(*(register(database, [OLD, NEW, replace(OLD, agent="recovery")]) for _ in range(8)))

    assert all(each == found[0] for each in found)
    assert query("SELECT count(*) FROM code_versions") == [(3,)]


async def test_the_same_code_started_again_keeps_its_number(database: Database) -> None:
    first = await register(database, [OLD])
    second = await register(database, [NEW])

    assert await register(database, [OLD]) == first
    assert await register(database, [NEW]) == second
    assert first["fraud"] < second["fraud"]


@pytest.mark.parametrize(
    "changes",
    [
        {"version": "2"},
        {"rules_hash": "cc"},
        {"settings_hash": "33"},
        {"release": "0.5.0"},
        {"libraries": {}},
        {"agent": "fraud@new"},
    ],
)
async def test_whatever_differs_is_another_code(database: Database, changes: Mapping[str, Any]) -> None:
    [one] = (await register(database, [OLD])).values()
    [other] = (await register(database, [replace(OLD, **changes)])).values()

    assert one != other


async def test_workers_of_two_versions_at_once_are_each_recorded_right(
    database: Database, decision: Callable[..., Any], query: Any
) -> None:
    async with worker(database, OLD) as old, worker(database, NEW) as new, worker(database) as before:
        await asyncio.gather(
            old.record_all([decision(f"o-{n}") for n in range(20)]),
            new.record_all([decision(f"n-{n}") for n in range(20)]),
            before.record_all([decision(f"b-{n}") for n in range(20)]),
            # Another agent's decisions do not carry the code of this one.
            new.record_all([decision(f"r-{n}", agent="recovery") for n in range(20)]),
        )

    ids = {**await register(database, [OLD]), "new": (await register(database, [NEW]))["fraud"]}
    rows = query("SELECT left(event_id, 1), code_id, count(*) FROM decisions GROUP BY 1, 2 ORDER BY 1")
    assert rows == [("b", None, 20), ("n", ids["new"], 20), ("o", ids["fraud"], 20), ("r", None, 20)]


async def test_a_worker_that_does_not_know_the_column_still_writes(
    database: Database, decision: Callable[..., Any], query: Any
) -> None:
    async with worker(database, OLD) as writer:
        await writer.record(decision("e-1"))

    query(
        "INSERT INTO decisions (id, agent, event_id, event_source, event_type, event_at, entity, entity_id, topic,"
        ' partition, "offset", history, brain, outcome, reason, confidence, messages, status, decided_at)'
        " SELECT gen_random_uuid(), agent, 'e-2', event_source, event_type, event_at, entity, entity_id, topic,"
        ' partition, "offset", history, brain, outcome, reason, confidence, messages, status, decided_at FROM decisions'
    )

    assert query("SELECT count(*) FROM decisions WHERE code_id IS NULL") == [(1,)]


@pytest.fixture
async def ids(database: Database, decision: Callable[..., Any]) -> list[int]:
    """Six decisions, a minute apart: two by nobody knows what, two by the old code, one by the new, one by the old."""
    by = [(), (), (OLD,), (OLD,), (NEW,), (OLD,)]
    for minute, running in enumerate(by):
        async with worker(database, *running) as writer:
            await writer.record(decision(f"e-{minute}", decided_at=at(minute)))
    async with worker(database) as writer:
        await writer.record(decision("x-1", agent="recovery", decided_at=at(9)))
    return [*(await register(database, [OLD])).values(), *(await register(database, [NEW])).values()]


async def test_a_list_marks_where_the_code_changed_also_across_its_pages(database: Database, ids: list[int]) -> None:
    old, new = ids
    expected = [(old, True), (new, True), (old, False), (old, True), (None, False), (None, False)]

    whole = await decisions(database, DecisionsQuery(agent="fraud"))
    assert [(each.code, each.is_other_code) for each in whole.decisions] == expected

    found: list[tuple[int | None, bool]] = []
    before = None
    while len(found) < len(expected):
        page = await decisions(database, DecisionsQuery(agent="fraud", limit=1, before=before))
        found += [(each.code, each.is_other_code) for each in page.decisions]
        before = page.next
    assert found == expected


async def test_decisions_are_found_by_the_code_that_made_them(database: Database, ids: list[int]) -> None:
    old, new = ids

    async def events(code_id: int) -> list[str]:
        return [each.event_id for each in (await decisions(database, DecisionsQuery(code=code_id))).decisions]

    assert await events(old) == ["e-5", "e-3", "e-2"]
    assert await events(new) == ["e-4"]
    assert await events(new + 1000) == []


async def test_a_code_says_its_first_and_last_decision_and_what_changed(database: Database, ids: list[int]) -> None:
    old, new = ids
    [never] = (await register(database, [replace(OLD, agent="recovery")])).values()

    page = await codes(database, CodesQuery())

    assert [each.id for each in page.codes] == [never, new, old]
    [recovery, later, earlier] = page.codes
    assert (earlier.first_decision_at, earlier.last_decision_at) == (at(2), at(5))
    assert (later.first_decision_at, later.last_decision_at) == (at(4), at(4))
    assert (recovery.first_decision_at, recovery.last_decision_at) == (None, None)
    assert (later.previous, later.changed) == (old, ["rules", "settings"])
    assert later.changed_names == ["shop.fraud.more", "shop.fraud.signs", "window"]
    assert (earlier.previous, earlier.changed, earlier.changed_names) == (None, [], [])
    assert [each.id for each in (await codes(database, CodesQuery(agent="fraud", limit=1))).codes] == [new]
    assert [each.id for each in (await codes(database, CodesQuery(agent="fraud", before=new))).codes] == [old]
    assert (await code(database, new)) == later
    with pytest.raises(NotFound):
        await code(database, never + 1000)


async def test_a_decision_shows_what_it_was_decided_by(database: Database, ids: list[int]) -> None:
    [found] = (await decisions(database, DecisionsQuery(code=ids[1]))).decisions

    shown = await decision(database, Approvals(database, effects={}, on_commit=lambda _lanes: None), found.id)

    assert shown.decided_by is not None
    assert (shown.decided_by.rules_hash, shown.decided_by.settings) == ("bb", NEW.settings)


@pytest.mark.usefixtures("ids")
async def test_stories_and_replays_know_the_code(database: Database) -> None:
    told = await own_decisions(database, "customer", "customer-1", before=None, limit=10)
    assert sorted(each.code.rules_hash for each in told if each.code) == ["aa", "aa", "aa", "bb"]
    assert sum(each.code is None for each in told) == 3

    recorded = RecordedDecisions(database, CATALOGUE.types)
    found = await recorded.about("fraud", "urn:shop", "e-4")
    assert found is not None
    assert found.code is not None
    assert (found.code.rules_hash, found.code.settings, found.code.libraries) == ("bb", NEW.settings, NEW.libraries)
    unknown = await recorded.about("fraud", "urn:shop", "e-1")
    assert unknown is not None
    assert unknown.code is None
