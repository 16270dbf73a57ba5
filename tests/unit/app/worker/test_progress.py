"""Progress: a partition with something to read has to move."""

from __future__ import annotations

from datetime import UTC, datetime

from app.worker.progress import Horizon, Lag, Progress

HERE, THERE = ("timeline-customer", 0), ("timeline-customer", 1)


def test_a_partition_that_does_not_move_ages() -> None:
    progress = Progress()
    progress.observe({HERE: (5, 9)}, now=100.0)
    progress.observe({HERE: (5, 12)}, now=130.0)
    assert progress.stuck_seconds(now=161.0) == {HERE: 61.0}


def test_a_commit_is_progress() -> None:
    progress = Progress()
    progress.observe({HERE: (5, 9)}, now=100.0)
    progress.observe({HERE: (6, 9)}, now=130.0)
    assert progress.stuck_seconds(now=131.0) == {HERE: 1.0}


def test_a_partition_that_was_read_to_its_end_does_not_age() -> None:
    progress = Progress()
    progress.observe({HERE: (9, 9)}, now=100.0)
    progress.observe({HERE: (9, 9)}, now=500.0)
    assert progress.stuck_seconds(now=501.0) == {HERE: 1.0}


def test_a_new_event_after_a_long_silence_begins_to_age_then() -> None:
    progress = Progress()
    progress.observe({HERE: (9, 9)}, now=100.0)
    progress.observe({HERE: (9, 9)}, now=500.0)
    progress.observe({HERE: (9, 10)}, now=510.0)
    assert progress.stuck_seconds(now=520.0) == {HERE: 20.0}


def test_a_partition_that_went_away_and_came_back_begins_anew() -> None:
    progress = Progress()
    progress.observe({HERE: (5, 9), THERE: (1, 2)}, now=100.0)
    progress.forget_others({THERE})
    progress.observe({HERE: (5, 9), THERE: (1, 2)}, now=150.0)
    assert progress.stuck_seconds(now=160.0) == {HERE: 10.0, THERE: 60.0}


def test_what_is_always_read_soon_is_never_far_behind() -> None:
    lag = Lag()
    lag.observe({HERE: (5, 9)}, now=100.0)
    lag.observe({HERE: (9, 15)}, now=110.0)
    lag.observe({HERE: (15, 21)}, now=120.0)
    assert lag.seconds(now=121.0) == {HERE: 1.0}


def test_a_partition_is_as_far_behind_as_the_oldest_end_it_has_not_reached() -> None:
    lag = Lag()
    lag.observe({HERE: (5, 10)}, now=100.0)
    lag.observe({HERE: (8, 20)}, now=110.0)
    lag.observe({HERE: (12, 30)}, now=120.0)
    assert lag.seconds(now=120.0) == {HERE: 10.0}


def test_what_was_read_to_its_end_is_not_behind() -> None:
    lag = Lag()
    lag.observe({HERE: (5, 10)}, now=100.0)
    lag.observe({HERE: (10, 10)}, now=900.0)
    assert lag.seconds(now=901.0) == {}


def test_a_partition_that_went_away_is_not_behind() -> None:
    lag = Lag()
    lag.observe({HERE: (5, 10), THERE: (1, 2)}, now=100.0)
    lag.forget_others({THERE})
    assert lag.seconds(now=160.0) == {THERE: 60.0}


def at(minute: int) -> datetime:
    return datetime(2024, 5, 1, 12, minute, tzinfo=UTC)


def test_what_was_whole_before_an_end_is_read_when_the_end_is_reached() -> None:
    horizon = Horizon()
    horizon.observe({HERE: (5, 9)}, at(1))
    assert horizon.of([HERE]) is None
    horizon.observe({HERE: (8, 20)}, at(2))
    assert horizon.of([HERE]) is None
    horizon.observe({HERE: (9, 30)}, at(3))
    assert horizon.of([HERE]) == at(1)
    horizon.observe({HERE: (30, 30)}, at(4))
    assert horizon.of([HERE]) == at(4)


def test_all_partitions_are_read_as_far_as_the_one_that_is_furthest_behind() -> None:
    horizon = Horizon()
    horizon.observe({HERE: (9, 9), THERE: (0, 0)}, at(1))
    horizon.observe({HERE: (9, 9), THERE: (0, 4)}, at(2))
    assert (horizon.of([HERE]), horizon.of([HERE, THERE])) == (at(2), at(1))


def test_nothing_is_said_of_a_partition_that_was_never_seen_or_of_none() -> None:
    horizon = Horizon()
    horizon.observe({HERE: (9, 9)}, at(1))
    assert (horizon.of([HERE, THERE]), horizon.of([])) == (None, None)


def test_an_end_before_which_nothing_is_known_to_be_whole_says_nothing() -> None:
    horizon = Horizon()
    horizon.observe({HERE: (9, 9)}, None)
    assert horizon.of([HERE]) is None


def test_how_far_was_read_never_goes_back_while_a_partition_is_kept_and_begins_anew_when_it_comes_back() -> None:
    horizon = Horizon()
    horizon.observe({HERE: (9, 9)}, at(5))
    horizon.observe({HERE: (9, 9)}, at(2))
    assert horizon.of([HERE]) == at(5)
    horizon.forget_others([THERE])
    assert horizon.of([HERE]) is None
