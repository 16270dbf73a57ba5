"""Misbehaviour: the ways in which a model server fails its clients, by name, over real HTTP.

Those that would go on for ever end when their client leaves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson
from aiohttp import web


@dataclass(frozen=True, kw_only=True, slots=True)
class Misbehave:
    """An answer that is one of `MISBEHAVIOURS`, by its name."""

    how: str
    #: The header of `rate_limited`: seconds or an HTTP date.
    retry_after: str = "1"
    #: What `slow` says in the end, and when.
    text: str = "{}"
    seconds: float = 2.0


#: From the request and the model's name to an answer.
Misbehaviour = Callable[[web.Request, str, Misbehave], Awaitable[web.StreamResponse]]

#: Half of an object: what a model writes that is cut off in the middle, in a correct chat completion.
HALF_AN_OBJECT: Final = '{"outcome": "approve", "confidence": 0.'


def chat_completion(
    model: str, text: str | None, *, prompt: str = "", finish_reason: str = "stop", refusal: str | None = None
) -> Mapping[str, Any]:
    """The envelope of a reply. Tokens are guessed at four characters each."""
    prompt_tokens, completion_tokens = len(prompt) // 4 + 1, len(text or "") // 4 + 1
    message = {"role": "assistant", "content": text, "refusal": refusal}
    return {
        "id": "chatcmpl-scripted",
        "object": "chat.completion",
        "created": 0,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": finish_reason}],
        "usage": {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": prompt_tokens + completion_tokens,
        },
    }


async def _never_answers(_request: web.Request, _model: str, _how: Misbehave) -> web.StreamResponse:
    """Takes the request and says nothing, not even a header."""
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


async def _timeout(request: web.Request, _model: str, _how: Misbehave) -> web.StreamResponse:
    """Sends the header and the first bytes, then nothing more."""
    response = await _begun(request)
    await response.write(b'{"id": "chatcmpl-scripted", ')
    await asyncio.Event().wait()
    return response


async def _slow(_request: web.Request, model: str, how: Misbehave) -> web.StreamResponse:
    """A good answer, late."""
    await asyncio.sleep(how.seconds)
    return web.json_response(chat_completion(model, how.text))


async def _rate_limited(_request: web.Request, _model: str, how: Misbehave) -> web.StreamResponse:
    return _error(429, "rate limit reached", {"Retry-After": how.retry_after})


async def _server_error(_request: web.Request, _model: str, _how: Misbehave) -> web.StreamResponse:
    return _error(500, "the server had an error", {})


async def _cut(request: web.Request, model: str, _how: Misbehave) -> web.StreamResponse:
    """Half of a correct answer, then the connection ends."""
    whole = orjson.dumps(chat_completion(model, "{}"))
    response = await _begun(request)
    await response.write(whole[: len(whole) // 2])
    if request.transport is not None:
        request.transport.close()
    return response


async def _malformed(_request: web.Request, _model: str, _how: Misbehave) -> web.StreamResponse:
    """A page of a proxy where JSON should be."""
    return web.Response(text="<html><body>It works!</body></html>", content_type="text/html")


async def _compressed(_request: web.Request, model: str, how: Misbehave) -> web.StreamResponse:
    """An answer in gzip, which nobody asked for: few bytes that may unpack to any number."""
    response = web.json_response(chat_completion(model, how.text))
    response.enable_compression(web.ContentCoding.gzip)
    return response


async def _missing_fields(_request: web.Request, model: str, _how: Misbehave) -> web.StreamResponse:
    return web.json_response({"id": "chatcmpl-scripted", "model": model, "choices": []})


async def _half_valid(_request: web.Request, model: str, _how: Misbehave) -> web.StreamResponse:
    """A correct chat completion around half an object."""
    return web.json_response(chat_completion(model, HALF_AN_OBJECT))


async def _refusal(_request: web.Request, model: str, _how: Misbehave) -> web.StreamResponse:
    return web.json_response(chat_completion(model, None, refusal="I'm sorry, I cannot help with that."))


async def _filtered(_request: web.Request, model: str, _how: Misbehave) -> web.StreamResponse:
    return web.json_response(chat_completion(model, "", finish_reason="content_filter"))


async def _too_long(_request: web.Request, model: str, _how: Misbehave) -> web.StreamResponse:
    """The model did not come to an end within its tokens."""
    return web.json_response(chat_completion(model, HALF_AN_OBJECT, finish_reason="length"))


async def _endless(request: web.Request, _model: str, _how: Misbehave) -> web.StreamResponse:
    """Streams without end, as fast as the client reads."""
    response = await _begun(request)
    while True:
        await response.write(b" " * 16 * 1024)


#: By name, as the command line and the reports call them.
MISBEHAVIOURS: Final[Mapping[str, Misbehaviour]] = {
    "never_answers": _never_answers,
    "timeout": _timeout,
    "slow": _slow,
    "rate_limited": _rate_limited,
    "server_error": _server_error,
    "cut": _cut,
    "malformed": _malformed,
    "compressed": _compressed,
    "missing_fields": _missing_fields,
    "half_valid": _half_valid,
    "refusal": _refusal,
    "filtered": _filtered,
    "too_long": _too_long,
    "endless": _endless,
}


async def _begun(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    return response


def _error(status: int, message: str, headers: Mapping[str, str]) -> web.Response:
    error = {"message": message, "type": "scripted"}
    return web.json_response({"error": error}, status=status, headers=dict(headers))
