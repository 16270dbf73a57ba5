"""Command that lists what was decided: `decisions`. It talks to PostgreSQL alone."""

from __future__ import annotations

from typing import Any, Final

from app.commands.lists import JSON, answer, asked, filters, more, table
from app.commands.terminal import Terminal, command, opened
from app.reads.decisions import DecisionsQuery, DecisionSummary
from app.reads.decisions import decisions as read_decisions
from app.settings import Settings

_HEADERS: Final = ("decided at", "agent", "entity", "on", "outcome", "sure", "status", "code", "id", "reason")


@command(*filters(DecisionsQuery), JSON)
async def decisions(terminal: Terminal, settings: Settings, *, as_json: bool, **typed: Any) -> None:
    """List what was decided, the newest first."""
    query = asked(DecisionsQuery, typed)
    async with opened(settings.database_url) as database:
        found = await read_decisions(database, query)
    if as_json or terminal.json:
        answer(terminal, found)
        return
    rows = [
        (
            one.decided_at,
            one.agent,
            f"{one.entity} {one.entity_id}",
            one.event_type,
            one.outcome,
            f"{one.confidence:.2f}",
            one.status,
            _code(one),
            one.id,
            one.reason,
        )
        for one in found.decisions
    ]
    table(terminal, "Decisions", _HEADERS, rows)
    more(terminal, found.next)


def _code(decision: DecisionSummary) -> str:
    """The code it was decided by; a star where the agent decided by another just before."""
    return f"{decision.code or ''}{'*' if decision.is_other_code else ''}"
