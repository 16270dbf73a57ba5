"""Forms: what somebody sends from a page to change something, and what they see of it.

The page sends with a script (htmx), since a change has the page's token in a header (`app.web.sessions`); without one
the page says which command does the same. Who is known does not say who they are: their name is taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from app.operators.approvals import expected
from app.page.view import Visit
from app.web.admission import OURS

F = TypeVar("F", bound=BaseModel)


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What became of a change, at the head of the page that shows it."""

    kind: Literal["good", "wait", "bad"]
    says: str
    status: int = 200


async def read_form(visit: Visit, model: type[F]) -> F:
    """The form that was sent. Raises 422 that says what is wrong with it, 403 for what no page of ours has sent."""
    refuse_forged(visit.request)
    sent = await visit.request.post()
    given: dict[str, Any] = {name: value for name, value in sent.items() if isinstance(value, str) and value.strip()}
    given.pop("answer", None)
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise web.HTTPUnprocessableEntity(reason=expected(error)) from error


def refuse_forged(request: web.Request) -> None:
    """Raise 403 for a form that a page of another site may have made a browser send.

    A browser sends a header of our own to another origin only when that says yes, which nobody here does.
    """
    is_ours = request.headers.get("Sec-Fetch-Site", "same-origin") in OURS
    if not is_ours or request.headers.get("HX-Request") != "true":
        raise web.HTTPForbidden(reason="this was not sent by a page of this worker")
