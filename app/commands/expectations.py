"""Command that lists what agents await and what did not happen in time: `expectations`. It asks PostgreSQL alone."""

from __future__ import annotations

from typing import Any, Final

from app.commands.lists import JSON, answer, asked, filters, more, table
from app.commands.terminal import Terminal, command, opened
from app.reads import expectations as reads
from app.settings import Settings

_HEADERS: Final = ("id", "agent", "expectation", "entity", "began with", "due", "state", "ended by")


@command(*filters(reads.ExpectationsQuery), JSON)
async def expectations(terminal: Terminal, settings: Settings, *, as_json: bool, **typed: Any) -> None:
    """List what agents await, and what did not happen in time."""
    query = asked(reads.ExpectationsQuery, typed)
    async with opened(settings.database_url) as database:
        found = await reads.expectations(database, query)
    if as_json or terminal.json:
        answer(terminal, found)
        return
    rows = [
        (
            one.id,
            one.agent,
            one.name,
            f"{one.entity} {one.entity_id}",
            one.event_id,
            one.due_at,
            one.state,
            one.ended_by,
        )
        for one in found.expectations
    ]
    table(terminal, "Expectations", _HEADERS, rows)
    more(terminal, found.next)
