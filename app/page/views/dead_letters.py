"""Dead letters: input nobody could process, by its cause; one of them with its bytes, and the way back."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from app.operators.approvals import SignedForm
from app.operators.signatures import operator_of
from app.page.contents import cut_bytes
from app.page.forms import Told, read_form
from app.page.view import Shown, View, Visit, filters_of, uuid_of
from app.reads.dead_letters import DeadLettersQuery, dead_letter, dead_letter_groups, dead_letters
from app.reads.shapes import NotFound
from app.web.callers import Role
from outbox.records import SHADOW_MARK
from outbox.redrives import NotRedriven, UnknownDeadLetter

_SECTION: Final = "/ui/dead-letters"


async def show_list(visit: Visit) -> Shown:
    """Dead letters by their cause, and the newest that the filters let pass."""
    query: DeadLettersQuery = visit.query
    page = await dead_letters(visit.parts.database, query)
    groups = await dead_letter_groups(visit.parts.database)
    filters = filters_of(query)
    context = {"page": page, "groups": groups, "query": query, "filters": filters}
    return Shown(template="dead_letters.html", context=context)


async def show_one(visit: Visit) -> Shown:
    """One dead letter."""
    return await _shown(visit, None)


async def redrive(visit: Visit) -> Shown:
    """Put it back where it came from, and show it as it is then."""
    form = await read_form(visit, SignedForm)
    try:
        await visit.parts.runtime.redrives.redrive(_letter_id(visit), by=operator_of(form, visit.caller))
    except UnknownDeadLetter as unknown:
        raise NotFound(str(unknown)) from unknown
    except NotRedriven as refusal:
        return await _shown(visit, Told(kind="bad", says=f"It was not put back: {refusal}.", status=409))
    return await _shown(visit, Told(kind="good", says="Put back: it is read again within a second or so."))


async def _shown(visit: Visit, told: Told | None) -> Shown:
    letter = await dead_letter(visit.parts.database, _letter_id(visit))
    context: dict[str, Any] = {
        "letter": letter,
        "key": cut_bytes(letter.key),
        "value": cut_bytes(letter.value),
        "is_of_shadow": SHADOW_MARK in letter.consumer,
        "told": told,
        "asked_by": visit.caller,
        "may_redrive": visit.caller.role >= Role.OPERATE,
    }
    title = f"Dead letter: {letter.reason}"
    return Shown(template="dead_letter.html", context=context, title=title, status=200 if told is None else told.status)


def _letter_id(visit: Visit) -> UUID:
    return uuid_of(visit.place["letter_id"], "dead letter")


VIEWS: Final = (
    View(path=_SECTION, title="Dead letters", answer=show_list, query=DeadLettersQuery, in_navigation=True),
    View(path=f"{_SECTION}/{{letter_id}}", title="Dead letter", answer=show_one, section=_SECTION),
    View(
        path=f"{_SECTION}/{{letter_id}}/redrive",
        title="Dead letter",
        answer=redrive,
        method="post",
        role=Role.OPERATE,
        section=_SECTION,
    ),
)
