"""Stamps: any number becomes a time that can be stored, and only one that can be true bounds an event's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from agents.engine.stamps import NO_TIME, instant, is_time, latest

NOON = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
NOON_MS = 1_714_564_800_000


@pytest.mark.parametrize(
    ("stamp_ms", "at"),
    [
        (NOON_MS, NOON),
        (NOON_MS + 123, NOON + timedelta(milliseconds=123)),
        (0, NO_TIME),
        (NOON_MS // 1000, datetime(1970, 1, 20, 20, 16, 4, 800_000, tzinfo=UTC)),
    ],
)
def test_a_stamp_is_milliseconds_since_1970(stamp_ms: int, at: datetime) -> None:
    assert instant(stamp_ms) == at
    assert is_time(stamp_ms)


@pytest.mark.parametrize("stamp_ms", [None, -1, -62_135_683_200_000, NOON_MS * 1000, 2**63 - 1, -(2**63)])
def test_what_is_no_time_is_the_beginning_of_1970(stamp_ms: int | None) -> None:
    assert instant(stamp_ms) == NO_TIME
    assert not is_time(stamp_ms)


def test_the_latest_time_of_an_event_is_that_of_its_record() -> None:
    assert latest(NOON_MS, now=NOON + timedelta(days=900)) == NOON
    assert latest(NOON_MS + 3_600_000, now=NOON) == NOON + timedelta(hours=1)


@pytest.mark.parametrize("stamp_ms", [None, -1, 0, NOON_MS // 1000, NOON_MS * 1000, NOON_MS + 3_600_001])
def test_a_stamp_that_cannot_be_true_bounds_nothing_but_now_does(stamp_ms: int | None) -> None:
    assert latest(stamp_ms, now=NOON) == NOON
