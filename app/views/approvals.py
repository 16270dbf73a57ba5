"""Approvals: what waits for a person, and the answers.

An answer is JSON and says so in its `Content-Type`: a page in somebody's browser cannot send that to another origin
without asking first, and nobody here says yes. Who answers is what they say; nothing but the token is checked.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from operator import itemgetter
from typing import Final

from aiohttp import web
from pydantic import ValidationError

from app.operators.approvals import AnswerForm, expected, shown, summary
from app.views.pages import before_of, cut, json_response, limit_of, uuid_of
from outbox.approvals import AlreadyAnswered, AnotherContent, Approvals, UnknownApproval
from outbox.database import WAITS_ALONE, Database, queries
from outbox.errors import StatementRejected

_SQL: Final = queries("approvals.sql")

#: Answers for the decision with this id: hash of the content, who.
Answering = Callable[[uuid.UUID, str, str], Awaitable[None]]


#: Parameters of the query.
APPROVALS_QUERY: Final = ("limit", "before")


async def list_approvals(database: Database, approvals: Approvals, request: web.Request) -> web.Response:
    """The newest decisions that wait for a person; `?limit= before=ID`, also of one answered in the meantime."""
    limit = limit_of(request)
    before = await before_of(request, database, _SQL["known_approval"], "held decision")
    waiting = await approvals.waiting(limit=limit + 1, before=before)
    found, following = cut([summary(approval) for approval in waiting], limit, itemgetter("id"))
    return json_response({"approvals": found, "next": following})


async def approve(approvals: Approvals, request: web.Request, decision_id: str) -> web.Response:
    """Publish and do what is held; 409 says why not, 503 why not yet."""
    return await _answered(approvals, approvals.approve, request, decision_id)


async def reject(approvals: Approvals, request: web.Request, decision_id: str) -> web.Response:
    """Give up what is held; 409 says why not."""
    return await _answered(approvals, approvals.reject, request, decision_id)


async def _answered(approvals: Approvals, answer: Answering, request: web.Request, decision_id: str) -> web.Response:
    held = uuid_of(decision_id)
    form = await _form(request)
    error, status = None, 409
    try:
        await answer(held, form.content_sha256, form.by)
    except UnknownApproval as unknown:
        raise web.HTTPNotFound(reason=str(unknown)) from unknown
    except (AlreadyAnswered, AnotherContent) as refusal:
        error = str(refusal)
    except StatementRejected as refusal:
        error = f"it stays held: {refusal}"
    except WAITS_ALONE as wait:
        error, status = f"it stays held: {wait}", 503
    approval = await approvals.find(held)
    assert approval is not None, "what was held is never deleted"
    body = {"id": str(held), **shown(approval, approvals.effects)}
    return json_response(body) if error is None else json_response({"error": error, "approval": body}, status=status)


async def _form(request: web.Request) -> AnswerForm:
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType(reason="an answer is application/json")
    try:
        return AnswerForm.model_validate_json(await request.read())
    except ValidationError as error:
        raise web.HTTPUnprocessableEntity(reason=expected(error)) from error
