"""What was seen of the outbox lately, and what it says."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from app.page.series import OutboxSeries, Sample, as_columns, is_rising, latest
from app.page.views.outbox import meaning
from app.reads.outbox import Outbox

NOON = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
NOON_SECONDS = 1714564800.0


def sample(seconds: float, pending: int = 0, oldest_seconds: float = 0.0) -> Sample:
    return Sample(at=NOON + timedelta(seconds=seconds), pending=pending, oldest_seconds=oldest_seconds)


def outbox(pending: int, oldest_seconds: float = 0.0, *, more: bool = False) -> Outbox:
    return Outbox(pending=pending, more_is_pending=more, oldest_seconds=oldest_seconds, dead=0, lanes=[], waiting=[])


def test_the_oldest_samples_make_room_for_new_ones() -> None:
    series = OutboxSeries(kept=2)

    for second in range(3):
        series.add(sample(second, pending=second))

    assert series.samples == (sample(1, pending=1), sample(2, pending=2))


def test_a_sample_that_is_not_later_than_the_last_is_not_taken() -> None:
    series = OutboxSeries()

    for second in (1, 1, 0):
        series.add(sample(second))

    assert series.samples == (sample(1),)


def test_a_time_in_which_nobody_looked_is_a_gap_in_the_drawing() -> None:
    seen = [sample(0, 1, 0.55), sample(1, 2), sample(60, 3)]

    assert as_columns(seen) == [
        [NOON_SECONDS, NOON_SECONDS + 1, NOON_SECONDS + 6, NOON_SECONDS + 60],
        [1, 2, None, 3],
        [0.6, 0.0, None, 0.0],
    ]
    assert latest(seen) == [sample(60, 3)]
    assert latest(seen[:2]) == seen[:2]
    assert (as_columns([]), latest([])) == ([[], [], []], [])


@pytest.mark.parametrize(
    ("values", "rises"),
    [
        ([0, 1, 2, 3, 4, 5, 6, 7, 8], True),
        ([0, 0, 1, 9, 0, 4, 5, 3, 2], True),
        ([0, 5, 1, 9, 0, 4, 5, 3, 2], False),
        ([5, 5, 5, 5, 5, 5, 5, 5, 5], False),
        ([8, 7, 6, 5, 4, 3, 2, 1, 0], False),
        ([0, 1, 2, 3, 4, 5, 6, 7], False),
        ([], False),
    ],
)
def test_rising_is_more_than_coming_and_going(values: Sequence[float], rises: bool) -> None:
    assert is_rising(values) is rises


OLDER = [sample(n, 5, n) for n in range(12)]
MORE = [sample(n, n, 1.0) for n in range(12)]


@pytest.mark.parametrize(
    ("found", "seen", "kind", "says"),
    [
        (outbox(0), [], "good", "Everything that was committed is published."),
        (outbox(1, 2.0), [], "good", "1 message waits, the oldest for 2 s: they are on their way."),
        (outbox(1200, 2.0), [], "good", "1,200 messages wait, the oldest for 2 s: they are on their way."),
        (outbox(10_000, 3.0, more=True), [], "good", "more than 10,000 messages wait, the oldest for 3 s"),
        (outbox(5, 61.0), [], "bad", "5 messages wait, the oldest for 61 s: Kafka does not take them"),
        (outbox(5, 12.0), OLDER, "wait", "longer and longer"),
        (outbox(12, 1.0), MORE, "wait", "they become more"),
        (outbox(12, 1.0), [*MORE, sample(99, 1, 1.0)], "good", "on their way"),
    ],
)
def test_the_outbox_is_told_in_a_sentence(found: Outbox, seen: Sequence[Sample], kind: str, says: str) -> None:
    told = meaning(found, seen)

    assert (told[0], says in told[1]) == (kind, True)
