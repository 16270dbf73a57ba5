"""Patience: how long to wait for a process when nobody knows how fast its machine is.

A wait goes on while the process moves: while it, or a child of it, uses the processor or prints something. It is given
up when nothing has moved for a minute, or when it has taken longer than anything takes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

#: A process that may run moves within this time even where thirty others want the same processor.
STILL_SECONDS: Final = 60.0
#: Nothing of the sandbox takes so long. What moves and gets nowhere is given up then.
MOST_SECONDS: Final = 300.0
#: How often the process is looked at: looking costs a little as well.
_LOOK_SECONDS: Final = 1.0

# Fields of /proc/PID/stat after the name of the program, which may hold anything:
# https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
_SESSION, _USER_TICKS, _SYSTEM_TICKS = 3, 11, 12


class Patience:
    """One wait. `signs` returns something else whenever the process has moved."""

    def __init__(
        self,
        signs: Callable[[], object],
        *,
        most_seconds: float = MOST_SECONDS,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin to wait, `most_seconds` at most; `now` is a clock in seconds."""
        self._signs = signs
        self._most_seconds = most_seconds
        self._now = now
        self._began_at = self._looked_at = self._moved_at = now()
        self._seen = signs()

    def lost(self) -> str | None:
        """Return why to wait no longer, as a part of a sentence; None while there is hope."""
        now = self._now()
        if now - self._began_at > self._most_seconds:
            return f"in {self._most_seconds:.0f} s"
        if now - self._looked_at >= _LOOK_SECONDS:
            self._looked_at = now
            seen = self._signs()
            if seen != self._seen:
                self._seen, self._moved_at = seen, now
        if now - self._moved_at > STILL_SECONDS:
            return f"and stood still for {STILL_SECONDS:.0f} s"
        return None


def signs_of(pid: int, log: Path) -> tuple[int, int]:
    """Return what a process and its children have used of the processor, in ticks, and the size of their log.

    `pid` leads its session, so that every process of it counts. Without /proc the log alone tells.
    """
    ticks = sum(_ticks(stat, pid) for stat in Path("/proc").glob("[0-9]*/stat"))
    return ticks, log.stat().st_size if log.exists() else 0


def _ticks(stat: Path, session: int) -> int:
    try:
        fields = stat.read_text().rpartition(")")[2].split()
    except OSError:
        return 0  # It has just ended.
    of_the_session = int(fields[_SESSION]) == session
    return int(fields[_USER_TICKS]) + int(fields[_SYSTEM_TICKS]) if of_the_session else 0
