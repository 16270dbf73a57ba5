"""Expectations: what agents await, and what did not happen in time."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Final, Literal
from uuid import UUID

from pydantic import AwareDatetime

from app.reads.shapes import PageQuery, RowId, Shape, Term, asked, cut, require_known
from outbox.database import Database, queries

_SQL: Final = queries("expectations.sql")

State = Literal["open", "missed", "met_late", "void_late", "unknown"]


class ExpectationsQuery(PageQuery):
    """Expectations in one state or in all, of one entity or of all."""

    state: State | None = None
    """`open`, `missed`, `met_late`, `void_late` or `unknown`."""
    entity_id: Term | None = None
    before: RowId | None = None
    """The id of the last one of the page before."""


class KeptExpectation(Shape):
    """What has to follow an event; one that is met in time, or void, is removed."""

    id: UUID
    """Also that of the event which tells of the miss."""
    decision_id: UUID
    """The decision on what it began with."""
    name: str
    agent: str
    entity: str
    entity_id: str
    event_source: str
    event_id: str
    """What it began with."""
    event_at: AwareDatetime
    due_at: AwareDatetime
    """Until when it is to be met, by the times of events."""
    state: State
    missed_at: AwareDatetime | None
    """When it was found that it was not."""
    ended_at: AwareDatetime | None
    """When happened what ended it after all."""
    ended_by: str | None
    """The id of that event."""


class ExpectationsPage(Shape):
    """Expectations, those due last at the beginning."""

    expectations: Sequence[KeptExpectation]
    next: UUID | None
    """What to give as `before` for the next page."""


async def expectations(database: Database, query: ExpectationsQuery) -> ExpectationsPage:
    """Those that the filter lets pass. Raises `NotFound` where `before` is none."""
    before = None if query.before is None else str(query.before)
    await require_known(database, _SQL["known_expectation"], {"id": before}, "expectation")
    rows = await database.run(_SQL["expectations"], asked(query))
    found = [KeptExpectation(**row._asdict()) for row in rows]
    shown, following = cut(found, query.limit, attrgetter("id"))
    return ExpectationsPage(expectations=shown, next=following)
