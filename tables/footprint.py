"""Footprint: what remembered events take in memory, estimated from their bytes.

Upper bounds that stay near the truth: a cache that counts far too much holds far too little. Measured with
`tracemalloc` on CPython 3.11; `tests/unit/agents/model/test_parsed_events.py` holds them against it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection

    from tables.window import Entry

#: Of the rings of an entity beside their entries: the object, its list, the place in a cache.
RINGS_BYTES: Final = 800
#: What an entry takes beside its payload: itself, its time, id and numbers, its place in the list, the id as text.
ENTRY_BYTES: Final = 400

#: A JSON object as a pydantic model, or as a dict: with room for a few members, and the model's set of their names.
_OBJECT: Final = 500
_LIST: Final = 90
#: A member: its place in an object of many, or in a list, and itself as a short text or a number.
_MEMBER: Final = 135
#: What is kept of an event beside its data, less what its envelope of five members or more is counted with.
_ENVELOPE: Final = 550 - _OBJECT - 5 * _MEMBER


def entries_bytes(entries: Collection[Entry]) -> int:
    """What entries take, without what may be kept parsed beside them."""
    return ENTRY_BYTES * len(entries) + sum([len(entry.payload) for entry in entries])


def parsed_bytes(*payloads: bytes) -> int:
    """What events in JSON take at most as Python objects.

    Counted by what opens and separates values, in texts as well. A text takes up to four bytes a character as soon as
    one of its characters is none of ASCII, written as such or escaped.
    """
    content = b"".join(payloads)
    text = 1 if content.isascii() and b"\\" not in content else 4
    members = _OBJECT * content.count(b"{") + _LIST * content.count(b"[") + _MEMBER * content.count(b",")
    return max(0, _ENVELOPE * len(payloads) + members + text * len(content))
