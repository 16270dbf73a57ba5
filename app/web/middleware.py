"""What every HTTP request passes: its shape, who may ask, how much at a time, and the shape of errors.

Who may ask, and for what, is `app.web.admission`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from aiohttp import http_exceptions, web

from app.web.admission import Access, Handler, admission
from app.web.callers import RequiredRoles
from app.web.connections import Connections
from app.web.negotiation import for_people
from app.web.problems import problem
from app.web.requests import host_of, refuse_control_characters, refuse_unknown_parameters
from app.web.sessions import Sessions
from outbox.errors import DatabaseUnavailable, StatementRejected

log = logging.getLogger(__name__)

#: Longest body of a request, in bytes; an answer of a person has some hundred.
MAX_BODY_BYTES: Final = 16 * 1024
#: Headers of an error that its answer keeps.
_KEPT_HEADERS: Final = ("Allow", "Retry-After", "WWW-Authenticate")


def middlewares(
    access: Access,
    sessions: Sessions,
    connections: Connections,
    *,
    parameters: Mapping[str, Collection[str]],
    required: RequiredRoles,
    streams: Collection[str] = (),
) -> Sequence[Any]:
    """The middlewares of the web server, outermost first.

    `parameters` are those of the query each path takes, `required` the roles that the paths ask for,
    `streams` the paths whose answers last as long as somebody looks.
    """
    return (
        for_people,
        _errors,
        _well_formed,
        admission(access, sessions, connections, required),
        _known_parameters(parameters),
        _bounded(connections, streams),
    )


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except DatabaseUnavailable:
        return problem(503, "PostgreSQL does not answer")
    except StatementRejected:
        return problem(400, "a parameter holds what PostgreSQL cannot compare")
    except (web.RequestPayloadError, http_exceptions.HttpProcessingError):
        return problem(400, "the body is not what its headers say")
    except web.HTTPException as error:
        kept = {name: error.headers[name] for name in _KEPT_HEADERS if name in error.headers}
        return problem(error.status, error.reason, headers=kept)
    except Exception:
        log.exception("request failed: %s %s", request.method, request.path)
        return problem(500, "internal error")


@web.middleware
async def _well_formed(request: web.Request, handler: Handler) -> web.StreamResponse:
    host_of(request)
    refuse_control_characters(request)
    return await handler(request)


def _known_parameters(parameters: Mapping[str, Collection[str]]) -> Any:
    @web.middleware
    async def known_parameters(request: web.Request, handler: Handler) -> web.StreamResponse:
        resource = request.match_info.route.resource
        if resource is not None:
            refuse_unknown_parameters(request, parameters.get(resource.canonical, ()))
        return await handler(request)

    return known_parameters


def _bounded(connections: Connections, streams: Collection[str]) -> Any:
    limits = connections.limits

    @web.middleware
    async def bounded(request: web.Request, handler: Handler) -> web.StreamResponse:
        await _whole(request, limits.waiting_seconds)
        if request.path in streams:
            return await _streamed(connections, request, handler)
        counted = not _is_health(request)
        if counted and connections.is_full:
            raise web.HTTPServiceUnavailable(reason="too many requests at a time", headers={"Retry-After": "1"})
        with connections.at_work(request.protocol, counted=counted):
            try:
                async with asyncio.timeout(limits.work_seconds):
                    return await handler(request)
            except TimeoutError:
                raise web.HTTPGatewayTimeout(reason="this took too long") from None

    return bounded


async def _streamed(connections: Connections, request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer for as long as it takes, beside the requests and bounded by itself."""
    if not connections.has_place_for_a_stream:
        raise web.HTTPServiceUnavailable(reason="too many streams at a time", headers={"Retry-After": "10"})
    with connections.streaming(request.protocol):
        return await handler(request)


async def _whole(request: web.Request, seconds: float) -> None:
    """Read the body, if there is one. Raises 408 when it does not come."""
    if not request.can_read_body:
        return
    try:
        async with asyncio.timeout(seconds):
            await request.read()
    except TimeoutError:
        raise web.HTTPRequestTimeout(reason="the body did not come in time") from None
    except ConnectionError as error:
        raise web.HTTPBadRequest(reason="the body ended too early") from error


def _is_health(request: web.Request) -> bool:
    return request.path.startswith("/health/")
