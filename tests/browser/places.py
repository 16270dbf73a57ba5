"""Where every view is: the path that a test opens for each one that the page declares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from hostile import HOSTILE
from observed import rows

#: By the path of a view: a query for what stands in its braces, in their order; None where it has none. It is asked for
#: rows that a hostile event left, or for others.
PLACES: Final[Mapping[str, str | None]] = {
    "/ui/": None,
    "/ui/decisions": None,
    "/ui/decisions/groups": None,
    "/ui/decisions/{decision_id}": "SELECT id FROM decisions WHERE (event_source = %(text)s) = %(is_hostile)s"
    " AND agent IN ('recovery', 'fraud') ORDER BY jsonb_array_length(messages) DESC, decided_at LIMIT 1",
    "/ui/help": None,
}


def opened(path: str, database_url: str, *, is_hostile: bool = False) -> str:
    """The path of the view as a test opens it."""
    query = PLACES[path]
    if query is None:
        return path
    [found] = rows(database_url, query, {"text": HOSTILE, "is_hostile": is_hostile})
    return filled(path, found)


def filled(path: str, values: tuple[Any, ...]) -> str:
    """The path with these in the place of its braces."""
    for value in values:
        before, _, rest = path.partition("{")
        path = f"{before}{quote(str(value), safe='')}{rest.partition('}')[2]}"
    return path
