"""Code: by which code a recorded decision was made, beside that which decides in the replay. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

#: The agents of a set have windows of their own; a replay reads the whole log, whatever the set.
_NOT_OF_A_REPLAY: Final = frozenset({"set"})


@dataclass(frozen=True, kw_only=True, slots=True)
class DecidingCode:
    """What an agent decides by, as `outbox.codes` keeps it."""

    version: str
    rules_hash: str
    settings: Mapping[str, Any]
    release: str
    libraries: Mapping[str, str]


def changed_code(recorded: DecidingCode | None, now: DecidingCode | None) -> Sequence[str] | None:
    """What of the code is another one now: `rules`, `release`, `settings.window`; None when one is not known."""
    if recorded is None or now is None:
        return None
    found = [
        name.removesuffix("_hash")
        for name in ("version", "rules_hash", "release", "libraries")
        if getattr(recorded, name) != getattr(now, name)
    ]
    before, after = recorded.settings, now.settings
    settings = sorted((before.keys() | after.keys()) - _NOT_OF_A_REPLAY)
    return [*found, *(f"settings.{name}" for name in settings if before.get(name) != after.get(name))]
