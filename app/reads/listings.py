"""Listings: the rows that loaded domains show of their own tables (`agents.model.listing`), page by page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import create_model

from agents.model.listing import ListedRow, Listing
from app.reads.shapes import NotFound, Shape, Term, TimeQuery, asked, cut
from outbox.database import Database

#: A page of a listing: identifiers come from the declaration, which lets nothing through that needs quotes.
_PAGE: Final = """
SELECT {columns}
FROM {table}
WHERE (%(since)s::timestamptz IS NULL OR {at} >= %(since)s)
  AND (%(until)s::timestamptz IS NULL OR {at} < %(until)s)
  {filters}
  AND (
      %(before)s::text IS NULL
      OR ({at}, {key}) < (SELECT {at}, {key} FROM {table} WHERE {key} = %(before)s)
  )
ORDER BY {at} DESC, {key} DESC
LIMIT %(limit)s
"""
_KNOWN: Final = "SELECT FROM {table} WHERE {key} = %(before)s"
_FILTER: Final = "AND (%({name})s::text IS NULL OR {name} = %({name})s)"


class ListingPage(Shape):
    """Rows of a listing, the newest first."""

    rows: Sequence[ListedRow]
    next: str | None
    """What to give as `before` for the next page."""


@dataclass(frozen=True, slots=True)
class ReadListing:
    """A listing with its query and its answer as models, and its statements."""

    listing: Listing
    query: type[TimeQuery]
    page: type[ListingPage]
    statement: str
    known: str


def read_listing(listing: Listing) -> ReadListing:
    """What is asked and answered of a listing."""
    name = listing.row.__name__
    row = listing.row
    filters: dict[str, Any] = dict.fromkeys(("before", *listing.filters), (Term | None, None))
    query = create_model(f"{name}Query", __base__=TimeQuery, __doc__=f"Filters of {listing.title.lower()}.", **filters)
    page = create_model(
        f"{name}Page",
        __base__=ListingPage,
        __doc__=f"{listing.title}, the newest first.",
        rows=(Sequence[row], ...),  # type: ignore[valid-type]
    )
    words = {"table": listing.source, "at": listing.at, "key": listing.key, "columns": ", ".join(row.model_fields)}
    conditions = "\n  ".join(_FILTER.format(name=each) for each in listing.filters)
    statement = _PAGE.format(**words, filters=conditions)
    return ReadListing(listing, query, page, statement, _KNOWN.format(**words))


async def listed(database: Database, read: ReadListing, query: TimeQuery) -> ListingPage:
    """The newest rows that the filters let pass. Raises `NotFound` for a `before` nobody knows."""
    listing = read.listing
    parameters = asked(query)
    if parameters["before"] is not None and not await database.run(read.known, parameters):
        raise NotFound(f"no row {parameters['before']} in {listing.name}")
    rows = [listing.row(**row._asdict()) for row in await database.run(read.statement, parameters)]
    shown, following = cut(rows, query.limit, lambda row: str(getattr(row, listing.key)))
    return read.page(rows=shown, next=following)
