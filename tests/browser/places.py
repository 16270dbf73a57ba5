"""Where every view is: the path that a test opens for each one that the page declares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from hostile import HOSTILE
from observed import rows
from shop_catalogue import CATALOGUE

from app.page.views.listings import path_of

_DECISION: Final = (
    "SELECT id FROM decisions WHERE (event_source = %(text)s) = %(is_hostile)s"
    " AND agent IN ('recovery', 'fraud') ORDER BY jsonb_array_length(messages) DESC, decided_at LIMIT 1"
)

#: By the path of a view: a query for what stands in its braces, in their order; None where it has none. It is asked for
#: rows that a hostile event left, or for others.
PLACES: Final[Mapping[str, str | None]] = {
    "/ui/": None,
    "/ui/flow": None,
    "/ui/stories": None,
    "/ui/stories/{entity}/{entity_id:.+}": "SELECT entity, entity_id FROM decisions"
    " WHERE (event_source = %(text)s) = %(is_hostile)s AND entity = 'order' AND agent = 'recovery'"
    " ORDER BY jsonb_array_length(messages) DESC, decided_at LIMIT 1",
    "/ui/decisions": None,
    "/ui/decisions/groups": None,
    "/ui/decisions/code": None,
    "/ui/decisions/code/{code_id}": "SELECT max(id) FROM code_versions WHERE (agent = %(text)s) = %(is_hostile)s",
    "/ui/decisions/{decision_id}": _DECISION,
    "/ui/decisions/{decision_id}/knew": _DECISION,
    "/ui/approvals": None,
    "/ui/approvals/{decision_id}": "SELECT decision_id FROM approvals JOIN decisions ON id = decision_id"
    " WHERE (event_id = %(text)s) = %(is_hostile)s ORDER BY asked_at LIMIT 1",
    "/ui/outbox": None,
    "/ui/outbox/dead/{seq}": "SELECT max(seq) FROM outbox_dead WHERE (topic = %(text)s) = %(is_hostile)s",
    "/ui/dead-letters": None,
    "/ui/dead-letters/{letter_id}": "SELECT id FROM dead_letters"
    " WHERE (coalesce(value, key) = convert_to(%(text)s, 'UTF8')) = %(is_hostile)s ORDER BY died_at LIMIT 1",
    "/ui/models": None,
    "/ui/models/calls/{call_id}": "SELECT id FROM llm_calls WHERE (model = %(text)s) = %(is_hostile)s LIMIT 1",
    "/ui/workers": None,
    "/ui/shadows": None,
    "/ui/rows": None,
    **{path_of(listing): None for listing in CATALOGUE.listings.values()},
    "/ui/actions": None,
    "/ui/login": None,
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
