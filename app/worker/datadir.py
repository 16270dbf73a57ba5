"""Data directory: made with its parents, and tried before anything depends on it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Final

from tables.errors import Fatal

#: What the local databases take before they hold anything is far less; a worker that starts with less room than this
#: stops within minutes (own choice).
ROOM_BYTES: Final = 16 * 1024 * 1024


class DataDirectoryUnusable(Fatal):
    """Nothing can be kept there; the message says where and why."""


def make(directory: Path) -> None:
    """Make the directory unless it is there. Raises `DataDirectoryUnusable` when it cannot hold `ROOM_BYTES` more."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory) as file:
            file.write(bytes(ROOM_BYTES))
            file.flush()
            # Some file systems say only then that they are full.
            os.fsync(file.fileno())
    except OSError as error:
        raise DataDirectoryUnusable(f"DATADIR {directory} cannot be written: {error.strerror or error}") from error
