"""Status: what a worker says of itself to all others: its partitions and how they move, what is in flight, checks.

Bounded in bytes, however many partitions and problems there are. Instants and no ages, to the second: a worker that has
nothing to do says the same again and again, which PostgreSQL need not write again. Pure.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from pydantic import AwareDatetime, BaseModel, ConfigDict

from app.worker.progress import Place, Standing

#: Partitions that are told of one by one, those that are furthest behind first; of the others that the worker has them.
MOST_PARTITIONS: Final = 100
#: Characters of one text, and things of one kind.
LONGEST_TEXT: Final = 500
MOST_THINGS: Final = 20
#: Characters of the names of partitions of one topic: those of 1,024 of which every other one is held.
LONGEST_RANGES: Final = 2600
#: Partitions of one topic that anybody is told of.
MOST_NUMBERS: Final = 10_000
#: By how much the clocks may drift from each other before instants are told anew, in seconds.
DRIFT_SECONDS: Final = 2.0


class Said(BaseModel):
    """What another worker said, maybe of another version: what is not known here is left out."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class PartitionStatus(Said):
    """How a partition moves."""

    topic: str
    partition: int
    #: The next offset to read, and the end of what can be read.
    position: int
    end: int
    #: When the position was last seen to move, by the worker's clock.
    moved_at: AwareDatetime | None = None
    #: Since when there has been something that is not read yet.
    behind_since: AwareDatetime | None = None


class WorkerStatus(Said):
    """How a worker is."""

    #: The partitions it has by topic, written as `0-3,7`.
    partitions: Mapping[str, str] = {}
    #: The timelines its agents read, and how many partitions each has in all.
    timelines: Sequence[str] = ()
    timeline_partitions: int = 0
    #: How they move, one by one, and how many are left out.
    moving: Sequence[PartitionStatus] = ()
    left_out: int = 0
    #: Events it has read and not finished, and since when the oldest of them is in flight.
    in_flight: int = 0
    oldest_in_flight_at: AwareDatetime | None = None
    #: What readiness checks, and "ok" or what does not get done; since when it is not ok.
    checks: Mapping[str, str] = {}
    failing_since: Mapping[str, AwareDatetime] = {}
    #: What waits for something outside, and why.
    held_up: Mapping[str, str] = {}


class Instants:
    """Instants of the monotonic clock as those of a day, the same for the same one, to the second."""

    def __init__(self) -> None:
        self._base = time.time() - time.monotonic()

    def of(self, monotonic: float) -> datetime:
        """The instant, by the clock of this machine."""
        base = time.time() - time.monotonic()
        # The monotonic clock stands still while a machine sleeps, and the other one is set.
        if abs(base - self._base) > DRIFT_SECONDS:
            self._base = base
        return datetime.fromtimestamp(int(self._base + monotonic), UTC)


class Failing:
    """Since when each check is not ok; `now` is the monotonic clock."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def observe(self, failing: Collection[str], now: float) -> Mapping[str, float]:
        """Take in the names of what fails now; returns since when each does."""
        self._since = {name: self._since.get(name, now) for name in failing}
        return self._since


def moving(
    standings: Mapping[Place, Standing], behind_seconds: Mapping[Place, float], instants: Instants, now: float
) -> Sequence[PartitionStatus]:
    """How these partitions move, those furthest behind first."""
    behind = sorted(standings, key=lambda place: (-behind_seconds.get(place, 0.0), place))
    return [_partition(place, standings[place], behind_seconds.get(place), instants, now) for place in behind]


def ranges(partitions: Iterable[int]) -> str:
    """Numbers in short: `0-3,7`. Cut where they are too many."""
    spans: list[list[int]] = []
    for number in sorted(partitions):
        if spans and spans[-1][1] == number - 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    text = ",".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)
    return text if len(text) <= LONGEST_RANGES else text[: LONGEST_RANGES + 1].rpartition(",")[0]


def in_ranges(text: str) -> Sequence[int]:
    """The numbers of `0-3,7`; what is none is left out."""
    found: list[int] = []
    for span in text.split(","):
        first, _, last = span.partition("-")
        if first.isdecimal() and (last or first).isdecimal():
            found += range(int(first), min(int(last or first), int(first) + MOST_NUMBERS) + 1)
    return found[:MOST_NUMBERS]


def short(texts: Mapping[str, str]) -> Mapping[str, str]:
    """The first of these texts, none too long."""
    return {name[:LONGEST_TEXT]: text[:LONGEST_TEXT] for name, text in list(texts.items())[:MOST_THINGS]}


def _partition(
    place: Place, standing: Standing, behind_seconds: float | None, instants: Instants, now: float
) -> PartitionStatus:
    return PartitionStatus(
        topic=place[0],
        partition=place[1],
        position=standing.position,
        end=standing.end,
        moved_at=None if standing.moved is None else instants.of(standing.moved),
        behind_since=None if behind_seconds is None else instants.of(now - behind_seconds),
    )
