"""Watch: what is due in the outbox, whoever should publish it, and for how long it has not moved.

Looks at the first message of each lane, so the cost does not grow with what is pending. A lane that is emptied quickly
is not stuck, however old what is left of it is; one whose first message stays is.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from outbox.database import Database, queries
from outbox.records import LANES

_SQL: Final = queries("relay.sql")


#: How long after a seq was drawn its transaction is over, in seconds: longer than a session may be silent in one and
#: `Database` waits for its end.
SETTLED_SECONDS: Final = 60.0
#: How often everything is looked at, whatever is thought to be gone, in seconds.
FORGET_SECONDS: Final = 300.0
#: Behind it begins a look at everything: the lowest bigint, so that no message is left out, whatever seq it was given.
_LOWEST: Final = -(2**63)


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


class Floors:
    """Below which seq nothing is pending any more in each lane. `now` is always the monotonic clock, in seconds.

    A seq is drawn before it is committed, so only what was drawn `SETTLED_SECONDS` ago says something about what is
    gone. Nobody relies on that for ever: every `FORGET_SECONDS` all of it is looked at again.
    """

    def __init__(self) -> None:
        self._floors = dict.fromkeys(range(LANES), _LOWEST)
        self._drawn: deque[tuple[float, int]] = deque()
        self._forgotten_at: float | None = None

    def of_all_lanes(self, now: float) -> Mapping[int, int]:
        """Lane to the seq behind which a look has to begin."""
        if self._forgotten_at is None or now - self._forgotten_at >= FORGET_SECONDS:
            self._floors = dict.fromkeys(range(LANES), _LOWEST)
            self._drawn.clear()
            self._forgotten_at = now
        return self._floors

    def observe(self, first: Mapping[int, int], drawn: int | None, now: float) -> None:
        """Take in the lowest pending seq of each lane that has one, and the highest that was drawn before the look."""
        if drawn is not None:
            self._drawn.append((now, drawn))
        settled = _LOWEST
        while self._drawn and self._drawn[0][0] <= now - SETTLED_SECONDS:
            settled = self._drawn.popleft()[1]
        for lane, floor in self._floors.items():
            self._floors[lane] = max(floor, min(settled, first.get(lane, settled + 1) - 1))


class OutboxWatch:
    """Keeps a `Pending` up to date."""

    def __init__(self, database: Database) -> None:
        self.pending = Pending()
        #: Up to when everything that was committed by then had left the outbox; None before the first look.
        self.published_until: datetime | None = None
        self._database = database
        self._floors = Floors()

    @property
    def floors(self) -> Mapping[int, int]:
        """Lane to the seq behind which the next look begins."""
        return self._floors.of_all_lanes(time.monotonic())

    async def look(self) -> Pending:
        """Look at the outbox. Raises `DatabaseUnavailable`."""
        looked_at = datetime.now(UTC)
        [drawn] = await self._database.run(_SQL["drawn"])
        floors = self.floors
        rows = await self._database.run(_SQL["first_pending"], {"lanes": list(floors), "floors": list(floors.values())})
        lanes, now = [PendingLane(**row._asdict()) for row in rows], time.monotonic()
        self._floors.observe({lane.lane: lane.seq for lane in lanes}, drawn.last_value, now)
        self.pending.observe(lanes, now)
        # Nothing younger than a transaction may last is known of: it may have been committed behind this look.
        oldest = max([SETTLED_SECONDS, *(lane.age_seconds for lane in lanes)])
        self.published_until = looked_at - timedelta(seconds=oldest)
        return self.pending
