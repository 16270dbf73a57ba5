"""Pages of rows: the newest first, a bounded number at a time, and where the next page begins."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web
from faust.web import Request

if TYPE_CHECKING:
    from app.worker import Innervate

#: Rows of a page when nobody asks for more or fewer.
DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 500


def page(app: Innervate, path: str, *, name: str, query: Collection[str] = ()) -> Callable[[Any], Any]:
    """Add what is decorated at this path; `query` are the parameters it takes, any other is 400."""
    app.query_parameters[web.UrlDispatcher().add_resource(path).canonical] = frozenset(query)
    return app.page(path, name=name)


def limit_of(request: Request) -> int:
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


def as_objects(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
    """Rows as objects with the names of their columns."""
    return [dict(zip(columns, row, strict=True)) for row in rows]
