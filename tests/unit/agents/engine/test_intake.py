"""Intake: records wait for a partition that has more, not for ever, and what was not handed out is never committed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import IllegalStateError, TopicAuthorizationFailedError

from agents.engine.intake import Intake

ORDERS, PLATFORM = TopicPartition("orders", 0), TopicPartition("platform", 0)


@dataclass(frozen=True)
class Record:
    offset: int
    timestamp: int
    key: bytes | None = None
    value: bytes | None = b"{}"
    headers: tuple[tuple[str, bytes | None], ...] = ()


@dataclass
class Consumer:
    """aiokafka's consumer as the intake sees it: what was fetched is in `fetched`, and time passes only in polls."""

    fetched: dict[TopicPartition, list[Record]] = field(default_factory=dict)
    ends: dict[TopicPartition, int | None] = field(default_factory=lambda: {ORDERS: 0, PLATFORM: 0})
    positions: dict[TopicPartition, int] = field(default_factory=lambda: {ORDERS: 0, PLATFORM: 0})
    #: Where the first open transaction begins, where it is known.
    stable: dict[TopicPartition, int] = field(default_factory=dict)
    #: Topics that may not be read; aiokafka holds the error of each partition until somebody has seen it.
    denied: set[str] = field(default_factory=set)
    now: float = 0.0
    #: Called while a position is looked up.
    meanwhile: Callable[[], None] | None = None
    #: The partition whose position has to be looked up at a broker that does not answer.
    unknown: TopicPartition | None = None
    paused: set[TopicPartition] = field(default_factory=set)
    #: What each poll waited at most, in milliseconds.
    waits: list[int] = field(default_factory=list)

    def clock(self) -> float:
        return self.now

    def assignment(self) -> frozenset[TopicPartition]:
        return frozenset(self.positions)

    def highwater(self, place: TopicPartition) -> int | None:
        return self.ends[place]

    def last_stable_offset(self, place: TopicPartition) -> int | None:
        return self.stable.get(place)

    async def position(self, place: TopicPartition) -> int:
        if self.meanwhile is not None:
            self.meanwhile()
        if place == self.unknown:
            await asyncio.Event().wait()
        return self.positions[place]

    def pause(self, place: TopicPartition) -> None:
        if place not in self.positions:
            raise IllegalStateError(place)
        self.paused.add(place)

    def resume(self, place: TopicPartition) -> None:
        self.paused.discard(place)

    def seek(self, place: TopicPartition, offset: int) -> None:
        self.positions[place] = offset
        self.fetched.pop(place, None)

    async def getmany(self, *places: Any, timeout_ms: int, max_records: int) -> Mapping[TopicPartition, list[Record]]:
        self.waits.append(timeout_ms)
        given: dict[TopicPartition, list[Record]] = {}
        for place in places or sorted(self.positions):
            if place.topic in self.denied:
                raise TopicAuthorizationFailedError(place.topic)
            there = self.fetched.get(place, [])
            records, self.fetched[place] = there[:max_records], there[max_records:]
            max_records -= len(records)
            if records:
                given[place] = records
                self.positions[place] = records[-1].offset + 1
        if not given:
            self.now += timeout_ms / 1000
        return given

    def has(self, place: TopicPartition, *timestamps: int, end: int | None = None) -> None:
        """Let records be fetched, with offsets that go on where the partition was read to."""
        first = self.positions[place]
        self.fetched[place] = [Record(first + n, stamp) for n, stamp in enumerate(timestamps)]
        self.ends[place] = first + len(timestamps) if end is None else end


@pytest.fixture
def consumer() -> Consumer:
    return Consumer()


@pytest.fixture
def intake(consumer: Consumer) -> Intake:
    return Intake(consumer, clock=consumer.clock)


async def read(intake: Intake) -> list[int]:
    """The timestamps of what one read hands out."""
    return [record.timestamp for record in (await intake.read())[0]]


