"""Troubles: what fails now and is tried again, by name, for readiness. Forgotten a while after the last failure."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

#: How long after its last failure something still counts as failing, in seconds: longer than the longest pause between
#: two attempts.
WELL_SECONDS: Final = 15.0


class Troubles:
    """Remembers the newest failure of each name."""

    def __init__(self) -> None:
        self._failures: dict[str, tuple[str, float]] = {}

    def note(self, name: str, error: BaseException) -> None:
        """Say that this failed just now."""
        self._failures[name] = (described(error), time.monotonic())

    def clear(self, name: str) -> None:
        """Say that this works."""
        self._failures.pop(name, None)

    def current(self) -> Mapping[str, str]:
        """What failed lately, and why, in one line each."""
        now = time.monotonic()
        return {name: text for name, (text, failed_at) in self._failures.items() if now - failed_at < WELL_SECONDS}


def described(error: BaseException) -> str:
    """An error in one line: its kind and what it says."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")
