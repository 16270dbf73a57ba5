"""Admission: who makes a request, whether they may, and whether they mean it.

What only this machine can reach is open to it: where there are tokens, one is asked for on what changes something.
What more can reach asks for one on everything, and so does a worker behind a proxy that says who asks; the sockets
that are listened on decide, whatever the settings and the request say. Health is always open: a probe has no token.
What is open to this machine alone is open under its own names alone, so that no page in a browser can ask under a
name of its own that leads here (DNS rebinding).

A browser sends cookies, what its proxy adds, and requests to this machine for every page that makes it. So a change
that comes without a token of its own comes from a page of ours (`Sec-Fetch-Site`, else `Origin`), and has the page's
`X-CSRF-Token` where a cookie says who it is, or where it is not JSON, which no form can send.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from aiohttp import web

from app.web.addresses import is_loopback, is_private
from app.web.callers import NOBODY, Caller, RequiredRoles, Role, require, required_role, set_caller
from app.web.connections import Connections
from app.web.proxies import TrustedProxy, came_by_loopback
from app.web.requests import host_of
from app.web.sessions import LOGIN, PAGE, Session, Sessions, set_session
from app.web.tokens import Token, find_token

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

#: Methods that change nothing.
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
#: What a browser says of a request that one of our pages, or its user, makes.
OURS: Final = frozenset({"same-origin", "none"})
_SCHEME: Final = "Bearer "
#: Asks again: a request that another site's link began has no cookie, and this one does.
_AGAIN: Final = '<!doctype html><title>Innervate</title><meta http-equiv="refresh" content="0">'


@dataclass(frozen=True, kw_only=True, slots=True)
class Access:
    """Who may do what by HTTP, as the settings say."""

    #: Those of people, and the one that everybody shares.
    tokens: Sequence[Token] = ()
    proxy: TrustedProxy | None = None
    is_read_only: bool = False

    @property
    def is_guarded(self) -> bool:
        """Whether there is anything that somebody could show."""
        return bool(self.tokens) or self.proxy is not None


def admission(access: Access, sessions: Sessions, connections: Connections, required: RequiredRoles) -> Any:
    """The middleware; `required` are the roles that the paths ask for."""

    @web.middleware
    async def admitted(request: web.Request, handler: Handler) -> web.StreamResponse:
        is_open = connections.is_private is not False and _came_privately(request)
        if is_open and not _names_loopback(request):
            raise web.HTTPForbidden(reason="this interface is called 127.0.0.1, ::1 or localhost")
        role = _role(required, request)
        proxied = _proxied(access, request)
        shown = _shown(access, request)
        session = None if shown is not None or role is Role.NOTHING else await sessions.find(request)
        caller = shown or (session and session.caller) or proxied or _unnamed(access, is_open=is_open)
        set_caller(request, caller)
        if session is not None:
            set_session(request, session)
        if caller.role < role and not caller.is_known and (way_in := _way_in(request)) is not None:
            return way_in
        require(request, role)
        if access.is_read_only and role >= Role.OPERATE:
            raise web.HTTPForbidden(reason="this worker is read-only (READ_ONLY): nothing can be changed here")
        if shown is None and request.method not in _SAFE and request.match_info.route.resource is not None:
            await _refuse_forged(request, role, session, sessions)
        return await handler(request)

    return admitted


def _shown(access: Access, request: web.Request) -> Caller | None:
    """Who the token in the request's head belongs to."""
    given = request.headers.get("Authorization", "")
    token = find_token(given.removeprefix(_SCHEME), access.tokens) if given.startswith(_SCHEME) else None
    return None if token is None else token.caller


def _proxied(access: Access, request: web.Request) -> Caller | None:
    """Who a proxy says asks. Raises 403 and 400 for a header that only a proxy may send, whatever else is shown."""
    proxied = None if access.proxy is None else access.proxy.caller(request)
    if proxied is not None and came_by_loopback(request) and not _names_loopback(request):
        raise web.HTTPForbidden(reason="a proxy on this machine calls this interface 127.0.0.1, ::1 or localhost")
    return proxied


def _unnamed(access: Access, *, is_open: bool) -> Caller:
    """Whoever says nothing. A proxy leads others to this machine as well, so behind one nothing is open."""
    if is_open and access.proxy is None:
        return Caller(name=None, role=Role.READ if access.tokens else Role.APPROVE)
    return NOBODY


def _role(required: RequiredRoles, request: web.Request) -> Role:
    if request.path.startswith("/health/"):
        return Role.NOTHING
    resource = request.match_info.route.resource
    return required_role(required, request.method, None if resource is None else resource.canonical)


def _way_in(request: web.Request) -> web.Response | None:
    """What somebody unknown gets who may not see the page or change what it shows; None for what is not the page."""
    headers = {"Cache-Control": "no-store"}
    if not request.path.startswith(PAGE) or request.path == LOGIN:
        return None
    if "HX-Request" in request.headers:
        return web.Response(status=401, headers=headers | {"HX-Redirect": LOGIN, "WWW-Authenticate": "Bearer"})
    if request.method != "GET" or "text/html" not in request.headers.get("Accept", ""):
        return None
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in OURS:
        return web.Response(text=_AGAIN, content_type="text/html", headers=headers)
    return web.Response(status=303, headers=headers | {"Location": f"{LOGIN}?next={quote(request.path_qs, safe='')}"})


async def _refuse_forged(request: web.Request, role: Role, session: Session | None, sessions: Sessions) -> None:
    """Raise 403 or 415 for what a page of another site may have made a browser send."""
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    is_ours = site in OURS if site is not None else origin is None or _is_own(request, origin)
    if not is_ours:
        raise web.HTTPForbidden(reason="a page of another site asks for this")
    if role is Role.NOTHING:
        return
    if session is not None and not await sessions.has_csrf_token(request):
        raise web.HTTPForbidden(reason="X-CSRF-Token is not that of this session: load the page again")
    is_json = request.content_type == "application/json"
    if session is None and not is_json and not await sessions.has_csrf_token(request):
        raise web.HTTPUnsupportedMediaType(reason="the body is application/json")


def _is_own(request: web.Request, origin: str) -> bool:
    host = request.headers.get("Host", "").lower()
    return origin.lower() in {f"http://{host}", f"https://{host}"}


def _came_privately(request: web.Request) -> bool:
    return request.transport is not None and is_private(request.transport.get_extra_info("sockname"))


def _names_loopback(request: web.Request) -> bool:
    host = host_of(request)
    # A browser always says how it calls this machine; who says nothing is none.
    return host in {"", "localhost"} or is_loopback(host)
