# ruff: noqa: SLF001 - the seams of Faust are private
"""Consumer: no position changes under a fetch, and no fetch outlives a rebalance."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from aiokafka.errors import TopicAuthorizationFailedError
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from aiokafka.util import commit_structure_validate
from faust.transport.drivers import aiokafka
from faust.types import TP

from app.worker.consumer import Consumer
from app.worker.consumer_thread import ConsumerThread as CommittingThread
from app.worker.fetched import BACKLOG_RECORDS, Fetched

ZERO, ONE = TP("timeline-order", 0), TP("timeline-order", 1)


@dataclass(frozen=True)
class Record:
    offset: int
    value: bytes = b"{}"


RECORDS = {ZERO: [Record(5), Record(6)]}


@dataclass
class ConsumerThread:
    """What Faust's consumer asks its thread for; a fetch lasts until the test ends it."""

    asked: list[tuple[str, Any]] = field(default_factory=list)
    fetching: asyncio.Event = field(default_factory=asyncio.Event)
    fetched: asyncio.Event = field(default_factory=asyncio.Event)
    committed: Mapping[TP, int | None] = field(default_factory=dict)
    #: The offset that is read next, by partition.
    at: dict[TP, int] = field(default_factory=dict)
    #: Partitions that may not be read.
    denied: set[TP] = field(default_factory=set)

    async def getmany(self, partitions: set[TP] | None, _timeout: float) -> Mapping[TP, list[Record]]:
        self.asked.append(("fetch", partitions))
        self.fetching.set()
        await self.fetched.wait()
        for tp in self.denied & (partitions or set()):
            raise TopicAuthorizationFailedError(tp.topic)
        return RECORDS

    async def position(self, partition: TP) -> int:
        return self.at[partition]

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        self.asked.append(("seek", dict(partitions)))

    async def seek_to_committed(self) -> Mapping[TP, int | None]:
        self.asked.append(("seek to committed", None))
        return self.committed

    def assignment(self) -> set[TP]:
        return set(self.committed)

    async def earliest_offsets(self, *partitions: TP) -> Mapping[TP, int]:
        return dict.fromkeys(partitions, 5)


class Topics:
    def acks_enabled_for(self, topic: str) -> bool:
        return topic.startswith("timeline-")


class FlowControl:
    """Inactive in a rebalance: the queues of the streams have been emptied, and nothing is handed on."""

    def __init__(self) -> None:
        self.active = False

    def is_active(self) -> bool:
        return self.active


class App:
    topics = Topics()
    readers: ClassVar = {"timeline-order": {"recovery", "root_cause"}}

    def __init__(self) -> None:
        self.has_crashed = asyncio.Event()
        self.flow_control = FlowControl()


class Message:
    """A record on its way through the streams."""


@pytest.fixture
def thread() -> ConsumerThread:
    return ConsumerThread()


@pytest.fixture
def consumer(thread: ConsumerThread) -> Consumer:
    """The product's consumer over a thread of ours; only what it adds to Faust's is set up."""
    consumer = Consumer.__new__(Consumer)
    made: Any = consumer
    made._thread, made.app, made._to_resume = thread, App(), set()
    made._positions, made._epoch, made._held = asyncio.Lock(), 0, None
    made._unacked_messages = set()
    return consumer


async def fetch(consumer: Consumer, thread: ConsumerThread, partitions: set[TP]) -> asyncio.Task[Any]:
    task = asyncio.create_task(consumer._getmany(partitions, 1.0))
    await thread.fetching.wait()
    return task


async def test_a_fetch_hands_on_its_records(consumer: Consumer, thread: ConsumerThread) -> None:
    task = await fetch(consumer, thread, {ZERO})
    thread.fetched.set()

    assert await task == RECORDS


@pytest.mark.parametrize("seek", ["seek_wait", "seek_to_committed"])
async def test_a_seek_waits_for_the_fetch_under_way(consumer: Consumer, thread: ConsumerThread, seek: str) -> None:
    await fetch(consumer, thread, {ZERO})
    seeking = asyncio.create_task(
        consumer.seek_wait({ZERO: 7}) if seek == "seek_wait" else consumer.seek_to_committed()
    )
    for _ in range(5):
        await asyncio.sleep(0)
    assert thread.asked == [("fetch", {ZERO})]

    thread.fetched.set()
    await seeking

    assert len(thread.asked) == 2


