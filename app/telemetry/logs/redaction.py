"""Redaction: what a log never shows, wherever in a record it stands and whoever logs it.

Secrets are known by value (the settings' own, and what the environment names like one) and by shape: passwords in
addresses, what is said to be a password, token, key or cookie, bearer tokens, keys of well-known makes. Payloads are
known by shape: what PostgreSQL and pydantic quote of the values they refuse, bytes, and fields that hold them. Where
both readings are possible it is hidden: a log that says too little is mended, one that said too much is not.

Pure. The work grows with the length of a text, whatever is in it: a repetition is bounded or consumes what it reads.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote, quote_plus

#: Stands for a secret.
HIDDEN: Final = "[hidden]"
#: Stands for what an event, a request or a model's reply held.
NOT_SHOWN: Final = "[not shown]"

#: Secrets shorter than this are not looked for by their value: they would stand in half of all words (own choice).
#: Their shapes are known all the same.
LEAST_CHARACTERS: Final = 6
#: Fields within fields that are looked into; deeper ones are not shown.
_DEPTH: Final = 6

#: Names of what is secret, as a part of a name. Several tokens are a number of them.
_NAMES: Final = (
    "pass(?:word|wd|phrase|code)|pwd|secret|token(?!s)|api[_-]?key|access[_-]?key|private[_-]?key|authori[sz]ation|"
    "credential|cookie|session[_-]?id|jaas[_.]?config|signature|otlp_(?:traces_)?headers"
)
_SECRET_NAME: Final = re.compile(_NAMES, re.IGNORECASE)
_BYTES: Final = (bytes, bytearray, memoryview)
#: Names of fields that hold what came with an event, a request or a reply.
_PAYLOAD_NAMES: Final = frozenset(
    ["body", "content", "data", "document", "headers", "payload", "prompt", "raw", "reply", "value", "values"]
)

#: Between a name and its value: in an assignment, an object or a pair, written as code however often.
_BETWEEN: Final = r"(?:\\{0,8}[\"']?\s{0,8}(?:=>|[:=])\s{0,8}|\\{0,8}[\"']\s{0,8},\s{0,8})"
_VALUE: Final = (
    r"(?:(?:bearer|basic|digest|negotiate)\s+[^\s,;&)}\]'\"\\]+"
    r"|b?\"(?:[^\"\\]|\\.)*\"?|b?'(?:[^'\\]|\\.)*'?"
    r"|b?\\{1,8}\"[^\"]*\"?|b?\\{1,8}'[^']*'?"
    r"|[^\s,;&)}\]'\"\\][^\s,;&)}\]]*)"
)
#: Each with what is put in its place.
_SECRETS: Final = (
    (
        re.compile(
            r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----(?:(?!-----END).)*(?:-----END [A-Z ]{0,30}KEY-----)?", re.DOTALL
        ),
        HIDDEN,
    ),
    # Between the last `:` of a user and the last `@` of a word: a password may hold an `@`.
    (re.compile(r"(://[^\s/?#@:]{0,200}:)[^\s/?#]{1,500}@"), rf"\1{HIDDEN}@"),
    (re.compile(r"(https?://)[^\s/?#@:]{1,500}@", re.IGNORECASE), rf"\1{HIDDEN}@"),
    (
        re.compile(rf"((?:{_NAMES})[\w.-]{{0,40}}{_BETWEEN}){_VALUE}", re.IGNORECASE | re.DOTALL),
        rf"\1{HIDDEN}",
    ),
    (re.compile(r"(\b(?:bearer|negotiate)\s{1,8})(?!\[hidden\])[\w.~+/=-]{8,}", re.IGNORECASE), rf"\1{HIDDEN}"),
    (re.compile(r"(\b[Bb]asic\s{1,8})(?=[A-Za-z+/]{0,400}[0-9=])[A-Za-z0-9+/]{8,}={0,2}"), rf"\1{HIDDEN}"),
    # JSON web tokens, and keys of OpenAI, Anthropic, Stripe, GitHub, GitLab, Slack, AWS, Google.
    (re.compile(r"\beyJ[\w-]{6,}\.[\w-]{6,}(?:\.[\w-]*)?"), HIDDEN),
    (re.compile(r"\b(?:sk|rk|pk)[-_](?:[\w-]{8,})|\b(?:gh[pousr]|github_pat|glpat|xox[abeprs])[-_][\w-]{8,}"), HIDDEN),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bAIza[\w-]{30,}"), HIDDEN),
)
#: A line's end, also where the text is the code of one.
_END: Final = r"(?:\s|\\n|\Z)"
_PAYLOADS: Final = (
    # PostgreSQL quotes the row or the key it refuses, and the line of the statement it stumbled over.
    (
        re.compile(rf"((?:\b|\\n)DETAIL:\s).*?(?={_END}(?:HINT|CONTEXT|QUERY|WHERE|LINE \d{{1,6}}):|\Z)", re.DOTALL),
        rf"\1{NOT_SHOWN}",
    ),
    (re.compile(rf"(\bFailing row contains )\(.*?(?:\)\.?(?={_END})|\Z)", re.DOTALL), rf"\1{NOT_SHOWN}"),
    (re.compile(r"((?:\b|\\n)LINE \d{1,6}: ).*?(?=\n|\\n|\Z)"), rf"\1{NOT_SHOWN}"),
    # What SQLAlchemy adds.
    (
        re.compile(rf"(\[(?:SQL|parameters): ).*?(?:\](?={_END}|\(Background|\[parameters)|\Z)", re.DOTALL),
        rf"\1{NOT_SHOWN}]",
    ),
    (re.compile(r"(\binput_value=).{0,400}?(?=, input_type=)", re.DOTALL), rf"\1{NOT_SHOWN}"),
    (
        re.compile(r"(\bUnicode(?:Decode|Encode)Error\('[\w-]{1,40}', ).{0,400}?(?=, \d{1,9}, \d{1,9}, )", re.DOTALL),
        rf"\1{NOT_SHOWN}",
    ),
    (
        re.compile(
            r"\bb'(?:[^'\\]|\\.){16,}(?:'|\Z)|\bb\"(?:[^\"\\]|\\.){16,}(?:\"|\Z)|\bb\\{1,8}(?:'[^']{16,}|\"[^\"]{16,})",
            re.DOTALL,
        ),
        NOT_SHOWN,
    ),
)


class Redaction:
    """Hides the secrets of these values and all shapes; `shows_payloads` leaves what is no secret."""

    def __init__(self, secrets: Collection[str] = (), *, shows_payloads: bool = False) -> None:
        written = {form for secret in secrets for form in _forms(secret) if len(form) >= LEAST_CHARACTERS}
        # The longest first: one may be the beginning of another.
        known = "|".join(map(re.escape, sorted(written, key=len, reverse=True)))
        self._known = re.compile(known) if known else None
        self.shows_payloads = shows_payloads
        self._shapes = _SECRETS if shows_payloads else (*_PAYLOADS, *_SECRETS)

    def text(self, text: str) -> str:
        """The text without what is not to be seen."""
        if self._known is not None:
            text = self._known.sub(HIDDEN, text)
        for shape, instead in self._shapes:
            text = shape.sub(instead, text)
        return text

    def field(self, name: str, value: object, depth: int = _DEPTH) -> Any:
        """A field of a record as JSON values, without what is not to be seen in it or beneath it."""
        if is_secret(name) and value is not None and not isinstance(value, bool):
            return HIDDEN
        if isinstance(value, (bool, int, float, type(None))):
            return value if not isinstance(value, float) or math.isfinite(value) else str(value)
        if not self.shows_payloads and (isinstance(value, _BYTES) or name.lower() in _PAYLOAD_NAMES):
            return NOT_SHOWN
        return self._beneath(name, value, depth)

    def _beneath(self, name: str, value: object, depth: int) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if depth == 0:
            return NOT_SHOWN
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.field(str(key), each, depth - 1) for key, each in value.items()}
        if isinstance(value, (list, tuple, set, frozenset)):
            return self._members(name, list(value), depth)
        return self.text(_said(value))

    def _members(self, name: str, members: Sequence[object], depth: int) -> list[Any]:
        # A pair such as that of a header is a name and its value.
        if len(members) == 2 and isinstance(members[0], str):
            return [self.text(members[0]), self.field(members[0], members[1], depth - 1)]
        return [self.field(name, each, depth - 1) for each in members]


def is_secret(name: str) -> bool:
    """Whether what has this name is secret."""
    return _SECRET_NAME.search(name) is not None


def _forms(secret: str) -> Collection[str]:
    """How a secret may be written: as it is, in an address, in a form, in the code of a text."""
    return {
        secret,
        quote(secret, safe=""),
        quote(secret),
        quote_plus(secret),
        repr(secret)[1:-1],
        json.dumps(secret)[1:-1],
    }


def _said(value: object) -> str:
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001 - whatever it is, the record is written
        return f"a {type(value).__name__} that cannot be written: {type(error).__name__}"
