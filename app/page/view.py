"""View: one page of the page, declared once: where it is, who may see it, and what answers.

    VIEW = View(path="/ui/decisions", title="Decisions", answer=show, query=DecisionsQuery, in_navigation=True)

An answer is a template with what it shows, or a response of its own (a download, a redirection). What a view raises
becomes an error page.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final, TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from agents.model.text import escaped
from app.page.parts import Parts
from app.web.callers import Caller, Role

Q = TypeVar("Q", bound=BaseModel)

#: What a field of the kind `datetime-local` sends.
_NO_ZONE: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,6})?)?")


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """What a view shows: a template of `templates/` and everything it names."""

    template: str
    context: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    #: Instead of the view's own, where it depends on what is shown.
    title: str | None = None
    status: int = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class Visit:
    """Somebody asks for a view."""

    request: web.Request
    parts: Parts
    caller: Caller
    #: What stood in braces in the path.
    place: Mapping[str, str]
    #: The view's query, parsed; None where it has none.
    query: Any
    #: When it was asked for.
    now: datetime = field(default_factory=lambda: datetime.now(UTC))


#: What answers a visit.
Answering = Callable[[Visit], Awaitable[Shown | web.StreamResponse]]


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """A page: `path` begins with `/ui/`; places in braces as aiohttp takes them."""

    path: str
    title: str
    answer: Answering
    #: Parameters that it takes; a wrong or unknown one is 400.
    query: type[BaseModel] | None = None
    method: str = "get"
    #: Whoever has less sees 403.
    role: Role = Role.READ
    #: Whether the navigation leads here, under the title.
    in_navigation: bool = False
    #: The path of the view that the navigation marks while this one is open; its own when empty.
    section: str = ""


def read_query(request: web.Request, model: type[Q]) -> Q:
    """The parameters of the request. Raises 400.

    Those left empty, as forms send them, were not given; an instant without a zone, as forms send it, is UTC.
    """
    given = {
        name: f"{value}Z" if _NO_ZONE.fullmatch(value) else value for name, value in request.query.items() if value
    }
    try:
        return model.model_validate(given)
    except ValidationError as error:
        found = error.errors()[0]
        where = ".".join(map(str, found["loc"])) or "query"
        raise web.HTTPBadRequest(reason=escaped(f"{where}: {found['msg']}")[:300]) from error


def filters_of(query: BaseModel) -> Mapping[str, Any]:
    """What was asked for besides the page of the list, as an address says it."""
    given = query.model_dump(exclude_none=True, exclude={"limit", "before"})
    return {name: "false" if value is False else value for name, value in given.items()}


def uuid_of(text: str, what: str = "decision") -> uuid.UUID:
    """The id in a path. Raises 404: there is no page of that address."""
    try:
        return uuid.UUID(text)
    except ValueError:
        raise web.HTTPNotFound(reason=f"a {what}'s id is a UUID") from None
