"""Listings: rows that loaded domains show of their own tables, one view for each, from their declarations alone."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from pydantic import BaseModel

from agents.model.catalogue import Catalogue
from agents.model.listing import Listing
from app.page.view import Shown, View, Visit
from app.reads.listings import ReadListing, listed, read_listing
from app.reads.shapes import TimeQuery

_SECTION: Final = "/ui/rows"
#: A column of this name leads to the decision.
_DECISION: Final = "decision_id"


async def show_all(visit: Visit) -> Shown:
    """What can be looked at."""
    listings = [(path_of(each), each) for each in visit.parts.settings.catalogue.listings.values()]
    return Shown(template="listings.html", context={"listings": listings})


def listing_views(catalogue: Catalogue) -> Sequence[View]:
    """One view for each listing of the loaded domains."""
    return [_view(read_listing(listing)) for listing in catalogue.listings.values()]


def path_of(listing: Listing) -> str:
    """Where its rows are."""
    return f"{_SECTION}/{listing.name.replace('_', '-')}"


def _view(read: ReadListing) -> View:
    listing = read.listing
    return View(path=path_of(listing), title=listing.title, answer=_show(read), query=read.query, section=_SECTION)


def _show(read: ReadListing) -> Callable[[Visit], Awaitable[Shown]]:
    listing = read.listing

    async def show(visit: Visit) -> Shown:
        query: TimeQuery = visit.query
        page = await listed(visit.parts.database, read, query)
        rows: Sequence[BaseModel] = page.rows
        stories = {entity.field: entity.name for entity in visit.parts.settings.catalogue.entities.values()}
        context: dict[str, Any] = {
            "listing": listing,
            "path": path_of(listing),
            "about": (listing.row.__doc__ or "").strip(),
            "columns": [(name, _title(name)) for name in listing.row.model_fields],
            "rows": [
                {name: _cell(name, getattr(row, name), stories) for name in type(row).model_fields} for row in rows
            ],
            "filters": {name: getattr(query, name) for name in listing.filters},
            "titles": {name: _title(name) for name in listing.filters},
            "query": query,
            "next": page.next,
        }
        return Shown(template="listing.html", context=context)

    return show


def _title(name: str) -> str:
    words = name.removesuffix("_id").replace("_", " ")
    return words[:1].upper() + words[1:]


def _cell(name: str, value: Any, stories: Mapping[str, str]) -> Mapping[str, Any]:
    """What a template shows of a value: how, and as which text or number."""
    kind, shown = "text", value
    if value is None:
        kind = "none"
    elif isinstance(value, datetime):
        kind = "instant"
    elif isinstance(value, int) and not isinstance(value, bool):
        kind = "number"
    elif isinstance(value, dict | list):
        shown = json.dumps(value, ensure_ascii=False, default=str)
    else:
        kind = _kind(name, stories)
        shown = str(value)
    return {"kind": kind, "value": shown, "entity": stories.get(name)}


def _kind(name: str, stories: Mapping[str, str]) -> str:
    if name == _DECISION:
        return "decision"
    if name in stories:
        return "entity"
    return "id" if name.endswith("_id") else "text"


VIEW: Final = View(path=_SECTION, title="Effects", answer=show_all, in_navigation=True)
