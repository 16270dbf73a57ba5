"""Progress: a partition with something to read has to move."""

from __future__ import annotations

from app.progress import Progress

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
