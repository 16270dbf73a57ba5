"""Acknowledgement: whatever finishes first, a consumer only ever sees the contiguous prefix."""

from __future__ import annotations

from typing import Any

from fakes import Consumer, Delivery
from hypothesis import given
from hypothesis import strategies as st

from agents.engine.acks import OrderedAcks


def tracked(acks: OrderedAcks, consumer: Consumer, offset: int, partition: int = 0) -> Any:
    return acks.track(Delivery(consumer, offset, b"ada", b"", partition=partition), end=offset + 1, records=1)


def test_an_input_is_acknowledged_when_it_is_finished_and_nothing_earlier_is_open() -> None:
    acks, consumer = OrderedAcks(), Consumer()
    first, second, third = (tracked(acks, consumer, offset) for offset in (5, 6, 9))
    third.finish()
    assert consumer.offsets() == []
    first.finish()
    assert consumer.offsets() == [5]
    second.finish()
    assert consumer.offsets() == [5, 6, 9]
    assert len(acks) == 0


def test_finishing_twice_acknowledges_once() -> None:
    acks, consumer = OrderedAcks(), Consumer()
    first, second = tracked(acks, consumer, 0), tracked(acks, consumer, 1)
    first.finish()
    first.finish()
    assert consumer.offsets() == [0]
    second.finish()
    assert consumer.offsets() == [0, 1]


def test_topics_with_the_same_partition_number_are_apart() -> None:
    acks, consumer = OrderedAcks(), Consumer()
    acks.track(Delivery(consumer, 0, b"ada", b"", topic="timeline-customer"), end=1, records=1)
    acks.track(Delivery(consumer, 7, b"o-1", b"", topic="timeline-order"), end=8, records=1).finish()
    assert consumer.offsets() == [7]


@given(st.data())
def test_any_order_of_finishing_acknowledges_every_offset_once_in_order_and_never_past_an_open_one(
    data: st.DataObject,
) -> None:
    acks, consumer = OrderedAcks(), Consumer()
    waiting = data.draw(st.lists(st.integers(0, 2), max_size=20), label="partitions in the order of reading")
    tickets: dict[tuple[int, int], Any] = {}
    read: dict[int, list[int]] = {0: [], 1: [], 2: []}
    finished: set[tuple[int, int]] = set()
    while waiting or len(finished) < len(tickets):
        still_open = sorted(set(tickets) - finished)
        if waiting and (not still_open or data.draw(st.booleans(), label="read on")):
            partition = waiting.pop()
            offset = 3 * len(read[partition])  # compacted topics have gaps
            read[partition].append(offset)
            tickets[partition, offset] = tracked(acks, consumer, offset, partition)
        else:
            place = data.draw(st.sampled_from(still_open), label="finish")
            finished.add(place)
            tickets[place].finish()
        for partition, offsets in read.items():
            first_open = next((o for o in offsets if (partition, o) not in finished), float("inf"))
            assert consumer.offsets(partition) == [offset for offset in offsets if offset < first_open]
        assert len(acks) == len(tickets) - len(consumer.acknowledged)


def test_the_age_of_a_partition_is_that_of_its_oldest_input_in_flight() -> None:
    acks, consumer = OrderedAcks(), Consumer()
    first, second = tracked(acks, consumer, 0), tracked(acks, consumer, 1)
    tracked(acks, consumer, 0, partition=1)
    first.since -= 7200
    second.since -= 3600
    ages = acks.oldest_seconds()
    assert ages["timeline-customer", 0] >= 7200
    assert ages["timeline-customer", 1] < 3600
    first.finish()
    assert 3600 <= acks.oldest_seconds()["timeline-customer", 0] < 7200
    second.finish()
    assert set(acks.oldest_seconds()) == {("timeline-customer", 1)}
