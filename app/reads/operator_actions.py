"""Operator actions: who changed what, when and why."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Final
from uuid import UUID

from pydantic import AwareDatetime

from app.reads.shapes import RowId, Shape, Term, TimeQuery, asked, cut, require_known
from outbox.database import Database, queries
from outbox.operator_actions import Action, KnownBy

_SQL: Final = queries("operator_actions.sql")


class OperatorActionsQuery(TimeQuery):
    """Filters of what people did; one that is not given filters nothing."""

    by_whom: Term | None = None
    """The name that was recorded."""
    action: Action | None = None
    target: Term | None = None
    """The id of a decision, a dead letter or a message."""
    before: RowId | None = None
    """The id of the last one of the page before."""


class OperatorAction(Shape):
    """What somebody did."""

    id: UUID
    at: AwareDatetime
    by_whom: str
    known_by: KnownBy
    """What says that the name is theirs: a token, a proxy, nothing but their own account, or the command line."""
    role: str | None
    action: Action
    target: str
    """The id of the decision, of the dead letter or of the message."""
    reason: str | None


class OperatorActionsPage(Shape):
    """What people did, the newest first."""

    operator_actions: Sequence[OperatorAction]
    next: UUID | None


async def operator_actions(database: Database, query: OperatorActionsQuery) -> OperatorActionsPage:
    """The newest actions that the filters let pass. Raises `NotFound` for a `before` nobody knows."""
    before = None if query.before is None else str(query.before)
    await require_known(database, _SQL["known"], {"id": before}, "action")
    found = [OperatorAction(**row._asdict()) for row in await database.run(_SQL["page"], asked(query))]
    shown, following = cut(found, query.limit, attrgetter("id"))
    return OperatorActionsPage(operator_actions=shown, next=following)
