"""Decisions: what was decided, by whom and why; and how often shadows decide as the live agents do."""

from __future__ import annotations

import dataclasses
from operator import itemgetter
from typing import Any, Final

from aiohttp import web

from app.operators.approvals import shown
from app.views.pages import as_objects, before_of, cut, json_response, limit_of, uuid_of
from outbox.approvals import Approvals
from outbox.database import Database, queries
from outbox.shadows import agreements, disagreements

_SQL: Final = queries("views.sql")

_FILTERS: Final = ("agent", "entity", "entity_id", "event_id", "event_source", "outcome", "status")

#: Parameters of the queries.
DECISIONS_QUERY: Final = (*_FILTERS, "limit", "before")
SHADOWS_QUERY: Final = ("label", "limit", "before")


async def list_decisions(database: Database, request: web.Request) -> web.Response:
    """The newest decisions; `?agent= entity= entity_id= event_id= event_source= outcome= status= limit= before=`.

    `before` is the id of a decision. Events of several sources may have the same id.
    """
    limit = limit_of(request)
    parameters: dict[str, Any] = {name: request.query.get(name) for name in _FILTERS}
    before = await before_of(request, database, _SQL["known_decision"])
    rows = await database.run(_SQL["decisions"], {**parameters, "before": before, "limit": limit + 1})
    found, following = cut(as_objects(rows), limit, itemgetter("id"))
    return json_response({"decisions": found, "next": following})


async def show_decision(
    database: Database, approvals: Approvals, _request: web.Request, decision_id: str
) -> web.Response:
    """One decision with its history's references, its messages, and the answer of a person if it needed one."""
    asked_for = uuid_of(decision_id)
    rows = await database.run(_SQL["decision"], {"id": decision_id})
    if not rows:
        raise web.HTTPNotFound(reason=f"no decision {decision_id}")
    approval = await approvals.find(asked_for)
    return json_response({**rows[0]._asdict(), "approval": approval and shown(approval, approvals.effects)})


async def list_shadows(database: Database, request: web.Request) -> web.Response:
    """Every shadow with its newest disagreements, and where they go on; `?label= limit= before=ID`."""
    limit = limit_of(request)
    before = await before_of(request, database, _SQL["known_decision"])
    found = []
    for agreement in await agreements(database, request.query.get("label")):
        differing = await disagreements(database, agreement.shadow, limit=limit + 1, before=before)
        newest, following = cut(differing, limit, lambda one: one.shadow.decision_id)
        told = {"disagreements": list(map(dataclasses.asdict, newest)), "next": following}
        found.append({**dataclasses.asdict(agreement), "rate": agreement.rate, **told})
    # There are few shadows, and all are shown.
    return json_response({"shadows": found, "next": None})
