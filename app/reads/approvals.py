"""Approvals: decisions that wait for a person, exactly what follows from an answer, and what was answered."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any, Final
from uuid import UUID

from pydantic import AwareDatetime

from app.reads.shapes import PageQuery, RowId, Shape, cut, require_known
from outbox.approvals import Answer, Approval, Approvals
from outbox.content import readable
from outbox.database import Database, queries
from outbox.records import KnownEffects

_SQL: Final = queries("approvals.sql")


class ApprovalsQuery(PageQuery):
    """A page of what waits."""

    before: RowId | None = None
    """The id of the last one of the page before, also when it was answered in the meantime."""


class Waiting(Shape):
    """A held decision in short."""

    id: UUID
    """That of the decision."""
    agent: str
    event_source: str
    event_id: str
    entity: str
    entity_id: str
    outcome: str
    reason: str
    confidence: float
    brain: str
    hold_reason: str
    """Why it is held; one short word."""
    asked_at: AwareDatetime
    expires_at: AwareDatetime
    """From this instant on nobody can approve it."""
    content_sha256: str
    """Of exactly what follows from an answer; an answer gives it back."""


class ApprovalsPage(Shape):
    """What waits for a person, the newest first."""

    approvals: Sequence[Waiting]
    next: UUID | None


class Answered(Shape):
    """What a person is asked, and the answer if there is one."""

    reason: str
    """Why it is held; one short word."""
    content: dict[str, Any]
    """What an approval publishes (`messages`) and does (`effects`), and what is published without one (`otherwise`)."""
    content_sha256: str
    asked_at: AwareDatetime
    expires_at: AwareDatetime
    answer: Answer | None
    """None while it waits."""
    answered_by: str | None
    answered_at: AwareDatetime | None


class HeldDecision(Answered):
    """The same of one decision."""

    id: UUID


async def waiting_approvals(database: Database, approvals: Approvals, query: ApprovalsQuery) -> ApprovalsPage:
    """The newest decisions that wait for a person. Raises `NotFound` for a `before` that was never held."""
    before = None if query.before is None else str(query.before)
    await require_known(database, _SQL["known_approval"], {"id": before}, "held decision")
    found = list(map(waiting, await approvals.waiting(limit=query.limit + 1, before=before)))
    shown, following = cut(found, query.limit, attrgetter("id"))
    return ApprovalsPage(approvals=shown, next=following)


def waiting(approval: Approval) -> Waiting:
    """One line of the list of what waits."""
    decision = approval.decision
    return Waiting(
        id=approval.decision_id,
        agent=decision.agent,
        event_source=decision.event_source,
        event_id=decision.event_id,
        entity=decision.entity,
        entity_id=decision.entity_id,
        outcome=decision.outcome,
        reason=decision.reason,
        confidence=decision.confidence,
        brain=decision.brain,
        hold_reason=approval.reason,
        asked_at=approval.asked_at,
        expires_at=approval.expires_at,
        content_sha256=approval.content_sha256,
    )


def answered(approval: Approval, known: KnownEffects) -> Answered:
    """Everything about an approval but its decision; `known` are the effects of the loaded domains."""
    return Answered(**_told(approval, known))


def held_decision(approval: Approval, known: KnownEffects) -> HeldDecision:
    """The same with the id of its decision."""
    return HeldDecision(id=approval.decision_id, **_told(approval, known))


def _told(approval: Approval, known: KnownEffects) -> dict[str, Any]:
    return {
        "reason": approval.reason,
        "content": dict(readable(approval.content, known)),
        "content_sha256": approval.content_sha256,
        "asked_at": approval.asked_at,
        "expires_at": approval.expires_at,
        "answer": approval.answer,
        "answered_by": approval.answered_by,
        "answered_at": approval.answered_at,
    }
