"""Merge: the records of several partitions as one sequence, by the time of the records.

Next is always the record whose partition has the oldest one in front, as Kafka Streams chooses; so the order within a
partition is kept even where its timestamps go backwards. A timestamp in the future counts as the moment of reading: its
partition would wait for as long as others have records. A partition that ran empty but has more in Kafka holds up the
others, because what comes may be older than what they have. `Patience` says for how long. Both are pure and cannot
fail; they are bounded by the caller, who adds records only to partitions that are empty.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Collection, Iterable
from math import inf
from typing import Final, Generic, Protocol, TypeVar

#: Topic and partition; aiokafka's `TopicPartition` is one.
Partition = tuple[str, int]


class Stamped(Protocol):
    """A record with a timestamp, in milliseconds."""

    @property
    def timestamp(self) -> int | None:
        """When it was produced, as the producer or the broker said; None in records of the oldest format."""


Record = TypeVar("Record", bound=Stamped)


#: More than any number of bytes.
NO_BOUND: Final = 1 << 62


class TimeMerge(Generic[Record]):
    """Records that were read and not yet taken, a queue for each partition. `size` says how many bytes a record has."""

    def __init__(self, size: Callable[[Record], int] = lambda _: 0) -> None:
        #: None of the queues is empty. A record stands behind the time it is sorted by and its size.
        self._queues: dict[Partition, deque[tuple[float, int, Record]]] = {}
        self._size_of = size
        #: Bytes of all records.
        self.bytes = 0

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))

    def add(self, partition: Partition, records: Iterable[Record], *, now_ms: float = inf) -> None:
        """Put records of one partition behind those it has; they must come in the order of their offsets."""
        size_of = self._size_of
        added = deque((min(record.timestamp or 0, now_ms), size_of(record), record) for record in records)
        if added:
            self._queues.setdefault(partition, deque()).extend(added)
            self.bytes += sum(size for _, size, _ in added)

    def drop(self, partition: Partition) -> None:
        """Forget the records of one partition."""
        self.bytes -= sum(size for _, size, _ in self._queues.pop(partition, ()))

    def first(self, partition: Partition) -> Record | None:
        """The record of this partition that is taken next; None when it has none."""
        queue = self._queues.get(partition)
        return queue[0][2] if queue else None

    def take(self, limit: int, *, behind: Collection[Partition], max_bytes: int = NO_BOUND) -> list[Record]:
        """Take up to `limit` records, the oldest first; at the same time the first by topic, partition and offset.

        `behind` are the partitions that have more in Kafka and are worth waiting for. As soon as one of them is empty
        nothing more is taken; nor is, behind the first record, one that would make them more than `max_bytes`.
        """
        taken: list[Record] = []
        if any(partition not in self._queues for partition in behind):
            return taken
        heads = [(queue[0][0], partition) for partition, queue in self._queues.items()]
        heapq.heapify(heads)
        room = max_bytes
        while heads and len(taken) < limit:
            _, partition = heapq.heappop(heads)
            queue = self._queues[partition]
            _, size, record = queue[0]
            if taken and size > room:
                break
            queue.popleft()
            taken.append(record)
            self.bytes, room = self.bytes - size, room - size
            if queue:
                heapq.heappush(heads, (queue[0][0], partition))
                continue
            del self._queues[partition]
            if partition in behind:
                break
        return taken


class Patience:
    """How long is waited for a partition: `seconds` without a record, and then not again until one has come."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._since: dict[Partition, float] = {}

    def over(self, awaited: Iterable[Partition], *, now: float) -> set[Partition]:
        """Those of the awaited partitions that are not waited for any more.

        `awaited` are all that hold up others at this moment: a partition that is not among them has got a record, or
        has none to come, and is waited for anew the next time. `now` is in seconds of any clock that does not go back.
        """
        self._since = {partition: self._since.get(partition, now) for partition in awaited}
        return {partition for partition, since in self._since.items() if now - since >= self._seconds}
