"""Calls of language models: what was sent, what came back, and what it took; and what is left of the day's tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from operator import attrgetter
from typing import Final
from uuid import UUID

from pydantic import AwareDatetime

from app.reads.shapes import NotFound, NotKept, RowId, Shape, Term, TimeQuery, asked, cut, require_known
from outbox.database import Database, queries

_SQL: Final = queries("views.sql")


class LlmCallsQuery(TimeQuery):
    """Filters of calls; one that is not given filters nothing. `since` and `until` are about `called_at`."""

    agent: Term | None = None
    model: Term | None = None
    decision_id: RowId | None = None
    """What was asked for this decision."""
    failed: bool | None = None
    """Whether it failed: its reply was none that anybody can decide by."""
    before: RowId | None = None
    """The id of the last one of the page before."""


class LlmCall(Shape):
    """One attempt to ask a model, in short."""

    id: UUID
    agent: str
    event_source: str | None
    event_id: str
    decision_id: UUID
    """Of the decision it was asked for; there may be none yet."""
    attempt: int
    """Counts the attempts for the event, from 1."""
    model: str
    prompt_sha256: str
    prompt_tokens: int | None
    """As the server counted; null when it did not say."""
    completion_tokens: int | None
    latency_ms: int
    error: str | None
    """Why nobody can decide by the reply; null when it is valid."""
    called_at: AwareDatetime


class WholeLlmCall(LlmCall):
    """The same with what was sent and what came back, redacted as it was sent."""

    prompt: str
    """Empty when it is no longer kept, and so is the reply."""
    reply: str | None
    not_kept: NotKept | None
    """Since when they are no longer kept; null while they are."""


class LlmCallsPage(Shape):
    """Calls, the newest first."""

    llm_calls: Sequence[LlmCall]
    next: UUID | None


class ModelBudget(Shape):
    """The tokens of an agent on the day of the database (UTC)."""

    agent: str
    day: date
    used_tokens: int
    reserved_tokens: int
    """Set aside for calls under way."""
    limit_tokens: int


class ModelUse(Shape):
    """The calls of an agent to a model among the newest 10,000."""

    agent: str
    model: str
    calls: int
    failed: int
    prompt_tokens: int
    completion_tokens: int
    median_latency_ms: int
    """Half of the calls took no longer, in milliseconds."""
    newest_at: AwareDatetime


class Models(Shape):
    """What models are asked, and what is left of the day."""

    uses: Sequence[ModelUse]
    budgets: Sequence[ModelBudget]
    next: None = None


#: Calls that are summed up: the newest ones, so that it costs the same however many there are.
SUMMED: Final = 10_000


async def llm_calls(database: Database, query: LlmCallsQuery) -> LlmCallsPage:
    """The newest calls that the filters let pass. Raises `NotFound` for a `before` nobody knows."""
    before = None if query.before is None else str(query.before)
    await require_known(database, _SQL["known_llm_call"], {"id": before}, "call")
    found = [LlmCall(**row._asdict()) for row in await database.run(_SQL["llm_calls"], asked(query))]
    shown, following = cut(found, query.limit, attrgetter("id"))
    return LlmCallsPage(llm_calls=shown, next=following)


async def llm_call(database: Database, call_id: UUID) -> WholeLlmCall:
    """One call with its texts. Raises `NotFound`."""
    rows = await database.run(_SQL["llm_call"], {"id": str(call_id)})
    if not rows:
        raise NotFound(f"no call {call_id}")
    return WholeLlmCall(**rows[0]._asdict())


async def models(database: Database, limits: Mapping[str, int]) -> Models:
    """What is asked by whom, and what is left of the budgets; `limits` are tokens a day, by agent."""
    uses = [ModelUse(**row._asdict()) for row in await database.run(_SQL["model_uses"], {"at_most": SUMMED})]
    rows = await database.run(_SQL["model_budgets"], {"agents": sorted(limits)})
    budgets = [ModelBudget(**row._asdict(), limit_tokens=limits[row.agent]) for row in rows]
    return Models(uses=uses, budgets=budgets)
