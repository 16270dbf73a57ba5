"""Expectations on PostgreSQL: written with their decision, called missed once, and only when everything is known."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import orjson
import pytest
from fakes import NOON
from refunding import refund
from shop_catalogue import TYPES
from stories import captured, happened
from waiting import PATIENCE_SECONDS

from agents.engine.shadow import Shadow, ShadowWriter
from agents.model.agent import Agent
from agents.shop.events import FulfilmentRequested, OrderCancelled
from agents.shop.fulfilment import fulfilment
from app.reads.expectations import ExpectationsQuery, expectations
from app.reads.shapes import NotFound
from app.worker.misses import LATE_ROUNDS, PATIENCE, Misses
from app.worker.progress import Place
from outbox.chains import ChainLimits
from outbox.database import Database
from outbox.errors import Echo
from outbox.expectations import Expectations
from outbox.records import DecisionRecord, Expected, Hold, Origin
from outbox.writer import DecisionWriter
from tables.event import Event, to_json
from tables.window import Entry

HOUR = timedelta(hours=1)
#: A payment of order o-1, 100 minutes before noon.
PAID = captured("pay", 100)
DUE_AT = PAID.time + HOUR
PLACE = ("timeline-order", 2)
STATES = "SELECT event_id, state FROM expectations ORDER BY event_id"
TOLD = "SELECT convert_from(value, 'UTF8') FROM outbox_messages WHERE topic = 'recovery' ORDER BY seq"

Query = Callable[..., Any]


@pytest.fixture
def paid(decision: Callable[..., DecisionRecord]) -> Callable[..., DecisionRecord]:
    """The decision of `fulfilment` on a payment, after which the order is to be requested within an hour."""

    def build(event: Event = PAID, **changes: Any) -> DecisionRecord:
        record = decision(
            event.id,
            agent="fulfilment",
            event_source=event.source,
            event_at=event.time,
            entity="order",
            entity_id="o-1",
            origin=Origin(topic=PLACE[0], partition=PLACE[1], offset=7, at=event.time),
            outcome="waiting",
            messages=(),
            expected=(Expected(name="shipped", due_at=event.time + HOUR),),
        )
        return replace(record, **changes)

    return build


@dataclass
class Windows:
    """What one agent remembers of order o-1."""

    events: list[Event]

    def read(self, partition: int, entity: str) -> Sequence[Entry]:
        assert (partition, entity) == (PLACE[1], "o-1")
        return [Entry(seq, seq, each.time, each.id, to_json(each)) for seq, each in enumerate(self.events)]


@dataclass
class Worker:
    """A worker with one partition, that has decided on everything published until `reached`."""

    database: Database
    events: list[Event] = field(default_factory=lambda: [PAID])
    reached: Any = NOON + HOUR
    generation: int | None = 1
    assigned: Collection[Place] = (PLACE,)
    agent: Agent = fulfilment

    def __post_init__(self) -> None:
        self.windows = Windows(self.events)
        self.kicked: list[set[int]] = []
        self.expectations = Expectations(self.database, on_commit=lambda lanes: self.kicked.append(set(lanes)))
        self.misses = Misses(
            [self],
            self.expectations,
            types=TYPES,
            assignment=lambda: self.generation,
            decided_until=lambda places: self.reached if list(places) == list(self.assigned) else None,
        )

    async def round(self) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.misses.round()

    async def look_for_what_came_late(self) -> None:
        for _ in range(LATE_ROUNDS):
            await self.round()


@pytest.fixture
def worker(database: Database) -> Worker:
    return Worker(database)


def requested(minutes: float, event_id: str = "request") -> Event:
    return happened(FulfilmentRequested, event_id, minutes)


async def test_what_is_expected_is_written_in_the_transaction_of_the_decision(
    writer: DecisionWriter, paid: Callable[..., Any], query: Query
) -> None:
    await writer.record(paid())

    assert query("SELECT name, agent, entity, entity_id, event_at, partition, due_at, state FROM expectations") == [
        ("shipped", "fulfilment", "order", "o-1", PAID.time, 2, DUE_AT, "open")
    ]
    assert query("SELECT count(DISTINCT xmin) FROM (SELECT xmin::text FROM decisions "
                 "UNION ALL SELECT xmin::text FROM expectations) AS rows") == [(1,)]  # fmt: skip


async def test_a_decision_that_comes_again_expects_nothing_a_second_time(
    writer: DecisionWriter, paid: Callable[..., Any], query: Query, worker: Worker
) -> None:
    worker.events.append(requested(80))
    await writer.record(paid())
    await worker.round()
    assert await writer.record(paid()) is False
    assert query(STATES) == []


async def test_a_decision_that_waits_for_a_person_or_whose_effects_are_refused_expects_it_too(
    writer: DecisionWriter, paid: Callable[..., Any], query: Query, message: Callable[..., Any]
) -> None:
    hold = Hold(reason="review", expires_in=timedelta(days=1))
    await writer.record(paid(captured("held", 100), status="held", hold=hold))
    # More than was captured.
    too_much = (refund(1, amount_minor=6000),)
    await writer.record(paid(captured("refused", 100), effects=too_much, otherwise=(message("m-otherwise"),)))
    assert query("SELECT event_id, status FROM decisions ORDER BY event_id") == [
        ("held", "held"), ("refused", "rejected"),
    ]  # fmt: skip
    assert query(STATES) == [("held", "open"), ("refused", "open")]


async def test_what_went_too_far_and_what_a_shadow_decides_expect_nothing(
    database: Database, writer: DecisionWriter, paid: Callable[..., Any], message: Callable[..., Any], query: Query
) -> None:
    await ShadowWriter(Shadow("v2"), writer).record(paid())
    limited = DecisionWriter(database, on_commit=lambda _lanes: None, limits=ChainLimits(decisions=1))
    try:
        with pytest.raises(Echo):
            await limited.record(paid(captured("far", 100), chain_depth=5, messages=(message("m-far"),)))
    finally:
        await limited.stop()
    assert query("SELECT status FROM decisions ORDER BY status") == [("refused",), ("shadow",)]
    assert query(STATES) == []


async def test_many_that_expect_something_share_a_transaction(
    writer: DecisionWriter, paid: Callable[..., Any], query: Query
) -> None:
    await writer.record_all([paid(captured(f"pay-{n}", 100)) for n in range(20)])
    assert query("SELECT count(*), count(DISTINCT xmin::text) FROM expectations") == [(20, 1)]


async def test_what_did_not_happen_is_told_once_however_many_look(
    database: Database, writer: DecisionWriter, paid: Callable[..., Any], query: Query
) -> None:
    await writer.record_all([paid(captured(f"pay-{n}", 100)) for n in range(30)])
    workers = [Worker(database, [captured(f"pay-{n}", 100) for n in range(30)]) for _ in range(3)]

    await asyncio.gather(*[each.round() for each in workers])
    await asyncio.gather(*[each.round() for each in workers])

    assert query("SELECT state, count(*) FROM expectations GROUP BY state") == [("missed", 30)]
    told = [orjson.loads(value) for (value,) in query(TOLD)]
    assert sorted(event["data"]["begun_by"] for event in told) == sorted(f"pay-{n}" for n in range(30))
    assert sorted(event["id"] for event in told) == [
        one for (one,) in query("SELECT id::text FROM expectations ORDER BY 1")
    ]
    assert len({event["id"] for event in told}) == 30
    assert sum(sum(each.expectations.counts.counts().values()) for each in workers) == 30
    assert all(lanes for each in workers for lanes in each.kicked)


async def test_what_happened_in_time_is_removed_and_nobody_is_told(
    writer: DecisionWriter, paid: Callable[..., Any], query: Query, worker: Worker
) -> None:
    await writer.record(paid())
    worker.events.append(requested(50))
    await worker.round()
    assert (query(STATES), query(TOLD)) == ([], [])


async def test_nothing_is_judged_before_all_of_a_while_after_it_was_due_is_decided(
    writer: DecisionWriter, paid: Callable[..., Any], query: Query, worker: Worker
) -> None:
    await writer.record(paid())
    for reached in (None, DUE_AT, DUE_AT + PATIENCE - timedelta(seconds=1)):
        worker.reached = reached
        await worker.round()
        assert query(STATES) == [("pay", "open")]
    worker.reached = DUE_AT + PATIENCE
    await worker.round()
    assert query(STATES) == [("pay", "missed")]


async def test_nothing_is_judged_while_partitions_are_shared_out_or_by_whoever_has_lost_them(
    writer: DecisionWriter, paid: Callable[..., Any], query: Query, worker: Worker
) -> None:
    await writer.record(paid())
    worker.generation = None
    await worker.round()
    worker.generation, worker.assigned = 2, (("timeline-order", 1),)
    await worker.round()
    assert query(STATES) == [("pay", "open")]


async def test_what_is_lost_while_a_page_is_read_is_left_to_its_new_owner(
    writer: DecisionWriter, paid: Callable[..., Any], query: Query, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    await writer.record(paid())
    found = worker.expectations.due

    async def due(*asked: Any, **more: Any) -> AsyncIterator[Any]:
        async for page in found(*asked, **more):
            worker.generation = 2
            yield page

    monkeypatch.setattr(worker.expectations, "due", due)
    await worker.round()
    assert query(STATES) == [("pay", "open")]


async def test_what_comes_after_the_miss_is_said_to_be_late_and_takes_nothing_back(
    writer: DecisionWriter, paid: Callable[..., Any], query: Query, worker: Worker
) -> None:
    await writer.record_all([paid()])
    await worker.round()
    told = query(TOLD)
    # By its time it happened before it was due: it comes late all the same.
    worker.events.append(requested(60))
    await worker.look_for_what_came_late()

    assert query("SELECT state, ended_by, ended_at, missed_at IS NOT NULL FROM expectations") == [
        ("met_late", "request", requested(60).time, True)
    ]
    assert query(TOLD) == told
    assert len(told) == 1


async def test_what_happened_too_late_and_was_read_before_the_miss_was_called_is_a_miss_that_was_met_late(
    writer: DecisionWriter, paid: Callable[..., Any], query: Query, worker: Worker
) -> None:
    await writer.record(paid())
    worker.events.append(requested(5))
    await worker.round()
    assert query(STATES) == [("pay", "met_late")]
    assert len(query(TOLD)) == 1


async def test_an_order_that_is_called_off_after_the_miss_is_void_late(
    writer: DecisionWriter, paid: Callable[..., Any], query: Query, worker: Worker
) -> None:
    await writer.record(paid())
    await worker.round()
    worker.events.append(happened(OrderCancelled, "off", 1, reason="changed their mind"))
    await worker.look_for_what_came_late()
    assert query(STATES) == [("pay", "void_late")]


async def test_what_is_remembered_no_more_is_called_unknown_and_nobody_is_told(
    writer: DecisionWriter, paid: Callable[..., Any], query: Query, worker: Worker
) -> None:
    await writer.record(paid())
    worker.events[:] = [requested(110)]
    await worker.round()
    assert (query(STATES), query(TOLD)) == ([("pay", "unknown")], [])


async def test_what_is_told_of_a_miss_takes_its_lane_before_its_row(
    database: Database, writer: DecisionWriter, paid: Callable[..., Any], query: Query
) -> None:
    """As the writer does: a decision that has the lane may wait for nothing that waits for the lane."""
    await writer.record(paid())
    one, other = Worker(database), Worker(database)
    async with database.transaction() as transaction:
        await transaction.run("SELECT pg_advisory_xact_lock(729465, lane) FROM generate_series(0, 63) AS lane")
        waiting = [asyncio.create_task(each.round()) for each in (one, other)]
        await asyncio.sleep(0.2)
        # The row is free while they wait for the lane.
        await transaction.run("SELECT FROM expectations FOR UPDATE NOWAIT")
    async with asyncio.timeout(PATIENCE_SECONDS):
        await asyncio.gather(*waiting)
    assert query(STATES) == [("pay", "missed")]
    assert len(query(TOLD)) == 1


async def test_while_postgresql_is_away_it_waits(
    database: Database, writer: DecisionWriter, paid: Callable[..., Any], query: Query, worker: Worker
) -> None:
    await writer.record(paid())
    query("ALTER TABLE expectations RENAME TO elsewhere")
    await worker.round()
    query("ALTER TABLE elsewhere RENAME TO expectations")
    await worker.round()
    assert query(STATES) == [("pay", "missed")]


async def test_they_are_listed_by_when_they_were_due_a_page_at_a_time(
    database: Database, writer: DecisionWriter, paid: Callable[..., Any], worker: Worker
) -> None:
    for minutes in (100, 90, 80):
        await writer.record(paid(captured(f"pay-{minutes}", minutes)))
    worker.events[:] = [captured("pay-100", 100)]
    worker.reached = NOON - timedelta(minutes=39)
    await worker.round()

    first = await expectations(database, ExpectationsQuery(limit=2))
    assert [(one.event_id, one.state) for one in first.expectations] == [("pay-80", "open"), ("pay-90", "open")]
    second = await expectations(database, ExpectationsQuery(limit=2, before=first.next))
    assert [(one.event_id, one.state) for one in second.expectations] == [("pay-100", "missed")]
    assert second.next is None

    missed = await expectations(database, ExpectationsQuery(state="missed", entity_id="o-1"))
    assert [one.event_id for one in missed.expectations] == ["pay-100"]
    assert (await expectations(database, ExpectationsQuery(entity_id="o-2"))).expectations == []
    with pytest.raises(NotFound, match="no expectation"):
        await expectations(database, ExpectationsQuery(before="00000000-0000-5000-8000-000000000000"))


async def test_the_command_lists_what_the_http_interface_lists(
    typed: Callable[..., Any], database: Database, writer: DecisionWriter, paid: Callable[..., Any]
) -> None:
    await writer.record(paid(entity_id="o-1\x1b[2J"))

    code, output, _ = await typed("expectations", "--state", "open", "--json")
    listed = await expectations(database, ExpectationsQuery(state="open"))
    assert (code, orjson.loads(output)) == (0, orjson.loads(listed.model_dump_json()))

    code, output, _ = await typed("expectations")
    assert code == 0
    assert "shipped" in output
    assert "\x1b" not in output
