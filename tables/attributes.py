"""Attributes: what an envelope may be made of, and what the names in one say of it before any value is looked at. Pure.

Producers write few different sets of names, so what follows from each is worked out once and kept.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

#: Attributes that are texts, with the most characters of each.
REQUIRED: Final = {"id": 256, "source": 1024, "type": 256}
OPTIONAL: Final = {"subject": 1024, "correlationid": 256, "causationid": 256, "traceparent": 256}
#: Names an extension must not take: they are fields of an event or have a meaning of their own in CloudEvents.
RESERVED: Final = frozenset({*REQUIRED, *OPTIONAL, "specversion", "time", "data"})
#: What an extension can be called.
NAME: Final = re.compile(r"[a-z0-9]+")

_NEEDED: Final = {*REQUIRED, "specversion", "time", "data"}
#: The order in which attributes are written; extensions and `data` follow.
_IN_ORDER: Final = ("specversion", *REQUIRED, "time", *OPTIONAL)
#: How `tables.event.to_json` writes a time.
_WRITTEN_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.(?!000000)\d{6})?Z", re.ASCII)

#: How many names, and characters of them, an envelope usually has at most, and how many sets of names are kept: some
#: 2 MB of the longest (own choices).
_USUAL_NAMES: Final = 32
_USUAL_CHARACTERS: Final = 512
_LAYOUTS_KEPT: Final = 1024


@dataclass(frozen=True, slots=True)
class Layout:
    """The names of an envelope: all that are required are there, and all are permitted."""

    #: Those of `OPTIONAL` that are there, with the most characters of each.
    optional: tuple[tuple[str, int], ...]
    #: By name.
    extensions: tuple[str, ...]
    #: Whether they stand in the order in which they are written.
    is_in_order: bool

    def is_as_written(self, envelope: Mapping[str, Any]) -> bool:
        """Whether a valid envelope with these names, none of them empty, is what would be written for its event."""
        return self.is_in_order and _WRITTEN_TIME.fullmatch(envelope["time"]) is not None


def layout_of(envelope: Mapping[str, Any]) -> Layout | None:
    """The layout of a structured envelope; None for one that is unusual, or has names that are not permitted."""
    if not len(_NEEDED) <= len(envelope) <= _USUAL_NAMES:
        return None
    try:
        return _layout(tuple(envelope))
    except _Unusual:
        return None


class _Unusual(Exception):
    """Raised and not returned, because what is raised is not kept: names can be of any length."""


@lru_cache(_LAYOUTS_KEPT)
def _layout(names: tuple[str, ...]) -> Layout:
    extensions = tuple(sorted(name for name in names if name not in RESERVED))
    is_usual = sum(map(len, names)) <= _USUAL_CHARACTERS and all(map(NAME.fullmatch, extensions))
    if not is_usual or not set(names) >= _NEEDED:
        raise _Unusual
    in_order = (*(name for name in _IN_ORDER if name in names), *extensions, "data")
    optional = tuple((name, limit) for name, limit in OPTIONAL.items() if name in names)
    return Layout(optional, extensions, names == in_order)
