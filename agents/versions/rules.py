"""Rules: what an agent's judgement is made of, as one hash.

Covered are its functions (rules, and what turns a model's choice into a decision) with what they were made with, and
the source of every module of the domain that those reach (`agents.versions.reach`).
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import PurePath
from types import FunctionType, MethodType, ModuleType, NoneType
from typing import Any, Final
from uuid import UUID

from agents.model.agent import Agent
from agents.versions.reach import reach

#: How deep values are looked into that functions were made with. Own choice: settings are shallow.
_DEPTH: Final = 8
#: Values that are what Python shows of them.
_PLAIN: Final = (
    str, bytes, int, float, complex, NoneType, Decimal, Fraction, date, time, timedelta, Enum, UUID, range, PurePath,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class RulesSource:
    """What an agent judges by."""

    #: SHA-256 of all of it, in hex.
    sha256: str
    #: SHA-256 of each module's source by its name: those that are covered.
    sources: Mapping[str, str]
    #: Versions of the libraries that those import.
    libraries: Mapping[str, str]


def rules_source(agent: Agent) -> RulesSource:
    """What the agent judges by, as its sources lie there now."""
    made = _Made()
    for part in agent.judging:
        made.take(part, _DEPTH)
    found = reach(made.modules)
    digest = hashlib.sha256()
    for text in (*made.said, *(f"{name} {sha256}" for name, sha256 in found.sources.items())):
        digest.update(text.encode("utf-8", "surrogatepass") + b"\n")
    return RulesSource(digest.hexdigest(), found.sources, found.libraries)


class _Made:
    """Gathers where functions stand and what they were made with: closures, what is bound, what is decorated."""

    def __init__(self) -> None:
        self.modules: set[str] = set()
        self.said: list[str] = []
        self._seen: set[int] = set()

    def take(self, value: Any, depth: int) -> None:
        """Take in a value, and what it holds as far as `depth`."""
        if isinstance(value, _PLAIN):
            self.said.append(ascii(value))
        elif depth and id(value) not in self._seen:
            self._seen.add(id(value))
            for each in self._within(value):
                self.take(each, depth - 1)

    def _within(self, value: Any) -> Iterable[Any]:
        if isinstance(value, Agent):
            return (value.name,)
        if isinstance(value, ModuleType):
            self.modules.add(value.__name__)
            return (value.__name__,)
        if isinstance(value, Mapping):
            return [each for name in sorted(value, key=_place) for each in (name, value[name])]
        if isinstance(value, list | tuple):
            return value
        if isinstance(value, set | frozenset):
            return sorted(value, key=_place)
        return self._of_code(value)

    def _of_code(self, value: Any) -> Iterable[Any]:
        if isinstance(value, functools.partial):
            return (value.func, value.args, value.keywords)
        if isinstance(value, MethodType):
            return (value.__func__, value.__self__)
        if isinstance(value, type | FunctionType):
            self._named(value)
            cells = getattr(value, "__closure__", None) or ()
            return [*map(_content, cells), getattr(value, "__wrapped__", None)]
        if hasattr(value, "__wrapped__"):
            return (value.__wrapped__,)
        self._named(type(value))
        if isinstance(value, re.Pattern):
            return (value.pattern, value.flags)
        return [getattr(value, "__dict__", None), *_slots(value)]

    def _named(self, made: Any) -> None:
        self.said.append(_name(made))
        if made.__module__:
            self.modules.add(made.__module__)


def _name(made: Any) -> str:
    return f"{made.__module__}:{made.__qualname__}"


def _place(value: Any) -> str:
    """What values are put in order by: never where they lie in memory, which is in what Python shows of many."""
    if isinstance(value, _PLAIN):
        return ascii(value)
    if isinstance(value, tuple):
        return " ".join(map(_place, value))
    if isinstance(value, frozenset):
        return " ".join(sorted(map(_place, value)))
    return _name(value if isinstance(value, type | FunctionType) else type(value))


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return None  # not filled yet


def _slots(value: Any) -> Sequence[Any]:
    """What an object holds that has no dictionary of its own."""
    names = [name for kind in type(value).__mro__ for name in _named_slots(kind)]
    return [getattr(value, name, None) for name in names]


def _named_slots(kind: type) -> Sequence[str]:
    slots = vars(kind).get("__slots__", ())
    return [name for name in ((slots,) if isinstance(slots, str) else slots) if not name.startswith("__")]
