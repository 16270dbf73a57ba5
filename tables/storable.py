"""Storable: what of JSON can be written again and kept by PostgreSQL. Pure.

JSON can escape what PostgreSQL's text and jsonb cannot hold, NUL and lone surrogates, and orjson reads deeper objects
than it writes. What is found is said in a sentence that never repeats the value.
"""

from __future__ import annotations

import re
from math import isfinite
from typing import Any, Final

#: Steps from `data` down to its deepest value. orjson 3.13 reads 1,024 levels but writes only 254 (measured).
MAX_DEPTH: Final = 64

_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
#: How both are escaped in JSON; one of a pair of surrogates looks the same, and so does the text of an escape.
_ESCAPED: Final = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
#: All bytes but those that open an object or a list.
_NO_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in b"{[")
#: The integers orjson reads and writes: signed or unsigned, 64 bits.
_INTEGER_MIN: Final = -(2**63)
_INTEGER_MAX: Final = 2**64 - 1


def is_storable(text: str) -> bool:
    """Whether PostgreSQL can hold the text."""
    if text.isascii():
        return "\0" not in text
    return _UNSTORABLE.search(text) is None


def is_integer(value: object) -> bool:
    """Whether it is an integer, or a boolean, that JSON can hold here."""
    return isinstance(value, int) and _INTEGER_MIN <= value <= _INTEGER_MAX


def is_surely_storable(json: bytes) -> bool:
    """Whether everything orjson reads from these bytes is storable and not too deep, for their looks alone.

    Of an envelope `json` may be the whole: no value of its `data` is too deep then. False says nothing: look at what
    was read. What orjson reads has no other numbers than those it writes.
    """
    if len(json.translate(None, _NO_BRACKETS)) > MAX_DEPTH:
        return False
    return b"\\" not in json or _ESCAPED.search(json) is None


def problem_of(data: object) -> str | None:
    """Why this cannot be the `data` of an event; None when it can."""
    if not isinstance(data, dict):
        return "data must be a JSON object"
    level: list[Any] = [data]
    for _ in range(MAX_DEPTH + 1):
        below: list[Any] = []
        for node in level:
            if isinstance(node, dict):
                problem = next(filter(None, map(_problem_of_key, node)), None)
                below.extend(node.values())
            elif isinstance(node, list):
                problem = None
                below.extend(node)
            else:
                problem = _problem_of_leaf(node)
            if problem is not None:
                return problem
        if not below:
            return None
        level = below
    return f"data must not hold a value more than {MAX_DEPTH} levels down"


def _problem_of_key(key: object) -> str | None:
    return _problem_of_leaf(key if isinstance(key, str) else object())


def _problem_of_leaf(leaf: object) -> str | None:
    if isinstance(leaf, str):
        return None if is_storable(leaf) else "data must not hold NUL or a lone surrogate"
    if isinstance(leaf, float):
        return None if isfinite(leaf) else "data must hold finite numbers only"
    return None if leaf is None or is_integer(leaf) else "data must be plain JSON with integers of 64 bits"
