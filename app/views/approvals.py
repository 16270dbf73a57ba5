"""Approvals: what waits for a person, and the answers. Who answers is recorded with the answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

from aiohttp import web

from app.operators.approvals import AnswerForm
from app.operators.signatures import operator_of
from app.reads.approvals import ApprovalsPage, ApprovalsQuery, HeldDecision, held_decision, waiting_approvals
from app.reads.operator_actions import OperatorActionsPage, OperatorActionsQuery, operator_actions
from app.views.decisions import DecisionPlace
from app.views.endpoints import Asked, Endpoint
from app.web.callers import Role
from app.web.problems import problem
from app.worker.application import Innervate
from outbox.approvals import AlreadyAnswered, AnotherContent, Approvals, UnknownApproval
from outbox.database import WAITS_ALONE
from outbox.errors import StatementRejected
from outbox.operator_actions import Operator

#: Answers for the decision with this id: hash of the content, who.
Answering = Callable[[UUID, str, Operator], Awaitable[None]]


def approval_endpoints(app: Innervate) -> Sequence[Endpoint]:
    """What people are asked."""
    database, approvals = app.runtime.database, app.runtime.approvals

    async def list_approvals(asked: Asked) -> ApprovalsPage:
        return await waiting_approvals(database, approvals, asked.query)

    async def approve(asked: Asked) -> HeldDecision | web.Response:
        return await _answered(approvals, approvals.approve, asked)

    async def reject(asked: Asked) -> HeldDecision | web.Response:
        return await _answered(approvals, approvals.reject, asked)

    async def list_actions(asked: Asked) -> OperatorActionsPage:
        return await operator_actions(database, asked.query)

    actions = Endpoint(
        path="/operator-actions",
        answer=list_actions,
        query=OperatorActionsQuery,
        summary="What people changed, when and why, the newest first.",
        answers=OperatorActionsPage,
    )
    waiting = Endpoint(
        path="/approvals",
        answer=list_approvals,
        query=ApprovalsQuery,
        summary="The newest decisions that wait for a person.",
        answers=ApprovalsPage,
    )
    summaries = {
        "approve": (approve, "Publish and do what is held; 409 says why not, 503 why not yet."),
        "reject": (reject, "Give up what is held; 409 says why not."),
    }
    return [
        actions,
        waiting,
        *(
            Endpoint(
                path=f"/decisions/{{decision_id}}/{name}",
                place=DecisionPlace,
                body=AnswerForm,
                method="post",
                role=Role.APPROVE,
                answer=answer,
                summary=summary,
                answers=HeldDecision,
            )
            for name, (answer, summary) in summaries.items()
        ),
    ]


async def _answered(approvals: Approvals, answer: Answering, asked: Asked) -> HeldDecision | web.Response:
    held, form = asked.place.decision_id, asked.body
    error, status, operator = None, 409, operator_of(form, asked.caller)
    try:
        await answer(held, form.content_sha256, operator)
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
    shown = held_decision(approval, approvals.effects)
    return shown if error is None else problem(status, error, approval=shown.model_dump(mode="json"))