async def test_while_all_partitions_are_read_to_their_ends_nobody_waits(consumer: Consumer, intake: Intake) -> None:
    consumer.has(PLATFORM, 30)
    assert await read(intake) == [30]
    consumer.has(ORDERS, 10, 40)
    consumer.has(PLATFORM, 20)
    assert await read(intake) == [10, 20, 40]
    assert consumer.now == 0.0


async def test_what_is_newer_waits_for_a_partition_that_has_more(consumer: Consumer, intake: Intake) -> None:
    consumer.has(PLATFORM, 30)
    consumer.has(ORDERS, end=1)
    assert await read(intake) == []
    consumer.has(ORDERS, 10)
    assert await read(intake) == [10, 30]


async def test_a_partition_that_was_never_fetched_is_waited_for(consumer: Consumer, intake: Intake) -> None:
    consumer.has(PLATFORM, 30)
    consumer.ends[ORDERS] = None
    assert await read(intake) == []
    consumer.has(ORDERS, 10)
    assert await read(intake) == [10, 30]


async def test_a_partition_that_delivers_nothing_stops_the_others_for_two_seconds_and_once(
    consumer: Consumer, intake: Intake, caplog: pytest.LogCaptureFixture
) -> None:
    consumer.has(ORDERS, end=1)
    consumer.has(PLATFORM, 30)
    while not (handed_out := await read(intake)):
        assert consumer.now < 10
    assert handed_out == [30]
    assert consumer.now == pytest.approx(2.0, abs=0.1)
    consumer.now = 100.0
    consumer.has(PLATFORM, 40)
    assert await read(intake) == [40]
    assert consumer.now == 100.0
    assert [record.getMessage() for record in caplog.records] == [
        "orders/0 has more records, but none comes: the router goes on without it"
    ]


async def test_time_that_was_not_spent_polling_is_nobodys_delay(consumer: Consumer, intake: Intake) -> None:
    consumer.has(ORDERS, end=1)
    consumer.has(PLATFORM, 30)
    assert await read(intake) == []
    consumer.now = 100.0
    assert await read(intake) == []


async def test_a_partition_that_delivers_again_is_waited_for_again(consumer: Consumer, intake: Intake) -> None:
    consumer.has(ORDERS, end=1)
    consumer.has(PLATFORM, 30)
    while not await read(intake):
        assert consumer.now < 10
    consumer.has(ORDERS, 10, end=2)
    consumer.has(PLATFORM, 40)
    assert await read(intake) == [10]
    assert await read(intake) == []
    consumer.has(ORDERS, 20)
    assert await read(intake) == [20, 40]


async def test_only_what_was_handed_out_is_committed(consumer: Consumer, intake: Intake) -> None:
    consumer.has(ORDERS, 10, end=2)
    consumer.has(PLATFORM, 5, 30, 35)
    records, offsets = await intake.read()
    assert [record.timestamp for record in records] == [5, 10]
    assert offsets == {ORDERS: 1, PLATFORM: 1}


async def test_what_is_no_record_is_committed_when_all_before_it_was_handed_out(
    consumer: Consumer, intake: Intake
) -> None:
    consumer.has(ORDERS, 10)
    consumer.positions[PLATFORM] = consumer.ends[PLATFORM] = 7  # the marker of a transaction was at 6
    assert (await intake.read())[1] == {ORDERS: 1, PLATFORM: 7}


async def test_a_large_backlog_of_one_partition_does_not_hide_the_others(consumer: Consumer, intake: Intake) -> None:
    consumer.has(ORDERS, *range(0, 2400, 2))
    consumer.has(PLATFORM, *range(1, 2401, 2))
    seen: list[int] = []
    while len(seen) < 2400:
        seen += await read(intake)
        assert consumer.now == 0.0
    assert seen == list(range(2400))


async def test_what_is_left_of_a_poll_comes_without_waiting(consumer: Consumer, intake: Intake) -> None:
    consumer.has(ORDERS, *range(500))
    consumer.has(PLATFORM, *range(500, 1000))
    assert await read(intake) == []
    assert await read(intake) == list(range(500))
    assert await read(intake) == list(range(500, 1000))
    assert consumer.waits == [1000, 50, 0]


