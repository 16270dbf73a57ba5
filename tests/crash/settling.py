"""Settling: waiting until all that was sent is decided and published, for as long as anything moves."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from arena import Arena
from load import Load
from recomputed import REACTED_TO, who_decides
from sale import name_of
from witness import rows

#: Give up when nothing has moved for this long, in seconds.
STALLED_AFTER_SECONDS = 180.0


#: Every message somebody may have to decide on, whoever it came from.
_MESSAGES = """
    SELECT m -> 'value' ->> 'source', m ->> 'id', m -> 'value' ->> 'type', m -> 'value' -> 'data'
    FROM whole_decisions, jsonb_array_elements(whole_messages) AS m
    WHERE m -> 'value' ->> 'type' = ANY (%s)
"""


def settle(arena: Arena, load: Load) -> None:
    """Wait until all that was sent, and all that followed from it, is decided and published.

    Fails when nothing moves any more.
    """
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
        # What is still to be decided is looked for when nothing moves: there may be hundreds of thousands.
        missing = _undecided(url, load) if counts == seen and pending == 0 else None
        if missing == set() and dead >= load.acknowledged.broken:
            return
        if counts != seen:
            seen, moved_at = counts, time.monotonic()
        stalled = time.monotonic() - moved_at > STALLED_AFTER_SECONDS
        assert not stalled, (
            f"nothing moved for {STALLED_AFTER_SECONDS:.0f} s: {decisions} decisions, missing are {_some(missing)},"
            f" {pending} messages wait, {dead} dead letters of {load.acknowledged.broken}"
        )
        time.sleep(0.5)


def decided(url: str) -> set[tuple[str, str]]:
    """Agent and event's name of every decision."""
    found = rows(url, "SELECT agent, event_source, event_id FROM decisions")
    return {(agent, name_of(source, event_id)) for agent, source, event_id in found}


def _undecided(url: str, load: Load) -> set[tuple[str, str]]:
    due = set(load.acknowledged.due)
    for source, message_id, kind, data in rows(url, _MESSAGES, list(REACTED_TO)):
        due.update((agent, name_of(source, message_id)) for agent in who_decides(kind, data))
    return due - decided(url)


def _some(missing: set[tuple[str, str]] | None) -> str:
    if missing is None:
        return "not known"
    by_agent = dict(sorted(Counter(agent for agent, _ in missing).items()))
    return f"{len(missing)} ({by_agent}), such as {sorted(missing)[:5]}"
