"""Waiting: a test waits for what it can see, says what that was when it does not come, and never counts on speed."""

from __future__ import annotations

import asyncio
import linecache
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

T = TypeVar("T")

#: Ends a test that would hang. Many times what anything here takes on a machine that does nothing else; a test that
#: passes never waits for it, and none may depend on it.
PATIENCE_SECONDS: Final = 300.0


def eventually(
    look: Callable[[], T],
    enough: Callable[[T], bool] = bool,
    *,
    what: str = "",
    seconds: float = PATIENCE_SECONDS,
    pause_seconds: float = 0.05,
) -> T:
    """Look until it is enough and return what was seen; fails with `what` (or the waiting line) and the last look."""
    what = what or _line_that_waits()
    deadline = time.monotonic() + seconds
    while not enough(seen := look()):
        assert time.monotonic() < deadline, _told(what, seconds, seen)
        time.sleep(pause_seconds)
    return seen


async def until(holds: Callable[[], object], *, what: str = "", seconds: float = PATIENCE_SECONDS) -> None:
    """Look, in a thread, until the condition holds; fails with `what` (or the line that waits) and the last look."""
    what = what or _line_that_waits()
    deadline = time.monotonic() + seconds
    while not (seen := await asyncio.to_thread(holds)):
        assert time.monotonic() < deadline, _told(what, seconds, seen)
        await asyncio.sleep(0.02)


def _told(what: str, seconds: float, seen: object) -> str:
    return f"waited {seconds:.0f} s in vain for {what}; last seen: {seen!r:.1000}"


def _line_that_waits() -> str:
    frame = sys._getframe(2)  # noqa: SLF001 - of the caller's caller
    place = Path(frame.f_code.co_filename)
    return f"{place.name}:{frame.f_lineno} {linecache.getline(str(place), frame.f_lineno).strip()}"