async def test_while_every_partition_has_records_none_is_asked(consumer: Consumer, intake: Intake) -> None:
    consumer.has(ORDERS, *range(0, 2400, 2))
    consumer.has(PLATFORM, *range(1, 2401, 2))
    assert await read(intake) == []
    assert await read(intake) == list(range(500))
    assert await read(intake) == list(range(500, 999))  # the next of `orders` may be older than 999
    assert consumer.waits == [1000, 50]


async def test_a_partition_is_asked_for_more_only_when_it_has_nothing_left(consumer: Consumer, intake: Intake) -> None:
    consumer.has(ORDERS, *range(1000), end=1000)
    consumer.has(PLATFORM, end=1)
    for _ in range(5):
        assert await read(intake) == []
    assert len(consumer.fetched[ORDERS]) == 500


async def test_a_rebalance_drops_what_was_not_handed_out(consumer: Consumer, intake: Intake) -> None:
    consumer.has(PLATFORM, 30)
    consumer.has(ORDERS, end=1)
    assert await read(intake) == []
    intake.on_partitions_revoked([ORDERS, PLATFORM])
    consumer.positions = {ORDERS: 0}
    consumer.has(ORDERS, 40)
    records, offsets = await intake.read()
    assert [record.timestamp for record in records] == [40]
    assert offsets == {ORDERS: 1}


async def test_a_rebalance_at_any_moment_commits_nothing_that_was_dropped(consumer: Consumer, intake: Intake) -> None:
    consumer.has(ORDERS, 10)
    consumer.has(PLATFORM, 30)
    consumer.meanwhile = lambda: intake.on_partitions_revoked([ORDERS, PLATFORM])
    assert (await intake.read())[0] == []


async def test_a_position_that_is_not_known_is_not_waited_for(consumer: Consumer, intake: Intake) -> None:
    consumer.has(PLATFORM, 30)
    consumer.unknown = ORDERS
    while not (handed_out := await intake.read())[0]:
        assert consumer.now < 10
    assert handed_out[1] == {PLATFORM: 1}


async def test_after_a_rebalance_every_partition_is_waited_for_anew(consumer: Consumer, intake: Intake) -> None:
    consumer.has(ORDERS, end=1)
    consumer.has(PLATFORM, 30)
    while not await read(intake):
        assert consumer.now < 10
    intake.on_partitions_revoked([ORDERS, PLATFORM])
    consumer.has(PLATFORM, 40)
    assert await read(intake) == []


async def test_while_nothing_is_there_a_poll_may_take_long_and_while_records_wait_it_may_not(
    consumer: Consumer, intake: Intake
) -> None:
    assert await read(intake) == []
    consumer.has(PLATFORM, 30)
    consumer.has(ORDERS, end=1)
    assert await read(intake) == []
    assert await read(intake) == []
    assert consumer.waits == [1000, 1000, 50]


async def test_an_open_transaction_holds_nobody_up(consumer: Consumer, intake: Intake) -> None:
    consumer.has(PLATFORM, 30)
    consumer.ends[ORDERS], consumer.stable[ORDERS] = 5, 0

    assert await read(intake) == [30]
    assert consumer.now == 0.0


async def test_what_is_before_an_open_transaction_is_waited_for(consumer: Consumer, intake: Intake) -> None:
    consumer.has(PLATFORM, 30)
    consumer.ends[ORDERS], consumer.stable[ORDERS] = 5, 1
    assert await read(intake) == []
    consumer.has(ORDERS, 10, end=5)
    assert await read(intake) == [10, 30]


