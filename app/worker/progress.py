"""Progress: which partitions do not move while there is something to read, and how far behind each is in time.

Pure: what is known of Kafka comes in, see `app.worker.probe`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

Place = tuple[str, int]

#: Ends of a partition that are remembered: enough for hours at the interval of the probe.
ENDS_REMEMBERED: Final = 4096


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a partition stood when it was last asked about; times by the monotonic clock."""

    #: The next offset to read, and the end of what can be read.
    position: int
    end: int
    #: Since when the position is the same, or nothing was left to read.
    since: float
    #: When it was last seen to be another than before; None while it never was.
    moved: float | None


class Progress:
    """What was seen of each partition. `now` is always the monotonic clock, in seconds."""

    def __init__(self) -> None:
        self._seen: dict[Place, Standing] = {}

    def observe(self, offsets: Mapping[Place, tuple[int, int]], now: float) -> None:
        """Take in (position, end) of each partition."""
        for place, (position, end) in offsets.items():
            before = self._seen.get(place)
            if before is None:
                self._seen[place] = Standing(position, end, now, None)
                continue
            has_moved = before.position != position
            since = now if has_moved or position >= end else before.since
            self._seen[place] = Standing(position, end, since, now if has_moved else before.moved)

    def forget_others(self, places: Collection[Place]) -> None:
        """Keep only these partitions: one that comes back begins anew."""
        self._seen = {place: seen for place, seen in self._seen.items() if place in places}

    def stuck_seconds(self, now: float) -> Mapping[Place, float]:
        """How long each partition with something to read has not moved."""
        return {place: now - seen.since for place, seen in self._seen.items()}

    def standings(self) -> Mapping[Place, Standing]:
        """Where each partition stands."""
        return dict(self._seen)


class Lag:
    """How far behind in time each partition is: since when there has been something that is not read yet.

    That a partition always has something to read says nothing; that something has been waiting for long does. `now` is
    the monotonic clock, in seconds.
    """

    def __init__(self) -> None:
        self._ends: dict[Place, deque[tuple[float, int]]] = {}

    def observe(self, offsets: Mapping[Place, tuple[int, int]], now: float) -> None:
        """Take in (position, end) of each partition."""
        for place, (position, end) in offsets.items():
            ends = self._ends.setdefault(place, deque())
            if (not ends or ends[-1][1] != end) and len(ends) < ENDS_REMEMBERED:
                ends.append((now, end))
            while ends and ends[0][1] <= position:
                ends.popleft()

    def forget_others(self, places: Collection[Place]) -> None:
        """Keep only these partitions."""
        self._ends = {place: ends for place, ends in self._ends.items() if place in places}

    def seconds(self, now: float) -> Mapping[Place, float]:
        """For each partition with something to read, for how long that has been so."""
        return {place: now - ends[0][0] for place, ends in self._ends.items() if ends}


class Horizon:
    """Up to which instant everything that had been written by then is read.

    Each observation says up to when what stands before the ends that were seen in it is known to be whole.
    """

    def __init__(self) -> None:
        self._waiting: dict[Place, deque[tuple[datetime, int]]] = {}
        self._reached: dict[Place, datetime] = {}

    def observe(self, offsets: Mapping[Place, tuple[int, int]], whole_until: datetime | None) -> None:
        """Take in (position, end) of each partition, the end as it was after `whole_until`; None: it is not known."""
        for place, (position, end) in offsets.items():
            waiting = self._waiting.setdefault(place, deque())
            if whole_until is not None and len(waiting) < ENDS_REMEMBERED:
                waiting.append((whole_until, end))
            while waiting and waiting[0][1] <= position:
                reached, _ = waiting.popleft()
                self._reached[place] = max(reached, self._reached.get(place, reached))

    def forget_others(self, places: Collection[Place]) -> None:
        """Keep only these partitions."""
        self._waiting = {place: waiting for place, waiting in self._waiting.items() if place in places}
        self._reached = {place: reached for place, reached in self._reached.items() if place in places}

    def of(self, places: Collection[Place]) -> datetime | None:
        """That instant for all of these partitions; None while it is not known of one, and where there is none."""
        reached = [self._reached.get(place) for place in places]
        known = [each for each in reached if each is not None]
        return min(known) if known and len(known) == len(reached) else None
