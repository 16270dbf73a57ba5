"""Merge: the records of several partitions as one sequence, by the time of the records.

Next is always the record whose partition has the oldest one in front, as Kafka Streams chooses; so the order within a
partition is kept even where its timestamps go backwards. A partition that ran empty but has more in Kafka holds up the
others, because what comes may be older than what they have. `Patience` says for how long. Both are pure and cannot
fail; they are bounded by the caller, who adds records only to partitions that are empty.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Collection, Iterable
from typing import Generic, Protocol, TypeVar

#: Topic and partition; aiokafka's `TopicPartition` is one.
Place = tuple[str, int]


class Stamped(Protocol):
    """A record with a timestamp, in milliseconds."""

    @property
    def timestamp(self) -> int:
        """When it was produced, as the producer or the broker said."""


Record = TypeVar("Record", bound=Stamped)


class TimeMerge(Generic[Record]):
    """Records that were read and not yet taken, a queue for each partition."""

    def __init__(self) -> None:
        #: None of the queues is empty.
        self._queues: dict[Place, deque[Record]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))

    def add(self, place: Place, records: Iterable[Record]) -> None:
        """Put records of one partition behind those it has; they must come in the order of their offsets."""
        added = deque(records)
        if added:
            self._queues.setdefault(place, deque()).extend(added)

    def first(self, place: Place) -> Record | None:
        """The record of this partition that is taken next; None when it has none."""
        queue = self._queues.get(place)
        return queue[0] if queue else None

    def take(self, limit: int, *, behind: Collection[Place]) -> list[Record]:
        """Take up to `limit` records, the oldest first; at the same time the first by topic, partition and offset.

        `behind` are the partitions that have more in Kafka and are worth waiting for. As soon as one of them is empty
        nothing more is taken.
        """
        taken: list[Record] = []
        if any(place not in self._queues for place in behind):
            return taken
        heads = [(queue[0].timestamp, place) for place, queue in self._queues.items()]
        heapq.heapify(heads)
        while heads and len(taken) < limit:
            _, place = heapq.heappop(heads)
            queue = self._queues[place]
            taken.append(queue.popleft())
            if queue:
                heapq.heappush(heads, (queue[0].timestamp, place))
                continue
            del self._queues[place]
            if place in behind:
                break
        return taken


class Patience:
    """How long is waited for a partition: `seconds` without a record, and then not again until one has come."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._since: dict[Place, float] = {}

    def over(self, awaited: Iterable[Place], *, now: float) -> set[Place]:
        """Those of the awaited partitions that are not waited for any more.

        `awaited` are all that hold up others at this moment: a partition that is not among them has got a record, or
        has none to come, and is waited for anew the next time. `now` is in seconds of any clock that does not go back.
        """
        self._since = {place: self._since.get(place, now) for place in awaited}
        return {place for place, since in self._since.items() if now - since >= self._seconds}
