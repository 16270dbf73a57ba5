"""Misspelt settings: names in the environment or `.env` that mean one of ours and would do nothing without a word.

A name is refused when it begins like a family of ours (`LLM_`, `HOLD_`, …) or is close to one of ours that is not set
itself. What is set beside the right name belongs to somebody else, and so does one of ours with a word before it
(`MY_API_TOKEN`). In `.env` every other unknown name is told of, and does no harm.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator
from typing import Final

#: Beginnings of names that are ours alone.
FAMILIES: Final = ("LLM_", "KAFKA_SECURITY_", "OUTBOX_", "HOLD_")
#: How alike two names are, 0 to 1, from which on one is taken for the other: a letter wrong in six, or two letters in
#: twelve. `KAFKA_BROKER_PORT` beside `KAFKA_BROKER`, 0.828, is below.
CLOSE: Final = 0.83


def misspelt(given: Iterable[str], ours: Collection[str]) -> Iterator[str]:
    """A line for each name given that means one of ours; all are compared as capitals."""
    names = {name.upper() for name in given}
    for name in sorted(names - set(ours)):
        meant = _meant(name, ours)
        if meant in names or (meant is None and not name.startswith(FAMILIES)):
            continue
        if meant is None:
            yield f"{name}: there is no such setting"
        else:
            yield f"{name}: there is no such setting; {meant} is meant? If not, set {meant} as well"


def unknown(given: Iterable[str], ours: Collection[str]) -> Iterator[str]:
    """A line for each name given, in a file that is ours, that is no setting."""
    for name in sorted({name.upper() for name in given} - set(ours)):
        yield f".env: {name} is no setting of Innervate and does nothing"


def _meant(name: str, ours: Collection[str]) -> str | None:
    swapped = [one for one in sorted(ours) if sorted(one) == sorted(name)]
    found = swapped or difflib.get_close_matches(name, sorted(ours), 1, CLOSE)
    return found[0] if found and not name.endswith(f"_{found[0]}") else None
