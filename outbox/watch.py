"""Watch: what is due in the outbox, whoever should publish it, and for how long it has not moved.

Looks at the first message of each lane, so the cost does not grow with what is pending. A lane that is emptied quickly
is not stuck, however old what is left of it is; one whose first message stays is.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from outbox.database import Database, queries

_SQL: Final = queries("relay.sql")


@dataclass(frozen=True, slots=True)
class PendingLane:
    """The oldest message of a lane."""

    lane: int
    seq: int
    #: Since it was committed, by the database's clock.
    age_seconds: float
    #: The worker whose lease holds; None when nobody's does.
    owner: str | None


class Pending:
    """What was seen of each lane that has something pending. `now` is always the monotonic clock, in seconds."""

    def __init__(self) -> None:
        self.lanes: Sequence[PendingLane] = ()
        self._first: dict[int, tuple[int, float]] = {}
        self._has_looked = False

    def observe(self, lanes: Sequence[PendingLane], now: float) -> None:
        """Take in every lane with something pending."""
        first: dict[int, tuple[int, float]] = {}
        for lane in lanes:
            seq, since = self._first.get(lane.lane, (None, now))
            if not self._has_looked:
                since = now - lane.age_seconds
            elif seq != lane.seq:
                since = now
            first[lane.lane] = (lane.seq, since)
        self.lanes, self._first, self._has_looked = lanes, first, True

    def unmoved_seconds(self, now: float) -> Mapping[int, float]:
        """For each lane how long its first message has been the same."""
        return {lane: now - since for lane, (_, since) in self._first.items()}


class OutboxWatch:
    """Keeps a `Pending` up to date."""

    def __init__(self, database: Database) -> None:
        self.pending = Pending()
        self._database = database

    async def look(self) -> Pending:
        """Look at the outbox. Raises `DatabaseUnavailable`."""
        rows = await self._database.run(_SQL["first_pending"])
        self.pending.observe([PendingLane(*row) for row in rows], time.monotonic())
        return self.pending
