"""Dialect: which parts of the chat completions API a server understands, learned from what it refuses.

Servers that call themselves OpenAI-compatible differ: some know no `json_schema`, new hosted models want
`max_completion_tokens` and no temperature. A refusal that names a parameter leads to the next simpler dialect; there
are four steps at most, so this ends. A simpler dialect is no less safe, only less often of use: every reply is judged
in the same way. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import orjson

#: How the reply is tied to the schema, the tightest first.
Format = Literal["json_schema", "json_object", "text"]
_LOOSER: Final[Mapping[Format, Format]] = {"json_schema": "json_object", "json_object": "text"}

#: llama.cpp and vLLM, which make a grammar of the schema, complain of a "JSON schema" or of the grammar.
_FORMAT_REFUSED: Final = re.compile(rb"response_format|json[ _](schema|object)|grammar", re.IGNORECASE)
_NAMES: Final = re.compile(r"[^a-zA-Z0-9_-]+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Prompt:
    """What a model is asked. Only `user` may hold words that somebody else wrote."""

    system: str
    user: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Dialect:
    """How to ask a server. Starts with everything the API offers."""

    format: Format = "json_schema"
    limit_name: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    has_temperature: bool = True

    def body(self, model: str, prompt: Prompt, schema: Mapping[str, Any], *, max_tokens: int) -> bytes:
        """The request: JSON in UTF-8. Where the server cannot be told the schema, the model is, in the system text."""
        system = prompt.system if self.format == "json_schema" else f"{prompt.system}\n\n{_told(schema)}"
        request: dict[str, Any] = {
            "model": model,
            "messages": [
                {"role": "system", "content": _in_utf8(system)},
                {"role": "user", "content": _in_utf8(prompt.user)},
            ],
            "stream": False,
            self.limit_name: max_tokens,
        }
        if self.has_temperature:
            request["temperature"] = 0
        if self.format == "json_schema":
            request["response_format"] = {"type": "json_schema", "json_schema": _named(schema)}
        elif self.format == "json_object":
            request["response_format"] = {"type": "json_object"}
        return orjson.dumps(request)

    def simpler(self, status: int, refusal: bytes) -> Dialect | None:
        """The dialect to try after an answer with this status and body; None when it names no parameter of ours."""
        if status not in {400, 422}:
            return None
        if self.limit_name == "max_tokens" and b"max_completion_tokens" in refusal:
            return replace(self, limit_name="max_completion_tokens")
        if self.has_temperature and b"temperature" in refusal:
            return replace(self, has_temperature=False)
        if self.format in _LOOSER and _FORMAT_REFUSED.search(refusal):
            return replace(self, format=_LOOSER[self.format])
        return None


def _in_utf8(text: str) -> str:
    """The text with half surrogate pairs, which no encoding holds, replaced."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _named(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    name = _NAMES.sub("_", str(schema.get("title", "")))[:64] or "reply"
    return {"name": name, "strict": True, "schema": schema}


def _told(schema: Mapping[str, Any]) -> str:
    return (
        f"Answer with one JSON object and nothing else. It must fit this JSON schema:\n{orjson.dumps(schema).decode()}"
    )
