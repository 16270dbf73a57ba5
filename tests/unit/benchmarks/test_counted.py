"""Calls are counted between two signals."""

from __future__ import annotations

from pathlib import Path

from benchmarks.counted import CallCounter, read


def work() -> None:
    """Is called."""


def test_calls_between_the_signals_are_counted_and_no_others(tmp_path: Path) -> None:
    counter = CallCounter(tmp_path / "calls.txt")

    work()
    counter.toggle()
    work()
    work()
    counter.toggle()
    work()

    assert read(tmp_path / "calls.txt")["work (benchmarks/test_counted.py)"] == 2
