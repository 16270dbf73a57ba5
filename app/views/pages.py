"""Pages: how a function becomes one; and rows page by page: the newest first, and where the next page begins."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, Final, TypeVar

from aiohttp import web
from faust.utils.json import dumps
from faust.web import View

from app.web.callers import Role
from app.worker.application import Innervate
from outbox.database import Database, Row

T = TypeVar("T")

#: Answers a request; what stands in braces in the path comes by its name.
Answering = Callable[..., Awaitable[web.StreamResponse]]

#: Rows of a page when nobody asks for more or fewer.
DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 500


def add_page(
    app: Innervate, path: str, answer: Answering, *, role: Role, method: str = "get", query: Collection[str] = ()
) -> None:
    """Add what answers at this path to callers with this role; `query` are its parameters, any other is 400."""

    async def handle(_view: View, request: web.Request, **place: str) -> web.StreamResponse:
        return await answer(request, **place)

    canonical = web.UrlDispatcher().add_resource(path).canonical
    app.query_parameters[canonical] = frozenset(query)
    app.required_roles[method.upper(), canonical] = role
    # Faust reads the methods of a page off its class, and takes plain functions only.
    app.page(path, name=path)(type("Page", (View,), {method: handle}))


def json_response(body: object, *, status: int = 200) -> web.Response:
    """JSON, as Faust's own pages write it."""
    return web.Response(body=dumps(body), content_type="application/json", charset="utf-8", status=status)


def limit_of(request: web.Request) -> int:
    """The number of rows asked for with `?limit=`, 1 to 500. Raises 400."""
    text = request.query.get("limit", str(DEFAULT_LIMIT))
    if not text.isascii() or not text.isdecimal() or len(text) > 3 or not 1 <= int(text) <= MAX_LIMIT:
        raise web.HTTPBadRequest(reason=f"limit must be a number from 1 to {MAX_LIMIT}")
    return int(text)


def uuid_of(text: str, what: str = "decision") -> uuid.UUID:
    """The id of a decision, or of something else. Raises 400."""
    try:
        return uuid.UUID(text)
    except ValueError:
        raise web.HTTPBadRequest(reason=f"a {what}'s id is a UUID") from None


async def before_of(request: web.Request, database: Database, known: str, what: str = "decision") -> str | None:
    """The id of `?before=`, the last one of the page before; None for the first page.

    `known` is a statement that finds the row with this `id`. Raises 400 for what is no id, 404 for one nobody knows.
    """
    text = request.query.get("before")
    if text is None:
        return None
    before = str(uuid_of(text, what))
    if not await database.run(known, {"id": before}):
        raise web.HTTPNotFound(reason=f"no {what} {before}")
    return before


def cut(rows: Sequence[T], limit: int, place: Callable[[T], object]) -> tuple[Sequence[T], object]:
    """The rows of a page, of which one more than fit were asked for, and what to give as `before` for the next one.

    None at the end, which is known because the one more was not there.
    """
    shown = rows[:limit]
    return shown, place(shown[-1]) if len(rows) > limit else None


def as_objects(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Rows as objects with the names of their columns."""
    return [row._asdict() for row in rows]
