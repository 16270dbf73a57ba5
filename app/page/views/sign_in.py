"""Sign in with a token, once, and sign out."""

from __future__ import annotations

from typing import Final

from aiohttp import web
from pydantic import BaseModel

from app.page.view import Shown, View, Visit
from app.web.callers import Role
from app.web.sessions import LOGIN, PAGE, log_out, place_of


class Way(BaseModel):
    """Where somebody comes from."""

    next: str = PAGE


async def show(visit: Visit) -> Shown:
    """The form."""
    return _form(visit.query.next)


async def sign_in(visit: Visit) -> Shown | web.Response:
    """Open a session, and lead to where it was asked for."""
    try:
        return await visit.parts.app.sessions.log_in(visit.request)
    except web.HTTPUnauthorized:
        sent = await visit.request.post()
        return _form(sent.get("next"), is_wrong=True)


async def sign_out(visit: Visit) -> web.Response:
    """End the session in this browser."""
    return log_out(visit.request)


def _form(following: object, *, is_wrong: bool = False) -> Shown:
    context = {"next": place_of(following), "is_wrong": is_wrong}
    return Shown(template="sign_in.html", context=context, status=401 if is_wrong else 200)


VIEWS: Final = (
    View(path=LOGIN, title="Sign in", answer=show, query=Way, role=Role.NOTHING),
    View(path="/ui/session", title="Sign in", answer=sign_in, method="post", role=Role.NOTHING),
    View(path="/ui/logout", title="Sign out", answer=sign_out, method="post", role=Role.NOTHING),
)
