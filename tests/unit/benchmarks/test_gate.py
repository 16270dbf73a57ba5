"""What `make bench QUICK=1` lets pass."""

from __future__ import annotations

from benchmarks.gate import beyond, limits


def test_what_is_at_its_limit_passes() -> None:
    assert beyond({"statements": 0.5, "bytes": 99.0}, {"statements": 0.5, "bytes": 100.0}) == []


def test_each_number_beyond_its_limit_is_told_with_it() -> None:
    assert beyond({"statements": 0.6, "bytes": 99.0}, {"statements": 0.5, "bytes": 98.0}) == [
        "bytes is 99, at most 98 is allowed",
        "statements is 0.6, at most 0.5 is allowed",
    ]


def test_a_number_without_a_limit_fails_and_so_does_a_limit_without_a_number() -> None:
    assert beyond({"new": 1.0}, {"old": 1.0}) == [
        "new has no limit, or was not measured",
        "old has no limit, or was not measured",
    ]


def test_the_limits_are_numbers_above_nothing() -> None:
    assert all(limit > 0 for limit in limits().values())
    assert "python_calls_per_event" in limits()
