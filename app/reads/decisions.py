"""Decisions: what was decided, by whom and why."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Annotated, Any, Final, Self
from uuid import UUID

from pydantic import AwareDatetime, model_validator

from app.reads.approvals import Answered, answered
from app.reads.codes import MOST_CODES, CodeVersion, known_code
from app.reads.shapes import NotFound, NotKept, RowId, Shape, Term, TimeQuery, asked, cut, digits, require_known
from outbox.approvals import Approvals
from outbox.database import Database, queries
from outbox.records import Status

_SQL: Final = queries("views.sql")

#: Decisions that are grouped: the newest ones, so that it costs the same however many there are.
GROUPED: Final = 10_000


class DecisionsQuery(TimeQuery):
    """Filters of decisions; one that is not given filters nothing, and all that are given hold together."""

    agent: Term | None = None
    entity: Term | None = None
    """The kind of the entity it is about: `order`."""
    entity_id: Term | None = None
    """The entity's id; together with `entity` it is one entity."""
    related: bool = False
    """With `entity` and `entity_id`: also what was decided about other entities on the same events."""
    event_id: Term | None = None
    """The event that was decided on. Events of several sources may have the same id."""
    event_source: Term | None = None
    message_id: Term | None = None
    """A message that the decision published."""
    correlation_id: Term | None = None
    """What all events of one story share."""
    outcome: Term | None = None
    status: Status | None = None
    brain: Term | None = None
    """`rules` or how a model decided."""
    code: Annotated[int, digits(1, MOST_CODES)] | None = None
    """The code that decided, by its id in the list of code versions."""
    before: RowId | None = None
    """The id of the last decision of the page before."""

    @model_validator(mode="after")
    def _related_to_one(self) -> Self:
        if self.related and not (self.entity and self.entity_id):
            raise ValueError("related needs entity and entity_id")
        return self


class DecisionSummary(Shape):
    """A decision in short."""

    id: UUID
    agent: str
    event_source: str
    event_id: str
    event_type: str
    entity: str
    entity_id: str
    outcome: str
    reason: str
    confidence: float
    """0 to 1."""
    brain: str
    """`rules`, or how a model decided."""
    model: str | None
    fallback_reason: str | None
    """Why the rules decided where a model was to."""
    status: Status
    decided_at: AwareDatetime
    correlation_id: str | None
    code: int | None
    """The code that decided, by its id in the list of code versions; null where its worker did not say."""
    is_other_code: bool
    """Whether the agent decided by other code just before."""


class DecisionsPage(Shape):
    """Decisions, the newest first."""

    decisions: Sequence[DecisionSummary]
    next: UUID | None
    """What to give as `before` for the next page."""


class Decision(DecisionSummary):
    """A decision with what it knew and what follows from it."""

    event_at: AwareDatetime
    topic: str
    """Where the event stands in its timeline."""
    partition: int
    offset: int
    history: dict[str, Any]
    """Offsets of the events the agent knew, in the partition of the event, and their hash."""
    messages: Sequence[dict[str, Any]]
    """What it publishes, as it was committed; empty when that is no longer kept."""
    message_ids: Sequence[str]
    """Their ids, which stay."""
    not_kept: NotKept | None
    """Since when its messages are no longer kept; null while they are."""
    committed_at: AwareDatetime
    chain_depth: int | None
    """How many decisions led to its event."""
    fan_out: int | None
    """The messages of its story with its own, in answer to agents."""
    approval: Answered | None
    """What a person was asked, and answered, if it was held."""
    decided_by: CodeVersion | None
    """What the agent decided by."""


class GroupsQuery(TimeQuery):
    """What is grouped: of this span of time, of one agent or of all."""

    agent: Term | None = None


class DecisionGroup(Shape):
    """Decisions of one agent with one outcome and status."""

    agent: str
    outcome: str
    status: Status
    fell_back: bool
    """Where the rules had to decide in place of a model."""
    decisions: int
    newest_at: AwareDatetime


class DecisionGroups(Shape):
    """Groups, the largest first."""

    groups: Sequence[DecisionGroup]
    grouped: int
    """Decisions that were grouped: the newest of them, at most 10,000."""
    is_capped: bool
    """Whether there are more than were grouped."""
    next: None = None


async def decisions(database: Database, query: DecisionsQuery) -> DecisionsPage:
    """The newest decisions that the filters let pass. Raises `NotFound` for a `before` nobody knows."""
    before = None if query.before is None else str(query.before)
    await require_known(database, _SQL["known_decision"], {"id": before}, "decision")
    rows = await database.run(_SQL["decisions"], asked(query))
    found = [DecisionSummary(**row._asdict()) for row in rows]
    shown, following = cut(found, query.limit, attrgetter("id"))
    return DecisionsPage(decisions=shown, next=following)


async def decision(database: Database, approvals: Approvals, decision_id: UUID) -> Decision:
    """One decision. Raises `NotFound`."""
    rows = await database.run(_SQL["decision"], {"id": str(decision_id)})
    if not rows:
        raise NotFound(f"no decision {decision_id}")
    held = await approvals.find(decision_id)
    return Decision(
        **rows[0]._asdict(),
        approval=None if held is None else answered(held, approvals.effects),
        decided_by=await known_code(database, rows[0].code),
    )


async def decision_groups(database: Database, query: GroupsQuery) -> DecisionGroups:
    """How often each agent decided what, among the newest decisions; the first `limit` groups."""
    rows = await database.run(_SQL["decision_groups"], {**asked(query), "at_most": GROUPED})
    counted = sum(row.decisions for row in rows)
    groups = [DecisionGroup(**row._asdict()) for row in rows[: query.limit]]
    return DecisionGroups(groups=groups, grouped=min(counted, GROUPED), is_capped=counted > GROUPED)
