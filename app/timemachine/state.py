"""State of a replay: its windows, how far it has come, what it has found; in a directory, so that it can go on.

Differences are appended to `differences.jsonl` and are on disk before the position behind them is: position, totals and
windows are one write of RocksDB. A replay that was killed goes on at its last checkpoint; what it had found after that
is cut off and found again. It fails with `StateUnusable` when the directory is another replay's.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, Final

import orjson

from agents.replay.comparison import Comparison, Kind
from agents.replay.span import Part
from agents.replay.totals import Totals
from agents.replay.windows import ReplayWindows, StateInUse
from app.timemachine.differences import difference
from tables.errors import Fatal

#: Where the windows and the position are, and the differences found so far.
WINDOWS: Final = "windows"
DIFFERENCES: Final = "differences.jsonl"
_KEY: Final = b"replay"


class StateUnusable(Fatal):
    """The directory cannot be used for this replay; the message says why."""


@contextmanager
def replay_state(directory: Path | None, arguments: Mapping[str, Any]) -> Iterator[ReplayState]:
    """Open the state of the replay with these arguments (plain JSON), or begin it; None keeps it no longer than this.

    Raises `StateUnusable`.
    """
    kept = directory is not None
    place = directory or Path(tempfile.mkdtemp(prefix="innervate-replay-"))
    try:
        place.mkdir(parents=True, exist_ok=True)
        windows = ReplayWindows(place / WINDOWS, durable=kept)
    except StateInUse as error:
        raise StateUnusable(str(error)) from error
    except OSError as error:
        raise StateUnusable(f"{place}: {error.strerror}") from error
    try:
        state = ReplayState(place, windows, arguments, durable=kept)
        try:
            yield state
        finally:
            state.close()
    finally:
        windows.close()
        if not kept:
            shutil.rmtree(place, ignore_errors=True)


class ReplayState:
    """What one replay keeps. `arguments` must be those it was begun with, or `StateUnusable` is raised."""

    def __init__(self, directory: Path, windows: ReplayWindows, arguments: Mapping[str, Any], *, durable: bool) -> None:
        self.windows = windows
        self.totals = Totals()
        #: As the log was found at the beginning, each to be read on from its `start`.
        self.parts: list[Part] = []
        self._path = directory / DIFFERENCES
        self._arguments = orjson.loads(orjson.dumps(arguments))
        self._durable = durable
        stored = windows.noted(_KEY)
        length = 0 if stored is None else self._restore(orjson.loads(stored))
        self._differences: IO[bytes] = self._path.open("ab")
        self._differences.truncate(length)
        self._differences.seek(length)

    @property
    def is_new(self) -> bool:
        """Whether this replay has not begun."""
        return not self.parts

    def close(self) -> None:
        """Close the file; what came after the last checkpoint is found again."""
        self._differences.close()

    def begin(self, parts: Sequence[Part]) -> None:
        """Keep which part of the log is replayed: a replay that goes on is about the log as it was then."""
        self.parts = list(parts)
        self._note()
        self.windows.commit()

    def take(self, comparison: Comparison, code: Sequence[str] | None = None) -> None:
        """Count a comparison, and keep it when it is a difference; `code` is what of the code is another one now."""
        self.totals.add(comparison, code)
        if comparison.kind is not Kind.SAME:
            self._differences.write(orjson.dumps(difference(comparison, code)) + b"\n")

    def checkpoint(self, part: Part, offset: int) -> None:
        """Note, with the windows' next commit, that everything in this partition before the offset is done."""
        self.parts = [
            replace(each, start=offset) if (each.topic, each.partition) == (part.topic, part.partition) else each
            for each in self.parts
        ]
        self._note()

    def differences(self) -> Iterator[bytes]:
        """Every difference found so far, a line of JSON each."""
        self._differences.flush()
        with self._path.open("rb") as lines:
            for line in lines:
                yield line.rstrip(b"\n")

    def _note(self) -> None:
        self._differences.flush()
        if self._durable:
            os.fsync(self._differences.fileno())
        state = {
            "arguments": self._arguments,
            "parts": [[each.topic, each.partition, each.first, each.start, each.end] for each in self.parts],
            "totals": self.totals.to_json(),
            "differences_bytes": self._differences.tell(),
        }
        self.windows.note(_KEY, orjson.dumps(state))

    def _restore(self, stored: Mapping[str, Any]) -> int:
        """Go on where it was; returns the bytes of differences that count."""
        was = stored["arguments"]
        names = [name for name in {**was, **self._arguments} if was.get(name) != self._arguments.get(name)]
        if names:
            raise StateUnusable(f"{self._path.parent} holds a replay with other arguments: {', '.join(names)}")
        self.parts = [
            Part(topic=topic, partition=partition, first=first, start=start, end=end)
            for topic, partition, first, start, end in stored["parts"]
        ]
        self.totals = Totals.from_json(stored["totals"])
        return int(stored["differences_bytes"])
