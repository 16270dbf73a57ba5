"""Envelope: the chat completion around a reply. Everything in it was written by somebody else. Pure.

Fails with `BrainUnavailable` (malformed, refused, too_long), whose message holds nothing of what was read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agents.errors import BrainUnavailable, Unavailable

#: Longest name of a model that is believed, in characters.
_MODEL_CHARACTERS: Final = 256

#: PostgreSQL's integer is the upper bound.
_Tokens = Annotated[int, Field(ge=0, le=2**31 - 1)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """What a model said, and what it took."""

    #: Written by the model: data to judge, never to be believed.
    text: str = field(repr=False)
    #: The model that answered, by its own name.
    model: str
    #: None when the server does not count.
    prompt_tokens: int | None
    completion_tokens: int | None
    #: From the request that was answered to the last byte of its answer; earlier attempts and waiting not counted.
    latency_seconds: float
    #: Earlier attempts that the server may have counted without telling anybody.
    unanswered: int = 0


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, hide_input_in_errors=True)


class _Message(_Part):
    content: str | None = None
    refusal: str | None = None


class _Choice(_Part):
    message: _Message
    finish_reason: str | None = None


class _Usage(_Part):
    prompt_tokens: _Tokens | None = None
    completion_tokens: _Tokens | None = None


class _Completion(_Part):
    choices: Annotated[list[_Choice], Field(min_length=1)]
    model: str | None = None
    usage: _Usage | None = None


def open_envelope(body: bytes, *, asked_model: str, latency_seconds: float) -> Reply:
    """Take the reply out of the body of a successful answer. `asked_model` stands in for a name that is missing."""
    try:
        completion = _Completion.model_validate_json(body)
    except ValidationError as error:
        raise BrainUnavailable(
            Unavailable.MALFORMED, f"no chat completion ({error.error_count()} problems)"
        ) from None  # its message would quote the body
    choice = completion.choices[0]
    if choice.message.refusal or choice.finish_reason == "content_filter":
        raise BrainUnavailable(Unavailable.REFUSED, "the model declined to answer, or a filter removed the answer")
    if choice.finish_reason == "length":
        raise BrainUnavailable(Unavailable.TOO_LONG, "the answer was cut at the largest number of tokens")
    if choice.message.content is None:
        raise BrainUnavailable(Unavailable.MALFORMED, "a chat completion without content")
    usage = completion.usage or _Usage()
    return Reply(
        text=choice.message.content,
        model=(completion.model or asked_model)[:_MODEL_CHARACTERS],
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        latency_seconds=latency_seconds,
    )
