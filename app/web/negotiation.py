"""Negotiation: people get pages where programs get JSON, errors included.

Everything under `/ui/` is for browsers. What the server answers there as a problem (`app.web.problems`) becomes a page,
whoever noticed it: a view, the limits of the server, or nobody at that address.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from app.web.problems import CONTENT_TYPE

#: Makes the page of an error: the request, its status, and a sentence that says what is wrong.
ErrorPage = Callable[[web.Request, int, str], web.StreamResponse]

#: What makes it, in the web application; without it errors stay problems.
ERROR_PAGE: Final = web.AppKey[ErrorPage]("error_page")

#: Where the page is.
PAGE: Final = "/ui/"
#: Headers of a problem that its page keeps.
_KEPT: Final = ("Allow", "Retry-After")


def prefers_html(request: web.BaseRequest) -> bool:
    """Whether the client would rather have HTML than JSON; who says nothing, or anything will do, is a program."""
    given = {"text/html": 0.0, "application/json": 0.0}
    for part in ",".join(request.headers.getall("Accept", [])).lower().split(","):
        kind, *parameters = (piece.strip() for piece in part.split(";"))
        if kind in given:
            given[kind] = _quality(parameters)
    return given["text/html"] > given["application/json"]


@web.middleware
async def for_people(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Middleware: a problem under `/ui/` becomes a page."""
    answer = await handler(request)
    page = request.app.get(ERROR_PAGE)
    is_problem = isinstance(answer, web.Response) and answer.content_type == CONTENT_TYPE
    if page is None or not is_problem or not request.path.startswith(PAGE):
        return answer
    assert isinstance(answer, web.Response), "see `is_problem`"
    detail = json.loads(answer.text or "{}").get("detail") or answer.reason or ""
    made = page(request, answer.status, detail)
    for name in _KEPT:
        if name in answer.headers:
            made.headers[name] = answer.headers[name]
    return made


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
