"""Missing: of which records PostgreSQL has neither a decision nor a dead letter. Reads only."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from outbox.database import Database, queries

_SQL: Final = queries("missing.sql")

#: Source and id of an event; None for a record that is none.
Identity = tuple[str, str] | None


async def unanswered(
    database: Database, *, consumer: str, topic: str, partition: int, due: Mapping[int, Identity]
) -> Sequence[int]:
    """Those of these offsets that this consumer has neither decided on nor given up, in their order.

    `due` has the event at each offset. Raises `DatabaseUnavailable`.
    """
    if not due:
        return []
    place = {"consumer": consumer, "topic": topic, "partition": partition, "first": min(due), "last": max(due)}
    answered = {row.offset for row in await database.run(_SQL["answered_offsets"], place)}
    left = [offset for offset in sorted(due) if offset not in answered]
    copies = await _decided(
        database, consumer, {offset: event for offset in left if (event := due[offset]) is not None}
    )
    return [offset for offset in left if offset not in copies]


async def _decided(database: Database, consumer: str, events: Mapping[int, tuple[str, str]]) -> Collection[int]:
    """The offsets of those events that were decided on at another one."""
    if not events:
        return ()
    offsets = list(events)
    rows = await database.run(
        _SQL["answered_events"],
        {
            "consumer": consumer,
            "event_sources": [source for source, _ in events.values()],
            "event_ids": [event_id for _, event_id in events.values()],
        },
    )
    return {offsets[row.position - 1] for row in rows}
