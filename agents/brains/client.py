"""ChatClient: asks any server with an OpenAI-compatible chat completions API, bounded in every way.

Time, bytes, tokens, attempts and requests at a time all have limits, so a server that misbehaves costs its own
requests and nothing else. Whatever goes wrong is a `BrainUnavailable`, never another error, and comes before the
deadline. A reply is returned as it came: `agents.brains.structured` judges it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, Self

import httpx
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_random_exponential
from tenacity.stop import stop_base

from agents.brains.circuit import Circuit
from agents.brains.dialect import Dialect, DialectLearner, Prompt
from agents.brains.envelope import Reply, open_envelope
from agents.brains.places import Places
from agents.brains.retry_after import http_date, retry_after_seconds
from agents.brains.server import Limits, Server
from agents.brains.transport import PooledTransport
from agents.model.errors import SERVER_FAILURES, BrainUnavailable, Unavailable

__all__ = ["ChatClient", "Limits", "Prompt", "Reply", "Server"]

#: What the server may have been paid for although nobody can use it.
_COSTLY: Final = frozenset({Unavailable.MALFORMED, Unavailable.REFUSED, Unavailable.TOO_LONG})

#: What is read of a refusal: it names what it refuses in its first lines.
_REFUSAL_BYTES: Final = 16 * 1024


@dataclass(slots=True)
class _Bill:
    """Attempts whose tokens nobody told: the server may have counted them all the same."""

    unanswered: int = 0


class ChatClient:
    """Asks one model of one server, one client for each worker; clients of several models share their places.

    Close it with `async with`, or `close`.
    """

    def __init__(self, server: Server, limits: Limits | None = None, places: Places | None = None) -> None:
        self._server = server
        self._limits = limits or Limits()
        self._url = httpx.URL(server.completions_url)
        self._dialects = DialectLearner()
        self._places = places or Places(concurrency=self._limits.concurrency, queue=self._limits.queue)
        self._circuit = Circuit(failures=self._limits.circuit_failures, open_seconds=self._limits.circuit_open_seconds)
        self._http = httpx.AsyncClient(
            headers=dict(server.headers()),
            timeout=httpx.Timeout(self._limits.attempt_seconds, connect=self._limits.connect_seconds),
            transport=PooledTransport(self._limits.concurrency),
            follow_redirects=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Drop every connection."""
        await self._http.aclose()

    async def complete(self, prompt: Prompt, schema: Mapping[str, Any], *, deadline_seconds: float) -> Reply:
        """Ask the model for a JSON object of `schema`, waiting at most `deadline_seconds` in all.

        Attempts, waits between them and the wait for a free place count. Raises `BrainUnavailable`.
        """
        deadline = time.monotonic() + deadline_seconds
        least_seconds = self._limits.least_seconds(deadline_seconds)
        retrying = AsyncRetrying(
            retry=retry_if_exception(
                lambda error: isinstance(error, BrainUnavailable) and error.reason in SERVER_FAILURES
            ),
            wait=self._wait_seconds,
            stop=_Stop(self._limits.attempts, deadline - least_seconds, self._circuit),
            reraise=True,
        )
        bill = _Bill()
        try:
            reply: Reply = await retrying(self._attempt, prompt, schema, deadline, least_seconds, bill)
        except BrainUnavailable as error:
            error.unanswered = bill.unanswered
            raise
        return replace(reply, unanswered=bill.unanswered)

    def check(self) -> None:
        """Raise `BrainUnavailable` when `complete` would not ask now: the circuit is open, or too many wait."""
        self._circuit.check()
        self._places.check()

    def _wait_seconds(self, state: RetryCallState) -> float:
        """As long as the server asks, and a random time more: those it sent away together must not return together."""
        jitter = wait_random_exponential(self._limits.first_wait_seconds, self._limits.wait_cap_seconds)(state)
        error = state.outcome.exception() if state.outcome is not None else None
        asked = error.retry_after_seconds if isinstance(error, BrainUnavailable) else None
        return jitter + (asked or 0.0)

    async def _attempt(
        self, prompt: Prompt, schema: Mapping[str, Any], deadline: float, least_seconds: float, bill: _Bill
    ) -> Reply:
        self.check()  # nobody waits for a place to learn that the server is left alone
        async with self._places.place(deadline - least_seconds):
            with self._circuit.passage():
                until = min(deadline, time.monotonic() + self._limits.attempt_seconds)
                return await self._exchange(prompt, schema, until, bill)

    async def _exchange(self, prompt: Prompt, schema: Mapping[str, Any], until: float, bill: _Bill) -> Reply:
        """Ask, in simpler dialects while the server refuses the dialect. Errors are translated, never passed on."""
        try:
            async with asyncio.timeout(until - time.monotonic()):
                while True:
                    reply = await self._ask(prompt, schema)
                    if reply is not None:
                        return reply
        except BrainUnavailable as error:
            bill.unanswered += error.reason in _COSTLY
            raise
        except (TimeoutError, httpx.TimeoutException) as error:
            bill.unanswered += not isinstance(error, httpx.ConnectTimeout)
            raise BrainUnavailable(Unavailable.TIMEOUT, type(error).__name__) from None
        except httpx.HTTPError as error:
            bill.unanswered += not isinstance(error, httpx.ConnectError)
            # Its message may quote what the server sent.
            raise BrainUnavailable(Unavailable.CONNECTION, type(error).__name__) from None

    async def _ask(self, prompt: Prompt, schema: Mapping[str, Any]) -> Reply | None:
        """One request; None when the server refused the dialect and a simpler one is to be tried."""
        dialect = self._dialects.dialect()
        body = dialect.body(self._server.model, prompt, schema, max_tokens=self._limits.reply_tokens)
        asked_at = time.monotonic()
        async with self._http.stream("POST", self._url, content=body) as response:
            if response.status_code != httpx.codes.OK:
                await self._refusal(dialect, response)
                return None
            answer = await self._read(response)
        latency = time.monotonic() - asked_at
        self._dialects.answered(dialect)
        return open_envelope(answer, asked_model=self._server.model, latency_seconds=latency)

    async def _refusal(self, dialect: Dialect, response: httpx.Response) -> None:
        """Learn from an answer that is none; returns when to ask again at once, simpler. Raises `BrainUnavailable`."""
        status = response.status_code
        # One that says when to come back has no trouble with what it was asked.
        if "Retry-After" not in response.headers and self._dialects.refused(dialect, status, await _start(response)):
            return
        _raise_if_passing(response)
        raise BrainUnavailable(Unavailable.BAD_REQUEST, f"the server answered {status}")

    async def _read(self, response: httpx.Response) -> bytes:
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise BrainUnavailable(Unavailable.MALFORMED, "an encoded answer, which was not asked for")
        body = bytearray()
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > self._limits.reply_bytes:
                raise BrainUnavailable(Unavailable.TOO_LONG, f"more than {self._limits.reply_bytes} bytes")
        return bytes(body)


