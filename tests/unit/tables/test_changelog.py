"""Changelog: what is written to a partition arrives there in its order, in few batches, or whoever waits is told."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import MessageSizeTooLargeError
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from tables.changelog import Changelog, Write
from tables.lapse import Lapse


@dataclass
class Batch:
    most: int
    records: list[bytes] = field(default_factory=list)
    removals: dict[bytes, Sequence[tuple[str, bytes]]] = field(default_factory=dict)

    def append(
        self,
        *,
        timestamp: int | None,  # noqa: ARG002
        key: bytes,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]] = (),
    ) -> object | None:
        if len(self.records) >= self.most:
            return None
        self.records.append(key)
        if value is None:
            self.removals[key] = headers
        return object()

    def close(self) -> None: ...


class Producer:
    """Kafka has a batch when the test says so."""

    def __init__(self, most: int = 100) -> None:
        self.most = most
        self.sent: list[tuple[int, list[bytes]]] = []
        self.removals: dict[bytes, Sequence[tuple[str, bytes]]] = {}
        self.answers: list[asyncio.Future[Any]] = []

    def create_batch(self) -> Batch:
        return Batch(self.most)

    async def send_batch(self, batch: Batch, topic: str, *, partition: int) -> asyncio.Future[Any]:
        assert topic == "windows-changelog"
        self.sent.append((partition, batch.records))
        self.removals |= batch.removals
        self.answers.append(asyncio.get_running_loop().create_future())
        return self.answers[-1]

    async def has(self, first: int) -> None:
        """Kafka has the last batch, from this offset on."""
        self.answers[-1].set_result(SimpleNamespace(offset=first))
        await turns()


async def turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def writes(*names: str) -> Sequence[Write]:
    return [(name.encode(), b"entry") for name in names]


@pytest.fixture
def producer() -> Producer:
    return Producer()


@pytest.fixture
def stored() -> list[tuple[int, int, int]]:
    return []


@pytest.fixture
def changelog(producer: Producer, stored: list[tuple[int, int, int]]) -> Changelog:
    return Changelog(lambda: "windows-changelog", lambda: producer, on_stored=lambda *told: stored.append(told))


async def test_what_comes_while_a_batch_is_under_way_makes_up_the_next_one(
    changelog: Changelog, producer: Producer, stored: list[tuple[int, int, int]]
) -> None:
    first = changelog.send(0, writes("a", "b"))
    await turns()
    second, third = changelog.send(0, writes("c")), changelog.send(0, writes("a"))
    await turns()
    assert producer.sent == [(0, [b"a", b"b"])]

    await producer.has(7)
    assert (first.done(), second.done()) == (True, False)
    assert producer.sent[1:] == [(0, [b"c", b"a"])]

    await producer.has(9)
    assert second.done()
    assert third.done()
    assert stored == [(0, 7, 2), (0, 9, 2)]


async def test_partitions_do_not_wait_for_each_other(changelog: Changelog, producer: Producer) -> None:
    changelog.send(0, writes("a"))
    changelog.send(1, writes("b"))
    await turns()
    assert producer.sent == [(0, [b"a"]), (1, [b"b"])]


async def test_what_no_batch_holds_goes_in_several_and_is_stored_with_the_last(
    changelog: Changelog, producer: Producer, stored: list[tuple[int, int, int]]
) -> None:
    producer.most = 2
    waiting = changelog.send(0, writes("a", "b", "c"))
    await turns()
    await producer.has(0)
    assert not waiting.done()
    await producer.has(2)
    assert waiting.done()
    assert [keys for _, keys in producer.sent] == [[b"a", b"b"], [b"c"]]
    assert stored == [(0, 0, 2), (0, 2, 1)]


async def test_a_batch_that_a_broker_does_not_take_for_its_size_goes_in_smaller_ones(
    changelog: Changelog, producer: Producer
) -> None:
    waiting = changelog.send(0, writes("a", "b", "c", "d"))
    await turns()
    producer.answers[-1].set_exception(MessageSizeTooLargeError())
    await turns()
    await producer.has(0)
    await producer.has(2)
    assert [keys for _, keys in producer.sent][1:] == [[b"a", b"b"], [b"c", b"d"]]
    assert waiting.done()


async def test_what_kafka_never_takes_is_told_to_all_who_wait_for_it(
    changelog: Changelog, producer: Producer, stored: list[tuple[int, int, int]]
) -> None:
    lost = changelog.send(0, writes("a"))
    await turns()
    producer.answers[-1].set_exception(ConnectionError("not sent"))
    with pytest.raises(ConnectionError):
        await lost
    too_large = changelog.send(0, writes("b"))
    await turns()
    producer.answers[-1].set_exception(MessageSizeTooLargeError())
    with pytest.raises(MessageSizeTooLargeError):
        await too_large
    assert stored == []


async def test_who_waits_for_what_a_library_cancelled_is_told_and_what_comes_then_is_stored(
    changelog: Changelog, producer: Producer
) -> None:
    lost = changelog.send(0, writes("a"))
    await turns()
    behind = changelog.send(0, writes("b"))
    producer.answers[-1].cancel()
    await turns()
    assert lost.cancelled()
    await producer.has(0)
    assert behind.done()
    assert not behind.cancelled()
    assert producer.sent == [(0, [b"a"]), (0, [b"b"])]


async def test_a_removal_stands_among_the_entries_in_its_order_and_says_what_it_is_meant_for(
    changelog: Changelog, producer: Producer
) -> None:
    changelog.send(0, writes("a"))
    changelog.send(0, [(b"b", Lapse(17, datetime(2024, 5, 1, tzinfo=UTC)))])
    changelog.send(0, writes("b"))
    await turns()
    assert producer.sent == [(0, [b"a", b"b", b"b"])]
    assert producer.removals == {b"b": [("before", b"17")]}


def test_aiokafka_takes_a_removal_as_it_is_given() -> None:
    lapse = Lapse(17, datetime(2024, 5, 1, tzinfo=UTC))
    built, count = Changelog._fill(BatchBuilder(16384, 0), [(b"a", b"entry"), (b"b", lapse)])  # noqa: SLF001
    [batch] = [MemoryRecords(bytes(built._build())).next_batch()]  # noqa: SLF001
    assert count == 2
    assert [(record.key, record.value, list(record.headers)) for record in batch] == [
        (b"a", b"entry", []),
        (b"b", None, [("before", b"17")]),
    ]
