"""What a worker says of itself: in few bytes, the same while nothing happens, and readable for other versions."""

from __future__ import annotations

import pytest

from app.worker.progress import Progress, Standing
from app.worker.status import Failing, Instants, PartitionStatus, WorkerStatus, in_ranges, moving, ranges, short

FIRST, SECOND = ("timeline-order", 0), ("timeline-order", 1)


@pytest.mark.parametrize(
    ("numbers", "text"),
    [((), ""), ((3,), "3"), ((0, 1, 2, 3, 7), "0-3,7"), ((5, 4), "4-5"), ((1, 3, 5), "1,3,5")],
)
def test_numbers_are_written_in_short_and_read_back(numbers: tuple[int, ...], text: str) -> None:
    assert ranges(numbers) == text
    assert list(in_ranges(text)) == sorted(numbers)


def test_too_many_numbers_are_cut_between_two_of_them() -> None:
    text = ranges(range(0, 4000, 2))

    assert len(text) <= 2600
    assert list(in_ranges(text)) == list(range(0, 2 * len(in_ranges(text)), 2))


@pytest.mark.parametrize("text", ["x", "1-", "-", "1-x", "³"])
def test_what_is_no_number_is_left_out(text: str) -> None:
    assert list(in_ranges(f"7,{text}")) in ([7], [7, 1])


def test_a_text_that_names_a_billion_partitions_is_cut() -> None:
    assert len(in_ranges("0-999999999,5-999999999")) == 10_000


def test_an_instant_is_the_same_each_time_it_is_told() -> None:
    instants = Instants()
    assert instants.of(100.0) == instants.of(100.0)
    assert (instants.of(160.0) - instants.of(100.0)).total_seconds() == 60


def test_a_check_fails_since_it_was_first_seen_to_and_anew_after_it_was_well() -> None:
    failing = Failing()

    assert failing.observe(["lag"], 10.0) == {"lag": 10.0}
    assert failing.observe(["lag", "commits"], 20.0) == {"lag": 10.0, "commits": 20.0}
    assert failing.observe([], 30.0) == {}
    assert failing.observe(["lag"], 40.0) == {"lag": 40.0}


def test_the_partition_furthest_behind_comes_first() -> None:
    standings = {FIRST: Standing(5, 5, 0.0, None), SECOND: Standing(2, 9, 0.0, 50.0)}
    instants = Instants()

    assert list(moving(standings, {SECOND: 30.0}, instants, 100.0)) == [
        PartitionStatus(
            topic="timeline-order",
            partition=1,
            position=2,
            end=9,
            moved_at=instants.of(50.0),
            behind_since=instants.of(70.0),
        ),
        PartitionStatus(topic="timeline-order", partition=0, position=5, end=5),
    ]


def test_texts_are_few_and_short() -> None:
    told = short({f"topic-{number}": "x" * 10_000 for number in range(1000)})

    assert len(told) == 20
    assert max(map(len, told.values())) == 500


def test_progress_says_when_a_partition_last_moved_also_when_nothing_is_left_to_read() -> None:
    progress = Progress()

    progress.observe({FIRST: (5, 9)}, now=100.0)
    assert progress.standings() == {FIRST: Standing(5, 9, 100.0, None)}
    progress.observe({FIRST: (9, 9)}, now=110.0)
    progress.observe({FIRST: (9, 9)}, now=120.0)

    assert progress.standings() == {FIRST: Standing(9, 9, 120.0, 110.0)}


def test_what_another_version_says_is_read_as_far_as_it_is_known() -> None:
    status = WorkerStatus.model_validate({"in_flight": 3, "mood": "good", "partitions": {"timeline-order": "0-7"}})

    assert (status.in_flight, status.partitions) == (3, {"timeline-order": "0-7"})
