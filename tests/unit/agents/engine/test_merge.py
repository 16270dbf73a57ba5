"""Merge: the oldest first, every partition in its order, and nobody overtakes a partition that is waited for."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.engine.merge import Partition, Patience, TimeMerge

ORDERS, PAYMENTS, PLATFORM = ("orders", 0), ("payments", 0), ("platform", 0)


class Record(NamedTuple):
    name: str
    timestamp: int


@pytest.fixture
def merge() -> TimeMerge[Record]:
    return TimeMerge()


def names(records: list[Record]) -> str:
    return " ".join(record.name for record in records)


def add(merge: TimeMerge[Record], partition: Partition, **stamps: int) -> None:
    merge.add(partition, [Record(name, stamp) for name, stamp in stamps.items()])


def test_the_oldest_record_is_taken_first(merge: TimeMerge[Record]) -> None:
    add(merge, PLATFORM, error=30)
    add(merge, ORDERS, placed=10, address=25)
    add(merge, PAYMENTS, paid=20)
    assert names(merge.take(10, behind=())) == "placed paid address error"
    assert len(merge) == 0


def test_what_happened_at_the_same_time_comes_by_topic_partition_and_offset(merge: TimeMerge[Record]) -> None:
    add(merge, ("payments", 0), p=10)
    add(merge, ("orders", 10), ten=10)
    add(merge, ("orders", 2), two=10, three=10)
    assert names(merge.take(10, behind=())) == "two three ten p"


def test_a_partition_keeps_its_order_where_its_time_goes_backwards(merge: TimeMerge[Record]) -> None:
    add(merge, ORDERS, late=50, early=10)
    add(merge, PAYMENTS, paid=20)
    assert names(merge.take(10, behind=())) == "paid late early"


def test_nothing_is_taken_while_an_empty_partition_is_waited_for(merge: TimeMerge[Record]) -> None:
    add(merge, PLATFORM, error=30)
    assert merge.take(10, behind={ORDERS}) == []
    add(merge, ORDERS, placed=10)
    assert names(merge.take(10, behind={ORDERS})) == "placed"
    assert names(merge.take(10, behind={PAYMENTS})) == ""
    assert names(merge.take(10, behind=())) == "error"


def test_nobody_overtakes_a_partition_that_runs_empty_and_has_more(merge: TimeMerge[Record]) -> None:
    add(merge, PLATFORM, error=30)
    add(merge, ORDERS, placed=10)
    add(merge, PAYMENTS, paid=20)
    assert names(merge.take(10, behind={ORDERS, PLATFORM})) == "placed"
    add(merge, ORDERS, address=15)
    assert names(merge.take(10, behind={PLATFORM})) == "address paid error"


def test_no_more_than_the_limit_is_taken_and_the_rest_stays(merge: TimeMerge[Record]) -> None:
    add(merge, ORDERS, a=1, c=3)
    add(merge, PAYMENTS, b=2, d=4)
    assert names(merge.take(3, behind=())) == "a b c"
    assert merge.first(ORDERS) is None
    assert merge.first(PAYMENTS) == Record("d", 4)
    assert len(merge) == 1


def test_what_comes_later_stands_behind_what_is_there(merge: TimeMerge[Record]) -> None:
    add(merge, ORDERS, a=5)
    add(merge, ORDERS, b=1)
    assert merge.first(ORDERS) == Record("a", 5)
    assert names(merge.take(10, behind=())) == "a b"


def test_no_records_make_no_partition(merge: TimeMerge[Record]) -> None:
    merge.add(ORDERS, [])
    assert not merge
    assert merge.take(10, behind={ORDERS}) == []


@given(logs=st.lists(st.lists(st.integers(0, 20), max_size=12), min_size=1, max_size=4), data=st.data())
def test_however_records_arrive_each_is_taken_once_and_the_oldest_of_all_partitions_first(
    logs: list[list[int]], data: st.DataObject
) -> None:
    """The whole logs say what is due; the merge sees them in pieces."""
    merge: TimeMerge[Record] = TimeMerge()
    partitions = [("orders", number) for number in range(len(logs))]
    log_of = {
        p: [Record(f"{n}", stamp) for n, stamp in enumerate(log)] for p, log in zip(partitions, logs, strict=True)
    }
    read = dict.fromkeys(partitions, 0)
    due = {partition: list(log) for partition, log in log_of.items()}
    while any(due.values()):
        behind = {partition for partition in partitions if read[partition] < len(log_of[partition])}
        if behind:
            partition = data.draw(st.sampled_from(sorted(behind)), label="partition that is read")
            count = data.draw(st.integers(1, 5), label="records")
            merge.add(partition, log_of[partition][read[partition] : read[partition] + count])
            read[partition] = min(read[partition] + count, len(log_of[partition]))
            behind = {partition for partition in partitions if read[partition] < len(log_of[partition])}
        for record in merge.take(data.draw(st.integers(1, 5), label="limit"), behind=behind):
            oldest = min(
                (partition for partition in partitions if due[partition]),
                key=lambda partition: (due[partition][0].timestamp, partition),
            )
            assert record is due[oldest].pop(0)
    assert not merge


def test_a_partition_is_waited_for_until_the_time_is_over() -> None:
    patience = Patience(2.0)
    assert patience.over([ORDERS], now=100.0) == set()
    assert patience.over([ORDERS, PAYMENTS], now=101.9) == set()
    assert patience.over([ORDERS, PAYMENTS], now=102.0) == {ORDERS}
    assert patience.over([ORDERS, PAYMENTS], now=103.9) == {ORDERS, PAYMENTS}


def test_a_partition_that_was_waited_for_in_vain_is_waited_for_again_only_after_a_record() -> None:
    patience = Patience(2.0)
    patience.over([ORDERS], now=100.0)
    assert patience.over([ORDERS], now=102.0) == {ORDERS}
    assert patience.over([ORDERS], now=500.0) == {ORDERS}
    assert patience.over([], now=501.0) == set()
    assert patience.over([ORDERS], now=502.0) == set()
    assert patience.over([ORDERS], now=504.0) == {ORDERS}
