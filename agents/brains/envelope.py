"""Envelope: the chat completion around a reply. Everything in it was written by somebody else. Pure.

Fails with `BrainUnavailable` (malformed, refused, too_long), whose message holds nothing of what was read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agents.model.errors import BrainUnavailable, Unavailable

#: Longest name of a model that is believed, in characters.
_MODEL_CHARACTERS: Final = 256

#: Beyond PostgreSQL's integer no count is believed.
_MOST_TOKENS: Final = 2**31 - 1


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
    content: Any = None
    refusal: Any = None
    #: Where servers put what a model thought: vLLM and llama.cpp, and newer vLLM and OpenRouter.
    reasoning_content: Any = None
    reasoning: Any = None


class _Choice(_Part):
    message: _Message
    finish_reason: Any = None


class _Completion(_Part):
    """Only what a reply cannot be without has a type: what is odd beside it costs no reply."""

    choices: Annotated[list[_Choice], Field(min_length=1)]
    model: Any = None
    usage: Any = None


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
    usage = completion.usage if isinstance(completion.usage, dict) else {}
    return Reply(
        text=_text(choice.message),
        model=(_string(completion.model) or asked_model)[:_MODEL_CHARACTERS],
        prompt_tokens=_tokens(usage.get("prompt_tokens")),
        completion_tokens=_tokens(usage.get("completion_tokens")),
        latency_seconds=latency_seconds,
    )


def _text(message: _Message) -> str:
    """What the model said. Raises `BrainUnavailable` when it said nothing."""
    said = _said(message.content)
    if said is not None and said.strip():
        return said
    thought = (_string(message.reasoning_content) or _string(message.reasoning) or "").strip()
    # vLLM with a reasoning parser and a grammar puts the whole answer there. An object among thoughts is none.
    if thought.startswith("{") and thought.endswith("}"):
        return thought
    if said is None and not thought:
        raise BrainUnavailable(Unavailable.MALFORMED, "a chat completion without content")
    return said or ""


def _said(content: object) -> str | None:
    """A text, or the texts of a list of parts without those that are thoughts."""
    if not isinstance(content, list):
        return content if isinstance(content, str) else None
    parts = [part for part in content if isinstance(part, dict) and part.get("type") in {"text", "output_text"}]
    return "".join(_string(part.get("text")) or "" for part in parts)


def _string(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _tokens(value: object) -> int | None:
    """A count that can be believed; anything else is no count."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= _MOST_TOKENS else None
