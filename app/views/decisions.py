"""Decisions: what was decided, by whom and why."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web
from faust.web import Request, Response, View

from app.operators.approvals import shown
from app.views.pages import as_objects, before_of, cut, limit_of, page, uuid_of
from outbox.database import queries

if TYPE_CHECKING:
    from app.worker.application import Innervate

_SQL: Final = queries("views.sql")

_SUMMARY: Final = (
    "id", "agent", "event_source", "event_id", "event_type", "entity", "entity_id", "outcome", "reason", "confidence",
    "brain", "model", "fallback_reason", "status", "decided_at",
)  # fmt: skip
_FULL: Final = (
    *_SUMMARY, "event_at", "topic", "partition", "offset", "history", "messages", "committed_at",
    "correlation_id", "chain_depth", "fan_out",
)  # fmt: skip
_FILTERS: Final = ("agent", "entity", "entity_id", "event_id", "event_source", "outcome", "status")


def register_decision_views(app: Innervate) -> None:
    """Add `/decisions` and `/decisions/{id}`."""

    @page(app, "/decisions", name="decisions", query=(*_FILTERS, "limit", "before"))
    async def decisions(self: View, request: Request) -> Response:
        """The newest decisions; `?agent= entity= entity_id= event_id= event_source= outcome= status= limit= before=`.

        `before` is the id of a decision. Events of several sources may have the same id.
        """
        database, limit = app.runtime.database, limit_of(request)
        parameters: dict[str, Any] = {name: request.query.get(name) for name in _FILTERS}
        before = await before_of(request, database, _SQL["known_decision"])
        rows = await database.run(_SQL["decisions"], {**parameters, "before": before, "limit": limit + 1})
        found, following = cut(as_objects(_SUMMARY, rows), limit, itemgetter("id"))
        return self.json({"decisions": found, "next": following})

    @page(app, "/decisions/{decision_id}", name="decision")
    async def decision(self: View, _request: Request, decision_id: str) -> Response:
        """One decision with its history's references, its messages, and the answer of a person if it needed one."""
        asked_for = uuid_of(decision_id)
        rows = await app.runtime.database.run(_SQL["decision"], {"id": decision_id})
        if not rows:
            raise web.HTTPNotFound(reason=f"no decision {decision_id}")
        approval = await app.runtime.approvals.find(asked_for)
        return self.json({**as_objects(_FULL, rows)[0], "approval": approval and shown(approval)})
