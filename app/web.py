"""What every HTTP request passes: the bearer token and the shape of errors.

A token is asked for on everything that changes something when one is set, and on reads as well when the interface is
not bound to loopback. Health is always open: a probe has no token. What is open to this machine alone is open under its
own names alone, so that no page in a browser can ask under a name of its own that leads here (DNS rebinding).
"""

from __future__ import annotations

import hmac
import ipaddress
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from aiohttp import web

from app.settings import Settings
from outbox.errors import DatabaseUnavailable, StatementRejected

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def middlewares(settings: Settings) -> Sequence[Any]:
    """The middlewares of the web server, outermost first."""

    @web.middleware
    async def errors(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except DatabaseUnavailable:
            return web.json_response({"error": "PostgreSQL does not answer"}, status=503)
        except StatementRejected:
            return web.json_response({"error": "a parameter holds what PostgreSQL cannot compare"}, status=400)
        except web.HTTPException as error:
            kept = {name: error.headers[name] for name in ("Allow", "WWW-Authenticate") if name in error.headers}
            return web.json_response({"error": error.reason}, status=error.status, headers=kept)
        except Exception:
            log.exception("request failed", extra={"path": request.path})
            return web.json_response({"error": "internal error"}, status=500)

    @web.middleware
    async def bearer_token(request: web.Request, handler: Handler) -> web.StreamResponse:
        if settings.web_on_loopback and not _names_loopback(request):
            raise web.HTTPForbidden(reason="this interface is called 127.0.0.1, ::1 or localhost")
        if _needs_token(settings, request) and not _has_token(settings, request):
            raise web.HTTPUnauthorized(headers={"WWW-Authenticate": "Bearer"})
        return await handler(request)

    return (errors, bearer_token)


def _needs_token(settings: Settings, request: web.Request) -> bool:
    if settings.api_token is None or request.path.startswith("/health/"):
        return False
    return request.method not in {"GET", "HEAD"} or not settings.web_on_loopback


def _names_loopback(request: web.Request) -> bool:
    host = request.url.host or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _has_token(settings: Settings, request: web.Request) -> bool:
    assert settings.api_token is not None
    expected = f"Bearer {settings.api_token.get_secret_value()}"
    given = request.headers.get("Authorization", "")
    return hmac.compare_digest(given.encode(), expected.encode())
