"""The data directory: one that cannot be written is noticed before anything depends on it."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.worker import datadir
from app.worker.datadir import DataDirectoryUnusable


def test_it_is_made_with_its_parents_and_nothing_is_left_in_it(tmp_path: Path) -> None:
    directory = tmp_path / "var" / "data"

    datadir.make(directory)
    datadir.make(directory)

    assert list(directory.iterdir()) == []


def test_a_place_below_a_file_is_refused_with_its_path_and_the_reason(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(DataDirectoryUnusable, match=r"^DATADIR .*/file/data cannot be written: Not a directory$"):
        datadir.make(tmp_path / "file" / "data")


def test_a_file_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(DataDirectoryUnusable, match="File exists"):
        datadir.make(tmp_path / "file")


@contextmanager
def files_no_longer_than(size_bytes: int) -> Iterator[None]:
    """Stands where a full disk does: the kernel takes no byte more."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_directory_without_room_is_refused(tmp_path: Path) -> None:
    with files_no_longer_than(1024), pytest.raises(DataDirectoryUnusable, match="cannot be written: File too large"):
        datadir.make(tmp_path)
    assert list(tmp_path.iterdir()) == []
