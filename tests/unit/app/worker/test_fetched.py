"""Fetched: records of a partition travel together, none is lost or put before another, and partitions take turns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from faust.types import TP

from app.worker import fetched
from app.worker.fetched import Backlog, Fetched, messages

ZERO, ONE = TP("timeline-order", 0), TP("timeline-order", 1)


@dataclass(frozen=True)
class Record:
    offset: int
    value: bytes | None = b"x"


def records(*offsets: int, size: int = 1) -> Sequence[Record]:
    return [Record(offset, b"x" * size) for offset in offsets]


def message(tp: TP = ZERO, *offsets: int, size: int = 1) -> Fetched:
    return Fetched(tp, records(*(offsets or (0,)), size=size), generation_id=3)


def split(found: dict[TP, Sequence[Record]]) -> list[tuple[TP, list[int]]]:
    return [(tp, [record.offset for record in each.records]) for tp, each in messages(found, generation_id=3)]


def test_what_was_fetched_of_a_partition_is_one_message_with_the_offset_of_its_last_record() -> None:
    [(tp, one)] = messages({ZERO: records(3, 4, 9)}, generation_id=7)

    assert (tp, one.tp, one.offset, one.generation_id, one.acked) == (ZERO, ZERO, 9, 7, False)
    assert [record.offset for record in one.records] == [3, 4, 9]


def test_nothing_fetched_is_no_message() -> None:
    assert split({}) == []
    assert split({ZERO: []}) == []


def test_partitions_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetched, "MOST_RECORDS", 2)

    assert split({ZERO: records(*range(5)), ONE: records(7)}) == [
        (ZERO, [0, 1]),
        (ONE, [7]),
        (ZERO, [2, 3]),
        (ZERO, [4]),
    ]


def test_large_records_travel_in_more_messages_and_one_that_is_larger_than_a_message_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fetched, "MOST_BYTES", 10)

    assert split({ZERO: [*records(0, 1, 2, size=4), *records(3, size=100), *records(4)]}) == [
        (ZERO, [0, 1]),
        (ZERO, [2]),
        (ZERO, [3]),
        (ZERO, [4]),
    ]


def test_a_record_without_a_value_travels_with_the_others() -> None:
    assert split({ZERO: [Record(0, None), Record(1)]}) == [(ZERO, [0, 1])]


@pytest.mark.parametrize(("limit", "size"), [("BACKLOG_RECORDS", 1), ("BACKLOG_BYTES", 1)])
def test_a_backlog_is_full_by_records_and_by_bytes_until_some_of_it_ends(
    monkeypatch: pytest.MonkeyPatch, limit: str, size: int
) -> None:
    monkeypatch.setattr(fetched, limit, 4)
    backlog = Backlog()
    first, second = message(ZERO, 0, 1, size=size), message(ZERO, 2, 3, size=size)

    backlog.add(first)
    assert not backlog.is_full(ZERO)
    backlog.add(second)
    assert backlog.is_full(ZERO)
    assert not backlog.is_full(ONE)

    backlog.end(first)
    assert not backlog.is_full(ZERO)


def test_what_ends_twice_or_was_forgotten_makes_room_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetched, "BACKLOG_RECORDS", 2)
    backlog = Backlog()
    first, second, third = message(), message(), message()
    for each in (first, second, third):
        backlog.add(each)

    backlog.end(first)
    backlog.end(first)
    assert backlog.is_full(ZERO)

    backlog.clear()
    backlog.end(second)
    backlog.add(first)
    assert not backlog.is_full(ZERO)
