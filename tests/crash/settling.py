"""Settling: waiting until all that was sent is decided and published, for as long as anything moves."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from arena import Arena
from load import Load
from witness import rows

#: Give up when nothing has moved for this long, in seconds.
STALLED_AFTER_SECONDS = 90.0


def settle(arena: Arena, load: Load) -> None:
    """Wait until every input is decided and nothing is left to publish; fail when nothing moves any more."""
    url = arena.sandbox.database_url
    seen: list[tuple[Any, ...]] = []
    moved_at = time.monotonic()
    while True:
        arena.supervise()
        counts = rows(
            url,
            "SELECT (SELECT count(*) FROM decisions), (SELECT count(*) FROM outbox_messages),"
            " (SELECT count(*) FROM dead_letters)",
        )
        [(decisions, pending, dead)] = counts
        enough = decisions >= len(load.acknowledged.due) and dead >= load.acknowledged.broken and pending == 0
        if enough and load.acknowledged.due <= {one for (one,) in rows(url, "SELECT event_id FROM decisions")}:
            return
        if counts != seen:
            seen, moved_at = counts, time.monotonic()
        stalled = time.monotonic() - moved_at > STALLED_AFTER_SECONDS
        assert not stalled, (
            f"nothing moved for {STALLED_AFTER_SECONDS:.0f} s: {decisions} decisions of {len(load.acknowledged.due)},"
            f" {pending} messages wait, {dead} dead letters of {load.acknowledged.broken}"
        )
        time.sleep(0.5)


def until(happens: Callable[[], bool], what: str) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + STALLED_AFTER_SECONDS
    while not happens():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.2)
