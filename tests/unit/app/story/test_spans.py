"""What of a long partition is read for a story."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.story.log import spans_of


def test_a_short_partition_is_read_as_a_whole() -> None:
    assert spans_of(5, 105, [7], 100) == [(5, 105)]


def test_an_empty_one_is_not_read() -> None:
    assert spans_of(7, 7, [3], 100) == []


def test_of_a_long_one_come_the_places_decisions_name_then_the_end_then_what_lies_around_them() -> None:
    assert spans_of(0, 1_000_000, [500_000], 15_000) == [
        (500_000, 500_001),
        (990_000, 1_000_000),
        (500_001, 502_000 + 1),
        (498_000, 500_000),
        (990_000 - 999, 990_000),
    ]


def test_what_is_no_longer_there_is_not_looked_for() -> None:
    assert spans_of(900_000, 1_000_000, [3, 2_000_000], 10_000) == [(990_000, 1_000_000)]


@given(
    st.integers(0, 50_000),
    st.integers(0, 50_000),
    st.lists(st.integers(0, 120_000), max_size=20),
    st.integers(1, 30_000),
)
def test_no_offset_is_read_twice_and_never_more_than_allowed(
    first: int, length: int, known: list[int], most: int
) -> None:
    spans = spans_of(first, first + length, known, most)

    assert sum(stop - start for start, stop in spans) == min(length, most)
    assert all(first <= start < stop <= first + length for start, stop in spans)
    ordered = sorted(spans)
    assert all(one[1] <= other[0] for one, other in pairwise(ordered))


@pytest.mark.parametrize("known", [[], [10], [10, 20_000]])
def test_the_newest_records_are_always_among_them(known: list[int]) -> None:
    assert any(stop == 1_000_000 for _, stop in spans_of(0, 1_000_000, known, 20_000))
