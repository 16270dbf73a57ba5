"""Dialect: which parts of the chat completions API a server understands, learned from what it refuses.

Servers that call themselves OpenAI-compatible differ: some know no `json_schema`, new hosted models want
`max_completion_tokens` and no temperature, some models have no system text. A refusal that names a parameter leads to
the next simpler dialect; there are five steps at most, so this ends. A server that answers 500 to a format without
naming it is found out by trying (`DialectLearner`). A simpler dialect is no less safe, only less often of use: every
reply is judged in the same way. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import orjson

#: How the reply is tied to the schema, the tightest first.
Format = Literal["json_schema", "json_object", "text"]
_LOOSER: Final[Mapping[Format, Format]] = {"json_schema": "json_object", "json_object": "text"}

#: llama.cpp and vLLM, which make a grammar of the schema, complain of a "JSON schema" or of the grammar.
_FORMAT_REFUSED: Final = re.compile(rb"response_format|json[ _](schema|object)|grammar", re.IGNORECASE)
#: "System role not supported" and "Conversation roles must alternate user/assistant" (chat templates of Gemma and of
#: Mistral, by way of llama.cpp and vLLM), "messages[0].role does not support 'system'" (OpenAI), "Developer instruction
#: is not enabled" (Google).
_SYSTEM_REFUSED: Final = re.compile(
    rb"\broles?\b|system[ _](message|prompt|instruction)|developer[ _]instruction", re.IGNORECASE
)
_SERVER_ERROR: Final = 500
#: Answers in a row that name nothing before the format is suspected: one alone is a bad moment.
_SUSPECT_AFTER: Final = 2
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
    #: Without one, the system text comes first in the user's, which stays one JSON object behind it.
    has_system: bool = True

    def body(self, model: str, prompt: Prompt, schema: Mapping[str, Any], *, max_tokens: int) -> bytes:
        """The request: JSON in UTF-8. Where the server cannot be told the schema, the model is, in the system text."""
        system = prompt.system if self.format == "json_schema" else f"{prompt.system}\n\n{_told(schema)}"
        request: dict[str, Any] = {
            "model": model,
            "messages": self._messages(_in_utf8(system), _in_utf8(prompt.user)),
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

    def _messages(self, system: str, user: str) -> list[Mapping[str, str]]:
        if self.has_system:
            return [{"role": "system", "content": system}, {"role": "user", "content": user}]
        return [{"role": "user", "content": f"{system}\n\n{user}"}]

    @property
    def looser(self) -> Sequence[Dialect]:
        """The same dialect with every looser format, the tightest first."""
        if self.format not in _LOOSER:
            return ()
        next_one = replace(self, format=_LOOSER[self.format])
        return (next_one, *next_one.looser)

    def simpler(self, status: int, refusal: bytes) -> Dialect | None:
        """The dialect to try after an answer with this status and body; None when it names no parameter of ours.

        5xx counts: llama.cpp and others fail on a schema they can make no grammar of as on a fault of their own.
        """
        if status not in {400, 422} and status < _SERVER_ERROR:
            return None
        if self.limit_name == "max_tokens" and b"max_completion_tokens" in refusal:
            return replace(self, limit_name="max_completion_tokens")
        if self.has_temperature and b"temperature" in refusal:
            return replace(self, has_temperature=False)
        if self.has_system and _SYSTEM_REFUSED.search(refusal):
            return replace(self, has_system=False)
        if self.format in _LOOSER and _FORMAT_REFUSED.search(refusal):
            return replace(self, format=_LOOSER[self.format])
        return None


class DialectLearner:
    """The dialect of one server, as far as it is known.

    A format that is answered by 5xx several times in a row may be the reason, or the server is down: then looser ones
    are tried in turn. One that is answered is kept only when the tighter one fails once more after it, so an outage
    teaches nothing.
    """

    def __init__(self) -> None:
        self._known = Dialect()
        self._failures = 0
        #: Answered while the known one was not.
        self._better: Dialect | None = None

    def dialect(self) -> Dialect:
        """How to ask next."""
        looser = self._known.looser
        if self._better is not None or self._failures < _SUSPECT_AFTER or not looser:
            return self._known
        return (*looser, self._known)[(self._failures - _SUSPECT_AFTER) % (len(looser) + 1)]

    def answered(self, dialect: Dialect) -> None:
        """A request in this dialect was answered."""
        if dialect == self._known:
            self._failures = 0
            self._better = None
        elif dialect in self._known.looser:
            self._better = dialect

    def refused(self, dialect: Dialect, status: int, refusal: bytes) -> bool:
        """A request in this dialect was answered with this status and body; whether to ask again at once, simpler."""
        # Should another request have learned more meanwhile, it is learned again.
        if (simpler := dialect.simpler(status, refusal)) is not None:
            self._learn(simpler)
            return True
        if status < _SERVER_ERROR:
            return False
        if dialect == self._known and self._better is not None:
            self._learn(self._better)
            return True
        self._failures += 1
        return False

    def _learn(self, dialect: Dialect) -> None:
        self._known, self._failures, self._better = dialect, 0, None


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
