"""Tokens for SASL OAUTHBEARER: fetched by client credentials (RFC 6749, 4.4), kept, and renewed before they end.

aiokafka asks for one with each connection, from the event loop of that client: a worker has several. A token that can
still be used is given out when no new one can be had. Otherwise `TokenUnavailable` is raised in bounded time; aiokafka
logs it as the reason why it does not connect, and tries again.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote_plus
from weakref import WeakKeyDictionary

import httpx
import orjson
from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import KafkaConnectionError
from pydantic import SecretStr
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from tables.errors import Transient

log = logging.getLogger(__name__)

#: From its connection to the last byte of its answer, with every attempt, in seconds. Brokers hang up on who does not
#: log in within `connection.failed.authentication.delay` and the socket's own limits, which are longer.
FETCH_SECONDS: Final = 10.0
ATTEMPTS: Final = 3
#: How long a failure is told again without asking, in seconds: every connection of every client would ask.
REST_SECONDS: Final = 1.0
#: How much of its life a token is used for: the rest is for a server that is away.
USED: Final = 0.8
#: What a token without `expires_in` is taken for, in seconds; OAuth only recommends to say it.
UNSAID_SECONDS: Final = 300.0
#: Largest answer that is read, in bytes.
MOST_BYTES: Final = 256 * 1024


class TokenUnavailable(Transient, KafkaConnectionError):  # type: ignore[misc]  # aiokafka has no types
    """No token could be fetched; the message says why and holds no secret."""

    def __str__(self) -> str:
        """The reason alone."""
        return str(self.args[0])


class _TryAgain(TokenUnavailable):
    """The endpoint is away or busy."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClientCredentials:
    """Who we are to the token endpoint; without `cafile` the usual authorities are trusted."""

    url: str
    client_id: str
    client_secret: SecretStr
    scope: str = ""
    cafile: Path | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Token:
    value: str
    renew_at: float
    ends_at: float


def awake_seconds() -> float:
    """Seconds that go on while the machine sleeps, where the system has such a clock."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class TokenProvider(AbstractTokenProvider):  # type: ignore[misc]  # aiokafka has no types
    """Gives the token out to any number of clients, in any thread."""

    def __init__(
        self,
        login: ClientCredentials,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = awake_seconds,
    ) -> None:
        self._login = login
        self._transport = transport
        self._clock = clock
        self._token: _Token | None = None
        self._failure: tuple[float, TokenUnavailable] | None = None
        # One at a time asks in a loop. Two loops may ask at once, which costs a request.
        self._locks: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()

    async def token(self) -> str:
        """A token with at least a fifth of its life left, if one can be had. Raises `TokenUnavailable`."""
        async with self._locks.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
            held = self._token
            if held is not None and self._clock() < held.renew_at:
                return held.value
            try:
                self._token = held = await self._renewed()
            except TokenUnavailable as error:
                if held is None or self._clock() >= held.ends_at:
                    raise
                log.warning("the token for Kafka is not renewed yet: %s", error)
            return held.value

    async def _renewed(self) -> _Token:
        if self._failure is not None:
            until, error = self._failure
            if self._clock() < until:
                raise error.with_traceback(None)
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                token = await self._fetched()
        except (TimeoutError, TokenUnavailable) as error:
            known = error if isinstance(error, TokenUnavailable) else self._unavailable("no answer in time")
            self._failure = self._clock() + REST_SECONDS, known
            raise known from None
        self._failure = None
        return token

    async def _fetched(self) -> _Token:
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(_TryAgain),
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_random_exponential(multiplier=0.2, max=2.0),
            reraise=True,
        )
        async for attempt in retrying:
            with attempt:
                # A life is counted from before the question: the server counts from somewhere in between.
                began = self._clock()
                return self._read(await self._asked(), began)
        raise AssertionError("the last attempt returns or raises")

    async def _asked(self) -> bytes:
        login = self._login
        form = {"grant_type": "client_credentials", **({"scope": login.scope} if login.scope else {})}
        # Each of the two encoded like a form (RFC 6749, 2.3.1): a colon may be part of them.
        auth = httpx.BasicAuth(quote_plus(login.client_id), quote_plus(login.client_secret.get_secret_value()))
        verify: ssl.SSLContext | bool = ssl.create_default_context(cafile=login.cafile) if login.cafile else True
        try:
            async with (
                httpx.AsyncClient(transport=self._transport, verify=verify, timeout=FETCH_SECONDS) as client,
                client.stream(
                    "POST", login.url, data=form, auth=auth, headers={"Accept": "application/json"}
                ) as answer,
            ):
                body = b""
                async for part in answer.aiter_bytes():
                    body += part
                    if len(body) > MOST_BYTES:
                        raise self._unavailable(f"an answer of more than {MOST_BYTES} bytes")
        except (httpx.TransportError, OSError) as error:
            raise self._unavailable(f"{type(error).__name__}: {error}", _TryAgain) from error
        except httpx.HTTPError as error:
            raise self._unavailable(f"{type(error).__name__}: {error}") from error
        if answer.status_code != httpx.codes.OK:
            is_passing = answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR or answer.status_code in {408, 429}
            said = f"{answer.status_code} {_error_in(body)}".rstrip()
            raise self._unavailable(said, _TryAgain if is_passing else TokenUnavailable)
        return body

    def _read(self, body: bytes, began: float) -> _Token:
        try:
            found = orjson.loads(body)
        except orjson.JSONDecodeError:
            found = None
        if not isinstance(found, dict):
            raise self._unavailable("the answer is no JSON object")
        value, kind, seconds = found.get("access_token"), found.get("token_type"), found.get("expires_in")
        if not isinstance(value, str) or not value or not value.isascii() or not value.isprintable():
            raise self._unavailable("the answer has no usable access_token")
        if not isinstance(kind, str) or kind.lower() != "bearer":
            raise self._unavailable("the answer's token_type is not Bearer")
        lives = _seconds(seconds)
        if lives is None:
            raise self._unavailable("the answer's expires_in is no positive number")
        return _Token(value=value, renew_at=began + USED * lives, ends_at=began + lives)

    def _unavailable(self, why: str, kind: type[TokenUnavailable] = TokenUnavailable) -> TokenUnavailable:
        return kind(f"no token for Kafka from {self._login.url}: {why}")


def _seconds(value: Any) -> float | None:
    """How long a token lives; some servers say it as text. None for what is no positive number."""
    if value is None:
        return UNSAID_SECONDS
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        seconds = float(value)
    except ValueError:
        return None
    return seconds if 0 < seconds < float("inf") else None


def _error_in(body: bytes) -> str:
    """The code of OAuth's errors, such as `invalid_client` (RFC 6749, 5.2), and nothing else the server wrote."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""
    code = found.get("error") if isinstance(found, dict) else None
    is_code = isinstance(code, str) and code.isascii() and code.replace("_", "").isalnum() and len(code) <= 100
    return str(code) if is_code else ""
