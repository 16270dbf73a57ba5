"""Redaction: what of an event's text never reaches a language model.

Values of the fields named are replaced by pseudonyms that tell nothing but which values are equal within one prompt,
also where other texts quote them exactly. A quotation written differently ("ADA@example.com" for "ada@example.com") is
not recognised. When there are too many values to look for, all texts are withheld: this fails closed. Pure.

Texts are made plain on the way: characters that nobody sees, and that a model reads, become spaces.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Final

import orjson

from agents.model.event import Data
from agents.model.text import plain as text_plain

#: Fields of `data` that tell who a customer is, unless the settings say otherwise.
REDACTED_FIELDS: Final = ("address", "email", "phone", "name", "device_id", "card_id", "ip")

#: Characters of a value that is looked for in other texts; a shorter one would be found everywhere.
_SHORTEST: Final = 4
#: Of a longer value only the beginning is looked for, and a text that quotes it ends there.
_LONGEST: Final = 500
#: Values looked for in one prompt. Bounds the time to write it: some 50 ms.
_MAX_VALUES: Final = 1000


def plain(text: str) -> str:
    """The text with a space for each unseen character, so places in it stay the same.

    Strangers cannot write a pseudonym: its bracket becomes a round one.
    """
    return text_plain(text.replace("[redacted", "(redacted"))


class Redaction:
    """Which fields of `data` are redacted, by their exact names in any case, at any depth."""

    def __init__(self, fields: Collection[str] = REDACTED_FIELDS) -> None:
        self._fields = frozenset(field.casefold() for field in fields)

    def hides(self, field: str) -> bool:
        """Whether values of this field are replaced."""
        return field.casefold() in self._fields

    def values(self, data: Any) -> Iterator[str]:
        """Every text to hide in `data` and all it holds, in the order written; no other kinds of values."""
        waiting = [(data, False)]
        while waiting:
            value, hidden = waiting.pop()
            if isinstance(value, str):
                if hidden:
                    yield value
            elif isinstance(value, Mapping):
                waiting += [(each, hidden or self.hides(name)) for name, each in reversed(tuple(value.items()))]
            elif isinstance(value, list):
                waiting += [(each, hidden) for each in reversed(value)]


class Mask:
    """What one prompt shows in place of the values hidden by `redaction` in any of `data`."""

    def __init__(self, redaction: Redaction, data: Iterable[Mapping[str, Any]]) -> None:
        self._redaction = redaction
        self._numbers: dict[bytes, int] = {}
        #: What is looked for in other texts, and the value it belongs to.
        self._quotes: dict[str, str] = {}
        for each in data:
            for value in redaction.values(each):
                quote = plain(value).strip()[:_LONGEST]
                if len(quote) >= _SHORTEST:
                    self._quotes.setdefault(quote, value)

    def hides(self, field: str) -> bool:
        """Whether values of this field are replaced."""
        return self._redaction.hides(field)

    def pseudonym(self, value: object) -> str:
        """The same for the same value, numbered by first appearance."""
        key = orjson.dumps(value, default=_fields_of, option=orjson.OPT_SORT_KEYS)
        return f"[redacted {self._numbers.setdefault(key, len(self._numbers) + 1)}]"

    def shown(self, text: str, characters: int) -> str:
        """The text as the model may see it: plain, without what is hidden, at most so long, else with an ellipsis.

        What is hidden is replaced before anything is cut, so no half of it is left.
        """
        if len(self._quotes) > _MAX_VALUES:
            return "[redacted]"
        shown, start = "", 0
        while start < len(text) and len(shown) <= characters:
            room = characters + 1 - len(shown)
            piece = plain(text[start : start + room + _LONGEST])
            at, quote = self._first_quote(piece)
            if not quote:
                shown += piece[:room]
                break
            shown += piece[:at] + self.pseudonym(self._quotes[quote])
            # The rest of a value of which only the beginning is known must not follow.
            start = start + at + len(quote) if len(quote) < _LONGEST else len(text)
        return shown if len(shown) <= characters else shown[: characters - 1] + "…"

    def _first_quote(self, piece: str) -> tuple[int, str]:
        """Where the first hidden value is quoted, the longest of those that begin there."""
        found = [(piece.find(quote), -len(quote), quote) for quote in self._quotes if quote in piece]
        at, _, quote = min(found, default=(0, 0, ""))
        return at, quote


def _fields_of(value: object) -> dict[str, Any]:
    if isinstance(value, Data):
        return value.model_dump()
    raise TypeError(type(value).__name__)