async def test_a_fetch_that_a_rebalance_overtook_hands_on_nothing(consumer: Consumer, thread: ConsumerThread) -> None:
    task = await fetch(consumer, thread, {ZERO})
    consumer._epoch += 1
    thread.fetched.set()

    assert await task == {}


async def test_a_fetch_is_for_the_partitions_that_are_active_when_its_turn_comes(
    consumer: Consumer, thread: ConsumerThread
) -> None:
    active = {ZERO}
    first = await fetch(consumer, thread, active)
    second = asyncio.create_task(consumer._getmany(active, 1.0))
    await asyncio.sleep(0)
    active.clear()
    thread.fetched.set()

    assert (await first, await second) == (RECORDS, {})
    assert thread.asked == [("fetch", {ZERO})]


@pytest.fixture
def emptied(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Set when Faust's own waiting for what is in flight would end."""
    event = asyncio.Event()

    async def wait_empty(_: Any) -> None:
        await event.wait()

    monkeypatch.setattr(aiokafka.Consumer, "wait_empty", wait_empty)
    return event


async def test_what_is_in_flight_is_waited_for(consumer: Consumer, emptied: asyncio.Event) -> None:
    task = asyncio.create_task(consumer.wait_empty())
    for _ in range(5):
        await asyncio.sleep(0)
    assert not task.done()

    emptied.set()

    await task


async def test_after_a_crash_nothing_is_waited_for(consumer: Any, emptied: asyncio.Event) -> None:
    task = asyncio.create_task(consumer.wait_empty())
    await asyncio.sleep(0)

    consumer.app.has_crashed.set()

    await task
    assert not emptied.is_set()


async def test_what_no_agent_has_in_flight_is_not_waited_for_in_a_rebalance(
    consumer: Any, emptied: asyncio.Event
) -> None:
    emptied.set()
    never_taken_again, in_flight = Message(), Message()
    consumer.unacked.update((never_taken_again, in_flight))
    consumer.taken(in_flight)

    await consumer.wait_empty()

    assert consumer.unacked == {in_flight}


async def test_what_the_last_agent_ends_in_a_rebalance_is_not_waited_for_on_behalf_of_others(consumer: Any) -> None:
    message = Message()
    consumer.unacked.add(message)
    consumer.taken(message)
    consumer.taken(message)

    consumer.ended(message)
    assert consumer.unacked == {message}
    consumer.ended(message)
    assert consumer.unacked == set()


def test_a_partition_is_committed_to_where_its_slowest_agent_is_done(consumer: Any) -> None:
    message = Fetched(ZERO, [Record(5), Record(6)], generation_id=1)
    assert consumer._new_offset(ZERO) is None

    consumer.done(message, "recovery", 7)
    assert consumer._new_offset(ZERO) is None
    consumer.done(message, "root_cause", 6)
    assert consumer._new_offset(ZERO) == 6
    consumer.done(message, "root_cause", 7)
    assert consumer._new_offset(ZERO) == 7
    assert consumer._new_offset(ONE) is None
    assert list(consumer._filter_tps_with_pending_acks()) == [ZERO]
    assert list(consumer._filter_tps_with_pending_acks({"timeline-customer"})) == []


async def test_a_partition_with_a_full_backlog_is_not_fetched_until_some_of_it_ends(
    consumer: Any, thread: ConsumerThread
) -> None:
    thread.fetched.set()
    message = Fetched(ZERO, [Record(offset) for offset in range(BACKLOG_RECORDS)], generation_id=1)
    consumer._backlog.add(message)

    await consumer._getmany({ZERO, ONE}, 1.0)
    waiting = asyncio.create_task(consumer._getmany({ZERO}, 1.0))
    await asyncio.sleep(0)
    assert thread.asked == [("fetch", {ONE})]

    consumer.discard(message)
    assert await waiting == {}
    await consumer._getmany({ZERO, ONE}, 1.0)
    assert thread.asked[1:] == [("fetch", {ZERO, ONE})]


async def test_outside_of_a_rebalance_what_one_agent_has_ended_others_may_still_take(
    consumer: Any, emptied: asyncio.Event
) -> None:
    consumer.app.flow_control.active = True
    emptied.set()
    message = Message()
    consumer.unacked.add(message)
    consumer.taken(message)

    consumer.ended(message)
    await consumer.wait_empty()

    assert consumer.unacked == {message}


async def test_a_partition_without_a_committed_offset_begins_at_the_earliest_one(
    consumer: Consumer, thread: ConsumerThread
) -> None:
    changelog = TP("fraud-windows-changelog", 0)
    thread.committed = {ZERO: 3, ONE: None, changelog: None}

    assert await consumer.seek_to_committed() == thread.committed

    assert thread.asked == [("seek to committed", None), ("seek", {ONE: 5})]


async def test_streams_begin_at_what_was_committed_when_their_recovery_began_whatever_others_commit_meanwhile(
    consumer: Consumer, thread: ConsumerThread
) -> None:
    thread.committed = {ZERO: 3, ONE: None}
    await consumer.hold_committed()
    thread.committed = {ZERO: 77, ONE: 79}
    thread.asked.clear()

    assert await consumer.seek_to_committed() == {ZERO: 3, ONE: None}

    assert thread.asked == [("seek", {ZERO: 3}), ("seek", {ONE: 5})]


async def test_the_next_recovery_begins_at_what_is_committed_then(consumer: Consumer, thread: ConsumerThread) -> None:
    thread.committed = {ZERO: 3}
    await consumer.hold_committed()
    thread.committed = {ZERO: 77}
    await consumer.hold_committed()
    thread.asked.clear()

    await consumer.seek_to_committed()

    assert thread.asked == [("seek", {ZERO: 77})]


async def test_a_partition_that_was_assigned_since_the_recovery_began_is_neither_sought_nor_fetched(
    consumer: Any, thread: ConsumerThread
) -> None:
    consumer._read_offset, consumer._committed_offset = {}, {}
    consumer._active_partitions, consumer._paused_partitions = set(), {ZERO, ONE}
    thread.committed = {ZERO: 3}
    await consumer.hold_committed()
    thread.committed = {ZERO: 3, ONE: 79}
    thread.asked.clear()
    consumer.resume_partitions({ZERO, ONE})

    await consumer.perform_seek()

    assert thread.asked == [("seek", {ZERO: 3})]
    assert consumer._active_partitions == {ZERO}


async def test_a_worker_without_partitions_holds_nothing(consumer: Consumer, thread: ConsumerThread) -> None:
    await consumer.hold_committed()

    assert await consumer.seek_to_committed() == {}
    assert thread.asked == []


async def test_a_timeline_that_may_not_be_read_rests_and_the_others_are_fetched(
    consumer: Any, thread: ConsumerThread
) -> None:
    customers = TP("timeline-customer", 0)
    thread.denied = {customers}
    thread.fetched.set()

    assert await consumer._getmany({ZERO, customers}, 1.0) == {}
    assert await consumer._getmany({ZERO, customers}, 1.0) == RECORDS
    assert await consumer._getmany({customers}, 1.0) == {}
    assert thread.asked == [("fetch", {ZERO, customers}), ("fetch", {ZERO})]


async def test_nothing_is_committed_to_a_topic_that_may_not_be_read_until_it_may_be(consumer: Any) -> None:
    customers = TP("timeline-customer", 0)
    consumer._rests.begin("timeline-customer", TopicAuthorizationFailedError("timeline-customer"), now=0.0)

    assert consumer.committable({ZERO: 3, customers: 7}) == {ZERO: 3}
    assert consumer.committable({ZERO: 4}) == {ZERO: 4}
    consumer._rests.end("timeline-customer")
    assert consumer.committable({ZERO: 5}) == {ZERO: 5, customers: 7}
    assert consumer.committable({ZERO: 6}) == {ZERO: 6}


async def test_the_last_record_before_an_end_is_known_of_what_was_sought_and_read_to_that_end(
    consumer: Consumer, thread: ConsumerThread
) -> None:
    thread.at = {ZERO: 9, ONE: 9}
    assert await consumer.last_before({ZERO: 9}) == {}

    await consumer.seek_wait({ZERO: 5, ONE: 7})
    assert await consumer.last_before({ZERO: 9, ONE: 10}) == {ZERO: -1}
    thread.fetched.set()
    await consumer._getmany({ZERO, ONE}, 1.0)
    assert await consumer.last_before({ZERO: 9, ONE: 9}) == {ZERO: 6, ONE: -1}


async def test_the_last_record_is_forgotten_in_a_rebalance_and_by_a_seek_or_fetch_that_it_overtook(
    consumer: Any, thread: ConsumerThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def done(*_: Any) -> None:
        return

    monkeypatch.setattr(aiokafka.Consumer, "on_partitions_revoked", done)
    thread.at = {ZERO: 9}
    await consumer.seek_wait({ZERO: 5})
    task = await fetch(consumer, thread, {ZERO})
    seeking = asyncio.create_task(consumer.seek_wait({ZERO: 7}))
    await consumer.on_partitions_revoked({ZERO})
    thread.fetched.set()
    await asyncio.gather(task, seeking)

    # The seek came behind the rebalance; the fetch did not.
    assert await consumer.last_before({ZERO: 9}) == {ZERO: -1}
    await consumer.on_partitions_revoked({ZERO})
    assert await consumer.last_before({ZERO: 9}) == {}


async def test_offsets_that_may_not_be_committed_end_no_worker_and_are_committed_with_the_next_ones(
    consumer: Any,
) -> None:
    customers = TP("timeline-customer", 0)
    thread: Any = CommittingThread.__new__(CommittingThread)
    thread.consumer = consumer
    written = []

    async def commit(offsets: Mapping[TP, OffsetAndMetadata]) -> None:
        written.append({tp: at.offset for tp, at in offsets.items()})
        raise TopicAuthorizationFailedError({"timeline-customer"})

    offsets = {ZERO: OffsetAndMetadata(3, ""), customers: OffsetAndMetadata(7, "")}
    await thread._commit_what_may_be(commit, offsets)

    assert written == [{ZERO: 3, customers: 7}]
    assert consumer.committable({ZERO: 4}) == {ZERO: 4, customers: 7}


async def test_a_commit_of_which_nothing_is_left_ends_no_worker() -> None:
    thread: Any = CommittingThread.__new__(CommittingThread)
    written = []
    offsets = {TopicPartition("timeline-order", 0): OffsetAndMetadata(3, "")}

    async def commit(offsets: Mapping[TopicPartition, OffsetAndMetadata]) -> None:
        written.append(commit_structure_validate(offsets))

    await thread._commit_what_may_be(commit, {})
    await thread._commit_what_may_be(commit, offsets)

    assert written == [offsets]


class Handing(Consumer):
    """What was fetched is there already."""

    fetched: Mapping[TP, Any]

    async def _wait_next_records(self, _timeout: float) -> tuple[Any, Any]:
        return self.fetched, set(self.fetched)

    def highwater(self, _tp: TP) -> int:
        return 100

    @property
    def should_stop(self) -> bool:
        return False


@pytest.fixture
def handing() -> Any:
    consumer: Any = Handing.__new__(Handing)
    consumer.app = App()
    consumer.app.consumer_generation_id = 4
    consumer.app.monitor = SimpleNamespace(track_tp_end_offset=lambda *_: None)
    consumer.flow_active, consumer._buffered_partitions = True, set()
    consumer._read_offset = dict.fromkeys((ZERO, ONE))
    return consumer


async def test_a_timeline_is_handed_on_as_it_was_fetched(handing: Any) -> None:
    handing.fetched = {ZERO: [Record(5), Record(7)]}

    [message] = [message async for _, message in handing.getmany(1.0)]

    assert [record.offset for record in message.records] == [5, 7]
    assert message.generation_id == 4


async def test_what_lies_before_the_offset_to_read_from_is_not_handed_on(handing: Any) -> None:
    handing.fetched = {ZERO: [Record(5), Record(6), Record(8)], ONE: [Record(3)]}
    handing._read_offset |= {ZERO: 6, ONE: 4}

    [message] = [message async for _, message in handing.getmany(1.0)]

    assert [record.offset for record in message.records] == [6, 8]


async def test_nothing_more_is_handed_on_once_a_rebalance_begins_or_is_over(handing: Any) -> None:
    for change in ({"flow_active": False}, {"generation": 5}):
        handing.flow_active, handing.app.consumer_generation_id = True, 4
        handing.fetched = {ZERO: [Record(5)], ONE: [Record(3)]}
        handed = []
        async for tp, _ in handing.getmany(1.0):
            handed.append(tp)
            handing.flow_active = change.get("flow_active", True)
            handing.app.consumer_generation_id = change.get("generation", 4)
        assert handed == [ZERO]
