"""Candidate: an open failure, and what a detector makes of the events it looks at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from agents.model.history import Trace
from agents.shop.failures import Failure


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """An open failure and the event to blame for it."""

    failure: Failure
    culprit: Trace
    #: The same failure again, such as a second shortage, of the same article or of another.
    repeats: tuple[Trace, ...] = ()
    #: What would look like a failure of its own, but follows from the culprit.
    symptoms: tuple[Trace, ...] = ()
    #: Ordinary events that show why the culprit is one.
    context: tuple[Trace, ...] = ()
    #: It happened, and was dealt with rightly: it explains an error only where nothing else does.
    is_weak: bool = False
    #: What would have to be known to be sure that it is open; "" when that is known.
    doubt: str = ""

    @property
    def signs(self) -> tuple[Trace, ...]:
        """Every deviation this candidate accounts for, the culprit first."""
        return (self.culprit, *self.repeats, *self.symptoms)


@dataclass(frozen=True, slots=True)
class Harmless:
    """An event that looks like the culprit of a failure and is not, and why not."""

    event: Trace
    why: str


@dataclass(frozen=True, slots=True)
class Findings:
    """What a detector finds in a story."""

    candidate: Candidate | None = None
    harmless: Sequence[Harmless] = field(default=())