async def _start(response: httpx.Response) -> bytes:
    """What a refusal says, as far as it is worth reading."""
    start = bytearray()
    async for chunk in response.aiter_raw():
        start += chunk
        if len(start) >= _REFUSAL_BYTES:
            break
    return bytes(start[:_REFUSAL_BYTES])


class _Stop(stop_base):
    """No further attempt: there were enough, it would begin too late, or the circuit has opened meanwhile."""

    def __init__(self, attempts: int, latest: float, circuit: Circuit) -> None:
        self._attempts = attempts
        self._latest = latest
        self._circuit = circuit

    def __call__(self, state: RetryCallState) -> bool:
        return (
            state.attempt_number >= self._attempts
            or time.monotonic() + state.upcoming_sleep > self._latest
            or not self._circuit.lets_through
        )


def _raise_if_passing(response: httpx.Response) -> None:
    status = response.status_code
    if status == httpx.codes.TOO_MANY_REQUESTS:
        reason = Unavailable.RATE_LIMITED
    elif status == httpx.codes.REQUEST_TIMEOUT:
        reason = Unavailable.TIMEOUT
    elif status >= httpx.codes.INTERNAL_SERVER_ERROR:
        reason = Unavailable.SERVER_ERROR
    else:
        return
    # By the server's own clock, when it tells the time: the two may differ.
    now = http_date(response.headers.get("Date")) or datetime.now(UTC)
    asked = retry_after_seconds(response.headers.get("Retry-After"), now=now)
    raise BrainUnavailable(reason, f"the server answered {status}", retry_after_seconds=asked)
