"""Sweep: removes windows that have lapsed: their entities were silent for so long that no event to come sees them.

For each partition of an agent's windows that this worker has and has read back: the stream's own time is that of the
last records before what the group has committed, so whatever comes again after a crash is no earlier. What the windows
hold from before that time, less their age and `WINDOW_LATE_DAYS`, is removed (`tables.lapse`). A turn looks at few
slots, and between turns the worker does other things for many times as long.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from aiokafka.errors import KafkaError

from agents.replay.records import TimelineRecord
from app.worker.progress import Place, Standing
from tables.errors import WindowsUnusable
from tables.lapse import Lapse, LapsedWindow, lapsed_before
from tables.window import WindowSpec

log = logging.getLogger(__name__)

#: Slots that one turn looks at: some milliseconds in which nothing else of the worker runs.
TURN_SLOTS: Final = 500
#: A turn of some milliseconds is followed by a pause this many times as long, so a sweep takes a fortieth of a worker.
PAUSES: Final = 40
#: The shortest pause, in seconds.
PAUSE_SECONDS: Final = 0.05
#: From the end of a round over all partitions to the next one, in seconds: windows leave after weeks.
REST_SECONDS: Final = 3600.0
#: How often it is asked whether the windows have been read back, in seconds.
WAIT_SECONDS: Final = 5.0
#: Records before the committed offset whose times are looked at: the clock of one that wrote some may be wrong.
RECORDS: Final = 20


class Windows(Protocol):
    """The windows of an agent (`tables.table.WindowTable`)."""

    spec: WindowSpec

    def lapsed(
        self, partition: int, lapse: Lapse, *, start: bytes, most_slots: int
    ) -> tuple[Sequence[LapsedWindow], bytes | None]:
        """Lapsed windows from a key on, and where to go on."""

    async def forget(
        self, partition: int, windows: Sequence[LapsedWindow], lapse: Lapse, *, is_owned: Callable[[], bool]
    ) -> None:
        """Remove lapsed windows."""


class Log(Protocol):
    """A timeline (`app.kafka.timelines.TimelineReader`)."""

    def read(self, partition: int, start: int, end: int) -> AsyncIterator[TimelineRecord]:
        """The records in between."""

    async def first_since(self, partition: int, instant: datetime) -> int | None:
        """The first offset since then."""


class Swept(Protocol):
    """An agent's windows, and the partitions of its timeline that this worker has."""

    @property
    def name(self) -> str:
        """The agent."""

    @property
    def windows(self) -> Windows:
        """Its windows."""

    @property
    def assigned(self) -> Collection[Place]:
        """The partitions, as (timeline, partition)."""


class Sweep:
    """Sweeps the windows of one worker.

    `assignment` gives a number that is another one after each rebalance, None while nothing may be written;
    `standings` where the group stands in each partition, `timeline` the log of a timeline by its name. `late` is how
    long after it happened an event may reach its timeline. `crash` must stop the worker and may return.
    """

    def __init__(
        self,
        swept: Sequence[Swept],
        *,
        assignment: Callable[[], int | None],
        standings: Callable[[], Mapping[Place, Standing]],
        timeline: Callable[[str], Log],
        late: timedelta,
        crash: Callable[[BaseException], Awaitable[None]],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._swept = swept
        self._assignment = assignment
        self._standings = standings
        self._timeline = timeline
        self._late = late
        self._crash = crash
        self._now = now
        #: Windows removed since the start, by agent.
        self.removed: Counter[str] = Counter()

    async def run(self) -> None:
        """Sweep for ever."""
        while True:
            while self._assignment() is None or not self._standings():  # noqa: ASYNC110 - only asking tells
                await asyncio.sleep(WAIT_SECONDS)
            await self.round()
            await asyncio.sleep(REST_SECONDS)

    async def round(self) -> None:
        """Sweep every partition this worker has, once."""
        for swept in self._swept:
            for place in sorted(swept.assigned):
                try:
                    await self._partition(swept, place)
                except KafkaError as error:
                    # Nothing was removed that has not lapsed, and the next round goes on.
                    log.info("the windows of %s in %s[%d] are swept later: %r", swept.name, *place, error)
                except WindowsUnusable as error:
                    await self._crash(error)

    async def _partition(self, swept: Swept, place: Place) -> None:
        assignment = self._assignment()

        def is_owned() -> bool:
            return assignment is not None and self._assignment() == assignment and place in swept.assigned

        lapse = await self._lapse(swept.windows.spec, place)
        before = self.removed[swept.name]
        start: bytes | None = b""
        while lapse is not None and start is not None and is_owned():
            began_at = time.monotonic()
            found, start = swept.windows.lapsed(place[1], lapse, start=start, most_slots=TURN_SLOTS)
            took = time.monotonic() - began_at
            if found:
                await swept.windows.forget(place[1], found, lapse, is_owned=is_owned)
                self.removed[swept.name] += len(found)
            await asyncio.sleep(max(PAUSE_SECONDS, PAUSES * took))
        if removed := self.removed[swept.name] - before:
            log.info("%d lapsed windows of %s left %s[%d]", removed, swept.name, *place)

    async def _lapse(self, spec: WindowSpec, place: Place) -> Lapse | None:
        """What has lapsed in a partition by now; None where nothing has, or where that is not known."""
        standing = self._standings().get(place)
        if standing is None:
            return None
        log_of = self._timeline(place[0])
        start = max(0, standing.position - RECORDS)
        times = [record.at async for record in log_of.read(place[1], start, standing.position)]
        since = lapsed_before(spec, min([*times, self._now()]), self._late) if times else None
        offset = None if since is None else await log_of.first_since(place[1], since)
        return None if since is None or offset is None else Lapse(min(offset, standing.position), since)
