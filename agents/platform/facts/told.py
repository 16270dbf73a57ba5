"""Told: what a service tells its callers that was lost, and by whom."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from agents.platform.events.calls import MOST_CANDIDATES, CauseCandidate


@dataclass(frozen=True, slots=True)
class Loss:
    """What a service tells its callers about one metric and span."""

    #: All it lost; None when it was not measured.
    total: float | None
    candidates: tuple[CauseCandidate, ...]


def likeliest(candidates: Iterable[CauseCandidate]) -> tuple[CauseCandidate, ...]:
    """Each service once, by its greatest loss and shortest way; measured ones first, then the greatest losses."""
    best: dict[str, CauseCandidate] = {}
    for each in sorted(candidates, key=lambda each: (-each.loss, len(each.path), each.path)):
        best.setdefault(each.service, each)
    ranked = sorted(best.values(), key=lambda each: (not each.measured, -each.loss, each.service))
    return tuple(ranked[:MOST_CANDIDATES])
