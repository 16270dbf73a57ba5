"""Ordered acknowledgement: an offset is acknowledged only when every earlier one of its partition is done.

Work finishes in any order; Faust would commit past an event still in flight (hazards: faust-streaming issue 606), so
it is only ever shown the contiguous prefix.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from typing import Protocol


class Acknowledgeable(Protocol):
    """An input with its place in the log."""

    @property
    def topic(self) -> str:
        """Topic it was read from."""

    @property
    def partition(self) -> int:
        """Partition it was read from."""

    @property
    def offset(self) -> int:
        """Its offset there."""

    def ack(self) -> None:
        """Tell the consumer that this input is done."""


class Ticket:
    """The place of one input in its partition's queue."""

    __slots__ = ("_acks", "done", "input", "since")

    def __init__(self, acks: OrderedAcks, tracked: Acknowledgeable) -> None:
        self._acks = acks
        self.input = tracked
        self.done = False
        #: When it was tracked, by the monotonic clock.
        self.since = time.monotonic()

    def finish(self) -> None:
        """Say that this input is done; acknowledges it and its done successors once nothing earlier is open."""
        self.done = True
        self._acks.advance(self.input.topic, self.input.partition)


class OrderedAcks:
    """The inputs in flight, one queue per partition."""

    def __init__(self) -> None:
        self._queues: dict[tuple[str, int], deque[Ticket]] = {}

    def track(self, tracked: Acknowledgeable) -> Ticket:
        """Take the next place; inputs of a partition must come in the order they were read."""
        ticket = Ticket(self, tracked)
        self._queues.setdefault((tracked.topic, tracked.partition), deque()).append(ticket)
        return ticket

    def advance(self, topic: str, partition: int) -> None:
        """Acknowledge the finished prefix of one partition."""
        queue = self._queues[topic, partition]
        while queue and queue[0].done:
            queue.popleft().input.ack()

    def oldest_seconds(self) -> Mapping[tuple[str, int], float]:
        """Age in seconds of the oldest input in flight, for each partition that has one."""
        now = time.monotonic()
        return {place: now - queue[0].since for place, queue in self._queues.items() if queue}

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))
