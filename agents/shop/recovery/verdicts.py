"""Verdicts: whether one counts, by who published it and by what recovery finds in its own window.

A verdict is derived again before money moves or an order is stopped for it: the failure it names must be open, and
caused by the event it names, among the events that were here when the verdict came (`agents.shop.facts.causes`). It
fails by objecting: what left the window is not found.
"""

from __future__ import annotations

from datetime import datetime
from itertools import islice
from typing import Final

from agents.model.history import History
from agents.shop.events import RootCauseIdentified
from agents.shop.facts.causes import Candidate, candidates
from agents.shop.facts.story import Chronicle, Story

#: Of one order so many verdicts are derived again; each costs as much as the window is long. Own choice: an order whose
#: window asks for more plans is for a person.
MOST_DERIVED: Final = 20
#: So many open failures are named in an objection. Own choice: a person reads it.
_MOST_NAMED: Final = 5


class Verdicts:
    """The verdicts on one order, as of the event decided on."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._derived = 0

    def trusts_cause(self, source: str) -> bool:
        """Whether a cause that this source names counts."""
        return self._history.trusts(source, "root_cause", "incident")

    def trusts_score(self, source: str) -> bool:
        """Whether a payment that this source judges is judged."""
        return self._history.trusts(source, "fraud")

    def objection(self, verdict: RootCauseIdentified, at: datetime, place: int) -> str:
        """Which fact speaks against a verdict of this time and place in the window; "" when none does."""
        if self._derived == MOST_DERIVED:
            return f"more than {MOST_DERIVED} verdicts on the order ask for a plan"
        self._derived += 1
        found = candidates(Story(Chronicle(self._history.before(place)), at))
        if any(_is_said_by(verdict, candidate) for candidate in found):
            return ""
        still_open = ", ".join(f"{each.failure} by {each.culprit.id}" for each in islice(found, _MOST_NAMED))
        return (
            f"event {verdict.culprit_event_id} is open for no such failure by the order's own events; "
            f"open by them: {still_open or 'nothing'}"
        )


def _is_said_by(verdict: RootCauseIdentified, candidate: Candidate) -> bool:
    signs = (candidate.culprit, *candidate.repeats)
    return candidate.failure == verdict.failure and verdict.culprit_event_id in {sign.id for sign in signs}
