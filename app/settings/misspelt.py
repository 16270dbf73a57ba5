"""Misspelt settings: names in the environment or `.env` that mean one of ours and would do nothing without a word.

A name is refused when it begins like a family of ours (`LLM_`, `HOLD_`, …) or is close to one of ours that is not set
itself. What is set beside the right name belongs to somebody else, and so does one of ours with a word before it
(`MY_API_TOKEN`). In `.env` every other unknown name is told of, and does no harm. A name that a setting had before
works and is told of; beside the new one it is refused.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

#: Beginnings of names that are ours alone.
FAMILIES: Final = ("LLM_", "KAFKA_SECURITY_", "OUTBOX_", "HOLD_")
#: How alike two names are, 0 to 1, from which on one is taken for the other: a letter wrong in six, or two letters in
#: twelve. `KAFKA_BROKER_PORT` beside `KAFKA_BROKER`, 0.828, is below.
CLOSE: Final = 0.83
#: What settings were called before, by their names now.
FORMER: Final[Mapping[str, str]] = MappingProxyType({"HOLD_MOVES_OVER_MINOR": "HOLD_REFUNDS_OVER_MINOR"})


def misspelt(given: Iterable[str], ours: Collection[str]) -> Iterator[str]:
    """A line for each name given that means one of ours; all are compared as capitals."""
    names = {name.upper() for name in given}
    yield from (
        f"{old}: {new} is set as well, which it is called now" for new, old in FORMER.items() if {new, old} <= names
    )
    for name in sorted(names - set(ours) - set(FORMER.values())):
        meant = _meant(name, ours)
        if meant in names or (meant is None and not name.startswith(FAMILIES)):
            continue
        if meant is None:
            yield f"{name}: there is no such setting"
        else:
            yield f"{name}: there is no such setting; {meant} is meant? If not, set {meant} as well"


def former(given: Iterable[str]) -> Iterator[str]:
    """A line for each name given that a setting had before."""
    names = {name.upper() for name in given}
    yield from (f"{old} is called {new} now; it still works" for new, old in FORMER.items() if old in names)


def unknown(given: Iterable[str], ours: Collection[str]) -> Iterator[str]:
    """A line for each name given, in a file that is ours, that is no setting."""
    for name in sorted({name.upper() for name in given} - set(ours) - set(FORMER.values())):
        yield f".env: {name} is no setting of Innervate and does nothing"


def _meant(name: str, ours: Collection[str]) -> str | None:
    swapped = [one for one in sorted(ours) if sorted(one) == sorted(name)]
    found = swapped or difflib.get_close_matches(name, sorted(ours), 1, CLOSE)
    return found[0] if found and not name.endswith(f"_{found[0]}") else None
