"""Ordered acknowledgement: an offset is acknowledged only when every earlier one of its partition is done.

Work finishes in any order; Faust would commit past an event still in flight (hazards: faust-streaming issue 606), so
it is only ever told how far the contiguous prefix reaches.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping

from agents.engine.ports import Batch


class Ticket:
    """The place of records that end together in their partition's queue."""

    __slots__ = ("_acks", "batch", "done", "end", "records", "since")

    def __init__(self, acks: OrderedAcks, batch: Batch, end: int, records: int) -> None:
        self._acks = acks
        self.batch = batch
        #: The offset behind the last of them.
        self.end = end
        #: How many there are.
        self.records = records
        self.done = False
        #: When they were tracked, by the monotonic clock.
        self.since = time.monotonic()

    def finish(self) -> None:
        """Say that these records are done; acknowledges them and their done successors once nothing earlier is open."""
        self.done = True
        self._acks.advance(self.batch.topic, self.batch.partition)


class OrderedAcks:
    """The records in flight, one queue per partition."""

    def __init__(self) -> None:
        self._queues: dict[tuple[str, int], deque[Ticket]] = {}

    def track(self, batch: Batch, *, end: int, records: int) -> Ticket:
        """Take the next place for that many records of a batch, up to the offset before `end`; in the order of the log.

        The batch is held until they are acknowledged.
        """
        batch.hold()
        ticket = Ticket(self, batch, end, records)
        self._queues.setdefault((batch.topic, batch.partition), deque()).append(ticket)
        return ticket

    def advance(self, topic: str, partition: int) -> None:
        """Acknowledge the finished prefix of one partition."""
        queue = self._queues[topic, partition]
        while queue and queue[0].done:
            ticket = queue.popleft()
            ticket.batch.done(ticket.end)
            ticket.batch.release()

    def oldest_seconds(self) -> Mapping[tuple[str, int], float]:
        """Age in seconds of the oldest record in flight, for each partition that has one."""
        now = time.monotonic()
        return {place: now - queue[0].since for place, queue in self._queues.items() if queue}

    def __len__(self) -> int:
        return sum(ticket.records for queue in self._queues.values() for ticket in queue)
