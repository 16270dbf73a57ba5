"""Approvals: what waits for a person, and the answers.

An answer is JSON and says so in its `Content-Type`: a page in somebody's browser cannot send that to another origin
without asking first, and nobody here says yes. Who answers is what they say; nothing but the token is checked.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web
from faust.web import Request, Response, View
from pydantic import ValidationError

from app.operators.approvals import AnswerForm, expected, shown, summary
from app.views.pages import before_of, cut, limit_of, page, uuid_of
from outbox.approvals import AlreadyAnswered, AnotherContent, Approvals, UnknownApproval
from outbox.database import queries
from outbox.errors import StatementRejected

if TYPE_CHECKING:
    from app.worker.application import Innervate

_SQL: Final = queries("approvals.sql")

#: Answers for the decision with this id: hash of the content, who.
Answering = Callable[[uuid.UUID, str, str], Awaitable[None]]


def register_approval_views(app: Innervate) -> None:
    """Add `/approvals`, `/decisions/{id}/approve` and `/decisions/{id}/reject`."""

    @page(app, "/approvals", name="approvals", query=("limit", "before"))
    async def approvals(self: View, request: Request) -> Response:
        """The newest decisions that wait for a person; `?limit= before=ID`, also of one answered in the meantime."""
        limit = limit_of(request)
        before = await before_of(request, app.runtime.database, _SQL["known_approval"], "held decision")
        waiting = await app.runtime.approvals.waiting(limit=limit + 1, before=before)
        found, following = cut([summary(approval) for approval in waiting], limit, itemgetter("id"))
        return self.json({"approvals": found, "next": following})

    @page(app, "/decisions/{decision_id}/approve", name="approve")
    class Approve(View):
        """Publish and do what is held."""

        async def post(self, request: Request, decision_id: str) -> Response:
            """Answer; 409 says why not."""
            held = app.runtime.approvals
            return await _answered(self, held, held.approve, request, decision_id)

    @page(app, "/decisions/{decision_id}/reject", name="reject")
    class Reject(View):
        """Give up what is held."""

        async def post(self, request: Request, decision_id: str) -> Response:
            """Answer; 409 says why not."""
            held = app.runtime.approvals
            return await _answered(self, held, held.reject, request, decision_id)


async def _answered(
    view: View, approvals: Approvals, answer: Answering, request: Request, decision_id: str
) -> Response:
    held = uuid_of(decision_id)
    form = await _form(request)
    error = None
    try:
        await answer(held, form.content_sha256, form.by)
    except UnknownApproval as unknown:
        raise web.HTTPNotFound(reason=str(unknown)) from unknown
    except (AlreadyAnswered, AnotherContent) as refusal:
        error = str(refusal)
    except StatementRejected as refusal:
        error = f"it stays held: {refusal}"
    approval = await approvals.find(held)
    assert approval is not None, "what was held is never deleted"
    body = {"id": str(held), **shown(approval)}
    return view.json(body) if error is None else view.json({"error": error, "approval": body}, status=409)


async def _form(request: Any) -> AnswerForm:
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType(reason="an answer is application/json")
    try:
        return AnswerForm.model_validate_json(await request.read())
    except ValidationError as error:
        raise web.HTTPUnprocessableEntity(reason=expected(error)) from error
