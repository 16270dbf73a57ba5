"""Endpoints: what a path of the JSON interface takes and answers, declared once for the server and for its description.

A handler gets what was asked as models and returns a model; what is wrong with a request is a problem
(RFC 9457, `app.web.problems`) before the handler is called.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from aiohttp import web
from faust.web import View
from pydantic import BaseModel, ValidationError

from agents.model.text import escaped
from app.operators.approvals import expected
from app.reads.shapes import NotFound
from app.web.callers import Caller, Role, caller_of
from app.worker.application import Innervate

T = TypeVar("T", bound=BaseModel)

#: Nothing that is answered may be shown again later: it is of this moment, and of whoever asked.
NO_STORE: Final = {"Cache-Control": "no-store"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A request, read."""

    #: What stands in braces in the path, the query and the body: instances of the endpoint's models.
    place: Any
    query: Any
    body: Any
    caller: Caller
    request: web.Request


#: A model is the body of the answer; a response is the answer.
Answering = Callable[[Asked], Awaitable[BaseModel | web.StreamResponse]]


class Nothing(BaseModel):
    """Takes nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """One path and method."""

    path: str
    answer: Answering
    #: One sentence that says what is answered.
    summary: str
    #: Shape of the answer where all went well.
    answers: type[BaseModel]
    #: What stands in braces in the path.
    place: type[BaseModel] = Nothing
    query: type[BaseModel] = Nothing
    #: The JSON of the body; None where there is none.
    body: type[BaseModel] | None = None
    method: str = "get"
    #: `Role.NOTHING` where anybody may ask: a probe has no token.
    role: Role = Role.READ
    status: int = 200
    #: Shapes of other answers, by status; every other one is a problem.
    others: Mapping[int, type[BaseModel]] = field(default_factory=dict)
    #: Content type of the answer, where it is no JSON.
    media_type: str = "application/json"


def register(app: Innervate, endpoint: Endpoint) -> None:
    """Let Faust's web server answer this path."""

    async def handle(_view: View, request: web.Request, **place: str) -> web.StreamResponse:
        return await _answer(endpoint, request, place)

    canonical = web.UrlDispatcher().add_resource(endpoint.path).canonical
    app.query_parameters[canonical] = frozenset(endpoint.query.model_fields)
    app.required_roles[endpoint.method.upper(), canonical] = endpoint.role
    # Faust reads the methods of a page off its class, and takes plain functions only.
    app.page(endpoint.path, name=endpoint.path)(type("Page", (View,), {endpoint.method: handle}))


def as_json(body: BaseModel, *, status: int = 200) -> web.Response:
    """A model as the body of an answer."""
    return web.Response(text=body.model_dump_json(), content_type="application/json", status=status, headers=NO_STORE)


async def _answer(endpoint: Endpoint, request: web.Request, place: Mapping[str, str]) -> web.StreamResponse:
    asked = Asked(
        place=_read(endpoint.place, place, web.HTTPBadRequest),
        query=_read(endpoint.query, request.query, web.HTTPBadRequest),
        body=None if endpoint.body is None else await _body(endpoint.body, request),
        caller=caller_of(request),
        request=request,
    )
    try:
        answer = await endpoint.answer(asked)
    except NotFound as error:
        raise web.HTTPNotFound(reason=escaped(str(error))) from error
    return as_json(answer, status=endpoint.status) if isinstance(answer, BaseModel) else answer


async def _body(model: type[T], request: web.Request) -> T:
    # A page in somebody's browser cannot send this type to another origin without asking first, and nobody says yes.
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType(reason="the body is application/json")
    try:
        return model.model_validate_json(await request.read())
    except ValidationError as error:
        raise web.HTTPUnprocessableEntity(reason=expected(error)) from error


def _read(model: type[T], given: Mapping[str, Any], refusal: type[web.HTTPError]) -> T:
    try:
        return model.model_validate(dict(given))
    except ValidationError as error:
        raise refusal(reason=expected(error)) from error