async def test_a_topic_that_may_not_be_read_stops_no_other_and_is_asked_for_again(
    consumer: Consumer, intake: Intake, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    consumer.denied = {"orders"}
    consumer.has(ORDERS, 10)
    consumer.has(PLATFORM, 30)
    while not (handed_out := await intake.read())[0]:
        assert consumer.now < 10
    assert handed_out[1] == {PLATFORM: 1}  # committing an offset of a denied topic would be refused

    for _ in range(3):  # what comes meanwhile is routed at once, and nothing is logged again
        consumer.now += 2.0
        consumer.has(PLATFORM, 40)
        while not await read(intake):
            assert consumer.now < 40

    consumer.denied.clear()
    consumer.now += 10.0
    while not (handed_out := await intake.read())[0]:
        assert consumer.now < 60
    assert handed_out[1][ORDERS] == 1
    assert [record.getMessage().partition(":")[0] for record in caplog.records if "read" in record.getMessage()] == [
        "orders cannot be read, the other topics go on without it",
        "orders is read again",
    ]


async def test_what_is_handed_out_at_once_is_bounded_by_bytes(consumer: Consumer, intake: Intake) -> None:
    consumer.has(ORDERS, 10, 20, 30)
    consumer.fetched[ORDERS] = [
        Record(each.offset, each.timestamp, value=b"x" * 3_000_000) for each in consumer.fetched[ORDERS]
    ]

    assert [await read(intake) for _ in range(3)] == [[10], [20], [30]]


async def test_with_too_many_bytes_held_nothing_more_is_fetched_and_nobody_is_waited_for(
    consumer: Consumer, intake: Intake
) -> None:
    consumer.has(PLATFORM, *range(20), end=25)
    consumer.fetched[PLATFORM] = [
        Record(each.offset, each.timestamp, value=b"x" * 3_000_000) for each in consumer.fetched[PLATFORM]
    ]
    consumer.has(ORDERS, end=1)

    assert await read(intake) == [0]  # `orders` has more, and would be waited for
    consumer.has(ORDERS, 5)
    asked = len(consumer.waits)
    assert await read(intake) == [1]
    assert len(consumer.waits) == asked


async def test_a_record_of_the_future_does_not_hold_its_partition_back(consumer: Consumer) -> None:
    intake = Intake(consumer, clock=consumer.clock, wall_clock=lambda: 0.025)
    consumer.has(ORDERS, 10**15, 40)
    consumer.has(PLATFORM, 10, 20, 30)
    assert await read(intake) == [10, 20, 10**15, 40, 30]


async def test_a_record_without_a_timestamp_comes_first(consumer: Consumer, intake: Intake) -> None:
    consumer.has(PLATFORM, 10)
    consumer.has(ORDERS, None)  # type: ignore[arg-type]  # the oldest format has none
    assert await read(intake) == [None, 10]


async def test_a_partition_that_is_held_is_dropped_not_waited_for_and_read_on_later(
    consumer: Consumer, intake: Intake
) -> None:
    consumer.has(ORDERS, 10, 20, 30)
    consumer.has(PLATFORM, 15)
    assert [record.timestamp for record in (await intake.read())[0]] == [10, 15, 20, 30]

    intake.hold({ORDERS: 1})
    consumer.ends[ORDERS] = 3
    consumer.has(PLATFORM, 40)
    records, offsets = await intake.read()

    assert [record.timestamp for record in records] == [40]
    assert offsets == {PLATFORM: 2}
    assert (consumer.paused, consumer.positions[ORDERS]) == ({ORDERS}, 1)
    assert intake.release([ORDERS]) == {ORDERS: 1}
    consumer.has(ORDERS, 20, 30)
    assert [record.timestamp for record in (await intake.read())[0]] == [20, 30]


async def test_a_rebalance_ends_what_is_held(consumer: Consumer, intake: Intake) -> None:
    intake.hold({ORDERS: 0})

    intake.on_partitions_revoked([])

    assert intake.held == {}


async def test_what_is_somebody_elses_by_now_is_not_held(consumer: Consumer, intake: Intake) -> None:
    del consumer.positions[ORDERS]

    intake.hold({ORDERS: 0})

    assert intake.held == {}


async def test_it_is_said_how_many_records_each_fetch_brought() -> None:
    brought: list[int] = []
    consumer = Consumer({ORDERS: [Record(0, 1), Record(1, 2)], PLATFORM: [Record(0, 3)]})

    await Intake(consumer, clock=consumer.clock, on_fetched=brought.append).read()

    assert brought[0] == 3
