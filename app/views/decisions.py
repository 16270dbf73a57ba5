"""Decisions: what was decided, by whom and why; and how often shadows decide as the live agents do."""

from __future__ import annotations

from collections.abc import Sequence

from app.reads.decisions import (
    Decision,
    DecisionGroups,
    DecisionsPage,
    DecisionsQuery,
    GroupsQuery,
    decision,
    decision_groups,
    decisions,
)
from app.reads.shadows import Shadows, ShadowsQuery, shadows
from app.reads.shapes import Query, RowId
from app.views.endpoints import Asked, Endpoint
from app.worker.application import Innervate


class DecisionPlace(Query):
    """A decision."""

    decision_id: RowId


def decision_endpoints(app: Innervate) -> Sequence[Endpoint]:
    """What is in the table of decisions."""
    database, approvals = app.runtime.database, app.runtime.approvals

    async def list_decisions(asked: Asked) -> DecisionsPage:
        return await decisions(database, asked.query)

    async def group_decisions(asked: Asked) -> DecisionGroups:
        return await decision_groups(database, asked.query)

    async def show_decision(asked: Asked) -> Decision:
        return await decision(database, approvals, asked.place.decision_id)

    async def list_shadows(asked: Asked) -> Shadows:
        return await shadows(database, asked.query)

    return [
        Endpoint(
            path="/decisions",
            answer=list_decisions,
            query=DecisionsQuery,
            summary="The newest decisions that the filters let pass.",
            answers=DecisionsPage,
        ),
        Endpoint(
            path="/decision-groups",
            answer=group_decisions,
            query=GroupsQuery,
            summary="How often each agent decided what, among the newest 10,000 decisions.",
            answers=DecisionGroups,
        ),
        Endpoint(
            path="/decisions/{decision_id}",
            place=DecisionPlace,
            answer=show_decision,
            summary="A decision with what it knew, its messages, and the answer of a person if it needed one.",
            answers=Decision,
        ),
        Endpoint(
            path="/shadows",
            answer=list_shadows,
            query=ShadowsQuery,
            summary="Every shadow with its newest disagreements.",
            answers=Shadows,
        ),
    ]
