"""Faults: what is done to a running system, drawn by chance from a seed.

The plan is pure: the same seed gives the same faults with the same lengths and pauses. A fault has a beginning and an
end; most wait for the one before to end, some overlap with one that hits something else.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

#: Hit by what takes several steps, each of which needs everything else in order.
EVERYTHING: Final = "everything"

#: Kind → how often it is drawn, what it hits, and the shortest and longest time it lasts, in seconds.
KINDS: Final[dict[str, tuple[int, str, float, float]]] = {
    "kill": (14, "worker", 0.0, 6.0),
    "kill and lose the disk": (6, "worker", 0.0, 6.0),
    "freeze": (10, "worker", 1.0, 25.0),
    "freeze in a transaction": (6, "worker", 5.0, 35.0),
    "freeze at a point": (4, "worker", 5.0, 35.0),
    "disk of another cluster": (4, "worker", 0.0, 4.0),
    "leave": (6, "worker", 0.0, 4.0),
    "join or leave": (10, "third", 0.0, 0.0),
    "broker restart": (4, "broker", 0.0, 4.0),
    "broker kill": (5, "broker", 0.0, 4.0),
    "deny a write": (5, "broker", 2.0, 15.0),
    "deny a read": (4, "broker", 2.0, 15.0),
    "poison a changelog": (2, EVERYTHING, 0.0, 0.0),
    "postgresql crash": (9, "postgresql", 0.0, 6.0),
    "terminate backends": (8, "postgresql", 0.0, 0.0),
    "read-only": (6, "postgresql", 1.0, 10.0),
    "cut": (8, "proxy", 0.0, 0.0),
    "delay": (6, "proxy", 2.0, 8.0),
    "swallow a commit": (10, "proxy", 0.0, 3.0),
    "refuse": (5, "proxy", 1.0, 6.0),
}

#: Workers that run from the start; the third one comes and goes.
STEADY: Final = 2
THIRD: Final = 2
#: The share of faults that begin before the one before has ended.
_OVERLAPPING: Final = 0.25


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of the plan."""

    number: int
    kind: str
    #: The worker it hits; None for a service.
    worker: int | None
    #: From the end of the one before (or, overlapping, from its beginning) to the beginning, in seconds.
    pause_seconds: float
    overlapping: bool
    lasts_seconds: float

    def __str__(self) -> str:
        who = "" if self.worker is None else f" of worker {self.worker}"
        return f"{self.number}: {self.kind}{who} for {self.lasts_seconds:.1f} s"


def plan(seed: int, faults: int) -> list[Fault]:
    """As many faults as asked for; a longer plan with the same seed begins with the shorter one."""
    return [fault for _, fault in zip(range(faults), _plan(seed), strict=False)]


def _plan(seed: int) -> Iterator[Fault]:
    chance = random.Random(seed)
    before: Fault | None = None
    number = 0
    while True:
        number += 1
        kind = chance.choices(list(KINDS), [weight for weight, *_ in KINDS.values()])[0]
        _, hits, shortest, longest = KINDS[kind]
        worker = {"worker": chance.randrange(STEADY), "third": THIRD}.get(hits)
        lasts = round(chance.uniform(shortest, longest), 2)
        calm = chance.random() < 0.35
        pause = round(chance.uniform(4.0, 12.0) if calm else chance.uniform(0.3, 3.0), 2)
        overlapping = chance.random() < _OVERLAPPING and before is not None and _may_overlap(before, kind, worker)
        if overlapping and before is not None:
            pause = round(chance.uniform(0.1, 0.9) * before.lasts_seconds, 2)
        before = Fault(number, kind, worker, pause, overlapping, lasts)
        yield before


def _may_overlap(before: Fault, kind: str, worker: int | None) -> bool:
    """Only what lasts can be overlapped, by one that hits something else, and never two that already overlap."""
    if before.lasts_seconds == 0.0 or before.overlapping:
        return False
    if KINDS[kind][1] == EVERYTHING:
        return False
    same_thing = KINDS[before.kind][1] == KINDS[kind][1]
    return not same_thing or (worker is not None and worker != before.worker)
