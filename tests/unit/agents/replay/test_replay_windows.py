"""Windows of a replay: the rings of live folding, whatever fits in memory, and on disk only what was committed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.replay.windows import ReplayWindows, StateInUse
from tables import window
from tables.window import Entry, WindowSpec

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
TWO = WindowSpec(events=2, age=timedelta(days=1))
CAPACITY = 4
PLACES = [("fraud", 0, "a"), ("fraud", 0, "ab"), ("fraud", 1, "a"), ("recovery", 0, "a")]


@contextmanager
def opened(directory: Path, **bounds: int) -> Iterator[ReplayWindows]:
    with closing(ReplayWindows(directory / "windows", durable=True, **bounds)) as windows:
        yield windows


def fold(windows: ReplayWindows, place: tuple[str, int, str], offset: int, event_id: str | None = None) -> list[Entry]:
    return list(
        windows.fold(
            place,
            TWO,
            offset=offset,
            time=NOON + timedelta(seconds=offset),
            event_id=event_id or f"e{offset}",
            payload=b"x" * 100,
        )
    )


def offsets(windows: ReplayWindows, place: tuple[str, int, str] = PLACES[0]) -> list[int]:
    return [entry.offset for entry in windows.read(place, TWO)]


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.sampled_from(PLACES), st.integers(0, 12), st.booleans()), max_size=60),
    st.sampled_from([0, 900, 1 << 20]),
)
def test_rings_are_those_of_the_pure_fold(
    tmp_path_factory: pytest.TempPathFactory, folds: list[tuple[tuple[str, int, str], int, bool]], clean_bytes: int
) -> None:
    expected: dict[tuple[str, int, str], list[Entry]] = {place: [] for place in PLACES}
    with opened(tmp_path_factory.mktemp("windows"), clean_bytes=clean_bytes) as windows:
        for offset, (place, event, commits) in enumerate(folds):
            ring = expected[place]
            at = NOON + timedelta(seconds=offset)
            entry = window.fold(ring, offset=offset, time=at, event_id=f"e{event}", payload=b"x" * 100)
            if entry is not None:
                ring.append(entry)
                del ring[:-CAPACITY]
            assert fold(windows, place, offset, f"e{event}") == ring
            if commits:
                windows.commit()
        assert {place: list(windows.read(place, TWO)) for place in PLACES} == expected


def test_what_is_committed_is_there_when_it_is_opened_again(tmp_path: Path) -> None:
    with opened(tmp_path) as windows:
        for offset in range(6):
            fold(windows, PLACES[0], offset)
        windows.note(b"position", b"6")
        windows.commit()
        fold(windows, PLACES[0], 6)
        windows.note(b"position", b"7")
    with opened(tmp_path) as windows:
        assert (offsets(windows), windows.noted(b"position")) == ([2, 3, 4, 5], b"6")
        fold(windows, PLACES[0], 6)
        assert offsets(windows) == [3, 4, 5, 6]


def test_it_is_full_when_more_is_new_than_memory_should_hold(tmp_path: Path) -> None:
    with opened(tmp_path, dirty_bytes=1500) as windows:
        fold(windows, PLACES[0], 0)
        assert not windows.is_full
        fold(windows, PLACES[1], 1)
        assert windows.is_full
        windows.commit()
        assert not windows.is_full


def test_reading_and_an_old_offset_make_nothing_new(tmp_path: Path) -> None:
    with opened(tmp_path, dirty_bytes=1) as windows:
        fold(windows, PLACES[0], 5)
        windows.commit()
        fold(windows, PLACES[0], 4)
        fold(windows, PLACES[0], 6, "e5")
        assert offsets(windows) == [5]
        assert not windows.is_full


def test_a_directory_that_is_open_cannot_be_opened_again(tmp_path: Path) -> None:
    with opened(tmp_path), pytest.raises(StateInUse, match="is open in another process"), opened(tmp_path):
        pass
