"""Command that lists by which code agents decided: `versions`. It talks to PostgreSQL alone."""

from __future__ import annotations

from typing import Any, Final

from app.commands.lists import JSON, answer, asked, filters, more, table
from app.commands.terminal import Terminal, command, opened
from app.reads.codes import CodesQuery, codes
from app.settings import Settings

_HEADERS: Final = (
    "code", "agent", "version", "rules", "settings", "release", "first decision", "last decision", "changed",
)  # fmt: skip
#: Characters of a hash that people are shown.
SHOWN: Final = 12


@command(*filters(CodesQuery), JSON)
async def versions(terminal: Terminal, settings: Settings, *, as_json: bool, **typed: Any) -> None:
    """List by which code agents decided, and since when."""
    query = asked(CodesQuery, typed)
    async with opened(settings.database_url) as database:
        found = await codes(database, query)
    if as_json or terminal.json:
        answer(terminal, found)
        return
    rows = [
        (
            one.id,
            one.agent,
            one.version,
            one.rules_hash[:SHOWN],
            one.settings_hash[:SHOWN],
            one.release,
            one.first_decision_at,
            one.last_decision_at,
            ", ".join((*one.changed, *one.changed_names)),
        )
        for one in found.codes
    ]
    table(terminal, "Code versions", _HEADERS, rows)
    more(terminal, found.next)
