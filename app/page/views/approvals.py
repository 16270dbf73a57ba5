"""Approvals: what waits for a person, and one of them with exactly what follows from each answer.

Of two people who press at once the second one is shown who was first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from aiohttp import web

from app.operators.approvals import AnswerForm
from app.operators.signatures import operator_of
from app.page.forms import Told, read_form
from app.page.view import Shown, View, Visit, uuid_of
from app.reads.approvals import ApprovalsQuery, held_decision, waiting, waiting_approvals
from app.reads.shapes import NotFound
from app.web.callers import Role
from outbox.approvals import AlreadyAnswered, AnotherContent, UnknownApproval
from outbox.database import WAITS_ALONE
from outbox.errors import StatementRejected

_SECTION: Final = "/ui/approvals"
_GIVEN: Final = {
    "approve": Told(kind="good", says="Approved. What was held is done, and published within a second or so."),
    "reject": Told(kind="good", says="Rejected. Nothing of what was held is done."),
}


async def show_list(visit: Visit) -> Shown:
    """What waits, the newest first."""
    query: ApprovalsQuery = visit.query
    page = await waiting_approvals(visit.parts.database, visit.parts.runtime.approvals, query)
    return Shown(template="approvals.html", context={"page": page, "query": query})


async def show_one(visit: Visit) -> Shown:
    """One held decision, answered or not."""
    return await _shown(visit, None)


async def answer(visit: Visit) -> Shown:
    """Give an answer, and show the decision as it is then."""
    decision_id = uuid_of(visit.place["decision_id"])
    form = await read_form(visit, AnswerForm)
    asked = (await visit.request.post()).get("answer")
    if asked not in _GIVEN:
        raise web.HTTPUnprocessableEntity(reason="answer: expected approve or reject")
    approvals = visit.parts.runtime.approvals
    give = approvals.approve if asked == "approve" else approvals.reject
    try:
        await give(decision_id, form.content_sha256, operator_of(form, visit.caller))
    except UnknownApproval as unknown:
        raise NotFound(str(unknown)) from unknown
    except AlreadyAnswered as first:
        told = _refused(f"Your answer was not given: {first}.")
    except AnotherContent:
        told = _refused("Your answer was not given: what is held is not what you were shown. Look again.")
    except StatementRejected as refusal:
        told = _refused(f"It stays held, PostgreSQL refused it: {refusal}")
    except WAITS_ALONE as wait:
        told = Told(kind="wait", says=f"It stays held, try again: {wait}", status=503)
    else:
        told = _GIVEN[str(asked)]
    return await _shown(visit, told)


def _refused(says: str) -> Told:
    return Told(kind="bad", says=says, status=409)


async def _shown(visit: Visit, told: Told | None) -> Shown:
    approvals = visit.parts.runtime.approvals
    approval = await approvals.find(uuid_of(visit.place["decision_id"]))
    if approval is None:
        raise NotFound(f"decision {visit.place['decision_id']} was never held")
    held = held_decision(approval, approvals.effects)
    return Shown(
        template="approval.html",
        context={
            "held": held,
            "decision": waiting(approval),
            "parts": _parts(held.content),
            "told": told,
            "asked_by": visit.caller,
            "may_answer": visit.caller.role >= Role.APPROVE,
        },
        title=f"{approval.decision.agent}: {approval.decision.outcome}",
        status=200 if told is None else told.status,
    )


def _parts(content: Mapping[str, Any]) -> Mapping[str, Sequence[Any]]:
    """What follows: what an approval does and publishes, and what is published without one."""
    return {name: content[name] for name in ("effects", "messages", "otherwise")}


VIEWS: Final = (
    View(path=_SECTION, title="Approvals", answer=show_list, query=ApprovalsQuery, in_navigation=True),
    View(path=f"{_SECTION}/{{decision_id}}", title="Approval", answer=show_one, section=_SECTION),
    View(
        path=f"{_SECTION}/{{decision_id}}/answer",
        title="Approval",
        answer=answer,
        method="post",
        role=Role.APPROVE,
        section=_SECTION,
    ),
)
