"""A worker that is told to stop may take as long as its longest decision, and a bounded time more."""

from __future__ import annotations

import pytest

from app.worker.stopping import drain_seconds, stop_seconds


@pytest.mark.parametrize(("longest", "drain", "stop"), [(0.5, 30, 50), (20, 30, 50), (25, 35, 55), (300, 310, 330)])
def test_what_is_in_flight_is_waited_for_as_long_as_the_longest_decision_and_its_commit_take(
    longest: float, drain: float, stop: float
) -> None:
    assert drain_seconds(longest) == drain
    assert stop_seconds(longest) == stop
