"""Sessions of the page: a token is shown once and gives a cookie for some hours.

Nothing is kept of a session. Its cookie is signed with a key made of a secret that every worker reads from the database
and of the token that opened it: every worker believes it, whoever reads the settings or the database alone can make
none, and a token that is taken away, or gets another role, ends its sessions. Each log-in has an id of its own,
whatever the browser had before. What a browser sends by itself is not enough to change anything: the page gives a token
of the session (`csrf_token`) in the header `X-CSRF-Token`.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from app.web.callers import Caller, caller_of
from app.web.tokens import Token, find_token

#: How long a session lasts, in seconds: a day of work.
SESSION_SECONDS: Final = 8 * 3600
#: The cookie where the browser came by HTTPS: no other host and no page without HTTPS can set one of this name.
SECURE_COOKIE: Final = "__Host-innervate-session"
#: The cookie of a loopback interface without HTTPS.
PLAIN_COOKIE: Final = "innervate-session"
CSRF_HEADER: Final = "X-CSRF-Token"

PAGE: Final = "/ui/"
LOGIN: Final = "/ui/login"

#: Id, time of expiry, signature.
_VALUE: Final = re.compile(r"([A-Za-z0-9_-]{22})\.([0-9]{1,12})\.([A-Za-z0-9_-]{43})")
#: A place of the page, in one that is asked for: no other site, no line break.
_PLACE: Final = re.compile(r"/ui/[!-\[\]-~]{0,2000}")

#: Reads the secret of the database.
ReadSecret = Callable[[], Awaitable[bytes]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """Somebody who has shown a token."""

    caller: Caller
    #: What the cookie holds.
    value: str
    csrf_token: str


_SESSION: Final = web.RequestKey("innervate.session", Session)
_CSRF: Final = web.RequestKey("innervate.csrf", str)


class Sessions:
    """Opens sessions and knows them again. Raises what reading the secret raises."""

    def __init__(
        self, tokens: Sequence[Token], read_secret: ReadSecret, *, now: Callable[[], float] = time.time
    ) -> None:
        self._tokens = tokens
        self._read_secret = read_secret
        self._now = now
        self._secret: bytes | None = None

    async def open(self, secret: str) -> Session | None:
        """A new session for whoever has this token; None for a token that nobody has."""
        token = find_token(secret, self._tokens)
        if token is None:
            return None
        signed = f"{secrets.token_urlsafe(16)}.{int(self._now()) + SESSION_SECONDS}"
        return _session(token, await self._key(token), signed)

    async def find(self, request: web.BaseRequest) -> Session | None:
        """The session of the request's cookie; None without one, and for one that is not valid any more."""
        value = _cookie(request)
        parts = _VALUE.fullmatch(value)
        if parts is None or int(parts[2]) <= self._now():
            return None
        signed, found = f"{parts[1]}.{parts[2]}", None
        for token in self._tokens:
            session = _session(token, await self._key(token), signed)
            if hmac.compare_digest(session.value.encode(), value.encode()):
                found = session
        return found

    async def csrf_token(self, request: web.BaseRequest) -> str:
        """What a page that this request asks for gives back with every change, in the header `X-CSRF-Token`."""
        session = session_of(request)
        if session is not None:
            return session.csrf_token
        caller = caller_of(request)
        return _mac(await self._shared_secret(), "csrf", caller.known_by or "", caller.name or "")

    async def offer(self, request: web.BaseRequest) -> None:
        """Have the page's token ready for whoever renders it."""
        request[_CSRF] = await self.csrf_token(request)

    async def has_csrf_token(self, request: web.BaseRequest) -> bool:
        """Whether the request comes from a page that was given to the same caller."""
        given = request.headers.get(CSRF_HEADER, "").encode("utf-8", "surrogateescape")
        return hmac.compare_digest(given, (await self.csrf_token(request)).encode())

    async def log_in(self, request: web.Request) -> web.Response:
        """Answer the form of the page, with `token` and perhaps `next`: 303 and the cookie. Raises 401."""
        form = await request.post()
        token, following = form.get("token"), form.get("next")
        session = await self.open(token.strip()) if isinstance(token, str) else None
        if session is None:
            raise web.HTTPUnauthorized(reason="nobody has this token", headers={"WWW-Authenticate": "Bearer"})
        response = web.Response(status=303, headers={"Location": place_of(following), "Cache-Control": "no-store"})
        is_secure = _is_secure(request)
        response.set_cookie(
            SECURE_COOKIE if is_secure else PLAIN_COOKIE,
            session.value,
            max_age=SESSION_SECONDS,
            path="/",
            secure=is_secure,
            httponly=True,
            samesite="Strict",
        )
        return response

    async def _key(self, token: Token) -> bytes:
        name = "" if token.name is None else token.name
        parts = ("session", name, token.role.word, token.sha256.hex())
        return hmac.digest(await self._shared_secret(), "\0".join(parts).encode(), hashlib.sha256)

    async def _shared_secret(self) -> bytes:
        if self._secret is None:
            self._secret = await self._read_secret()
        return self._secret


def log_out(_request: web.Request) -> web.Response:
    """Forget the cookie, and lead to the page's way in."""
    response = web.Response(status=303, headers={"Location": LOGIN, "Cache-Control": "no-store"})
    response.del_cookie(SECURE_COOKIE, path="/", secure=True, httponly=True, samesite="Strict")
    response.del_cookie(PLAIN_COOKIE, path="/", httponly=True, samesite="Strict")
    return response


def place_of(text: object) -> str:
    """Where to go after a log-in: the place of the page that was asked for, and its beginning for anything else."""
    return text if isinstance(text, str) and _PLACE.fullmatch(text) else PAGE


def session_of(request: web.BaseRequest) -> Session | None:
    """The session that this request belongs to; None for who shows a token, is named by a proxy or need not say."""
    return request.get(_SESSION)


def offered_token(request: web.BaseRequest) -> str | None:
    """The token that a page gives back with every change; None where nothing can be changed."""
    return request.get(_CSRF)


def set_session(request: web.BaseRequest, session: Session) -> None:
    """Note the session of this request; the middleware does."""
    request[_SESSION] = session


def _session(token: Token, key: bytes, signed: str) -> Session:
    return Session(
        caller=token.caller, value=f"{signed}.{_mac(key, 'cookie', signed)}", csrf_token=_mac(key, "csrf", signed)
    )


def _mac(key: bytes, *parts: str) -> str:
    made = hmac.digest(key, "\0".join(parts).encode("utf-8", "surrogateescape"), hashlib.sha256)
    return urlsafe_b64encode(made).decode().rstrip("=")


def _cookie(request: web.BaseRequest) -> str:
    # Whoever can set the plain one (a page without HTTPS, another host of the domain) cannot take the place of this.
    if SECURE_COOKIE in request.cookies or _is_forwarded_securely(request):
        return request.cookies.get(SECURE_COOKIE, "")
    return request.cookies.get(PLAIN_COOKIE, "")


def _is_secure(request: web.BaseRequest) -> bool:
    return _is_forwarded_securely(request) or request.headers.get("Origin", "").startswith("https://")


def _is_forwarded_securely(request: web.BaseRequest) -> bool:
    """Whether the proxy was asked by HTTPS. Who says so without a proxy gets a cookie their browser does not send."""
    return request.headers.get("X-Forwarded-Proto", "").strip().lower() == "https"
