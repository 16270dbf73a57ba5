"""Shadows: how often they decide as the live agents do, and where they do not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from pydantic import AwareDatetime, ConfigDict

from app.reads.shapes import PageQuery, RowId, Shape, Term, cut, require_known
from outbox.database import Database, queries
from outbox.shadows import Agreement, agreements, disagreements

_SQL: Final = queries("views.sql")


class ShadowsQuery(PageQuery):
    """Shadows with a page of their disagreements."""

    label: Term | None = None
    before: RowId | None = None
    """The id of the shadow's decision that was the last one of the page before."""


class _FromValues(Shape):
    model_config = ConfigDict(from_attributes=True)


class ShadowSide(_FromValues):
    """What one of the two decided."""

    decision_id: UUID
    outcome: str
    reason: str
    confidence: float
    brain: str


class ShadowDisagreement(_FromValues):
    """An event both decided on, and not the same."""

    event_source: str
    event_id: str
    event_type: str
    entity: str
    entity_id: str
    decided_at: AwareDatetime
    """When the shadow did."""
    same_messages: bool | None
    """Null when one of them is no longer kept."""
    same_history: bool
    """Whether both knew the same when they decided."""
    shadow: ShadowSide
    live: ShadowSide


class Shadow(Shape):
    """A shadow beside its live agent."""

    agent: str
    label: str
    decisions: int
    """Events it has decided on, and those of them that the live agent has decided on too, whose messages are kept."""
    compared: int
    same_outcome: int
    same_messages: int
    same: int
    """Outcome and messages."""
    only_live: int
    """Events the live agent alone has decided on, among those that the shadow has read."""
    dead_letters: int
    rate: float | None
    """Share of what was compared that is the same, 0 to 1; null while nothing is."""
    disagreements: Sequence[ShadowDisagreement]
    next: UUID | None
    """What to give as `before` for its next disagreements."""


class Shadows(Shape):
    """All shadows: there are few."""

    shadows: Sequence[Shadow]
    next: None = None


async def shadows(database: Database, query: ShadowsQuery) -> Shadows:
    """Every shadow with its newest disagreements. Raises `NotFound` for a `before` nobody knows."""
    before = None if query.before is None else str(query.before)
    await require_known(database, _SQL["known_decision"], {"id": before}, "decision")
    found = [await _shadow(database, each, query.limit, before) for each in await agreements(database, query.label)]
    return Shadows(shadows=found)


async def _shadow(database: Database, agreement: Agreement, limit: int, before: str | None) -> Shadow:
    differing = await disagreements(database, agreement.shadow, limit=limit + 1, before=before)
    newest, following = cut(differing, limit, lambda one: one.shadow.decision_id)
    counted = ("agent", "label", "decisions", "compared", "same_outcome", "same_messages", "same", "only_live")
    return Shadow(
        **{name: getattr(agreement, name) for name in (*counted, "dead_letters", "rate")},
        disagreements=list(map(ShadowDisagreement.model_validate, newest)),
        next=following,
    )
