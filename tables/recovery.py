"""Recovery: Faust's, but for a local database that claims to know more of its changelog than there is.

That is one whose changelog was truncated, or created again by a broker without topic ids. Faust raises ConsistencyError
then, at every start. Here the database is thrown away and filled from the beginning.

And but for what ends in no record. Faust waits for the offset before the end of the changelog; where somebody wrote in
a transaction, that is a mark of Kafka's or was taken back, and never comes. Here the last record that was read on the
way there is waited for.

And but for a worker that is frozen while it recovers. Faust reads how far the changelogs go, recovers up to there, and
begins its streams at what is committed by then, which others may have moved on meanwhile. Here what is committed is
read first: a changelog holds all that was committed before its end was read.

And but for a rebalance that comes just as a recovery ends. Faust goes on with the one of before then, seeks partitions
of which nothing is known yet, and the worker ends (`Offset must be a positive integer`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from faust.tables.manager import TableManager
from faust.tables.recovery import RebalanceAgain, Recovery
from faust.types import TP
from mode import Service

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping

    from faust.types.transports import ConsumerT
    from mode.utils.times import Seconds

    from tables.table import SlotTable

#: How often changelogs are looked at whose last offset is no record, in seconds: less often than records come.
LOOK_SECONDS: Final = 1.0


class Reader(Protocol):
    """What a consumer knows of what it has read and begins at."""

    async def hold_committed(self) -> None:
        """Have the streams begin at what is committed now."""

    async def last_before(self, ends: Mapping[TP, int]) -> Mapping[TP, int]:
        """Of those partitions that were read up to these ends: the offset of the last record, or -1."""


class WindowRecovery(Recovery):
    """Recovers actives and standbys."""

    async def _build_highwaters(self, consumer: ConsumerT, tps: set[TP], destination: Counter[TP], title: str) -> None:
        if destination is self.active_highwaters:
            await cast("Reader", consumer).hold_committed()
        await super()._build_highwaters(consumer, tps, destination, title)

    async def _build_offsets(self, consumer: ConsumerT, tps: set[TP], destination: Counter[TP], title: str) -> None:
        ends = await consumer.highwaters(*tps)
        for tp in sorted(tps):
            known, end = destination[tp], ends.get(tp) or 0
            if known is not None and known >= end:
                reason = f"they know {tp.topic}[{tp.partition}] up to offset {known}, but it ends at {end}"
                cast("SlotTable", self.tp_to_table[tp]).empty(tp, reason)
                destination[tp] = cast("int", None)
        await super()._build_offsets(consumer, tps, destination, title)

    async def _seek_offsets(self, consumer: ConsumerT, tps: set[TP], offsets: Counter[TP], title: str) -> None:
        self._leave_if_outdated()
        await super()._seek_offsets(consumer, tps, offsets, title)

    async def _wait(self, coro: Any, timeout: Seconds | None = None) -> None:  # noqa: ASYNC109 - Faust's own
        try:
            self._leave_if_outdated()
        except RebalanceAgain:
            coro.close()
            raise
        await super()._wait(coro, timeout)

    def _leave_if_outdated(self) -> None:
        """Leave this recovery when the next one is due. The signal is taken back where a recovery begins."""
        if self.signal_recovery_start.is_set():
            raise RebalanceAgain

    @Service.task
    async def _look_for_marks(self) -> None:
        async for _ in self.itertimer(LOOK_SECONDS, name="Recovery.marks"):
            if self.in_recovery:
                await self.end_at_last_records()

    async def end_at_last_records(self) -> None:
        """Wait for no more than the last record of the changelogs that were read to their ends.

        Faust looks whether it has all it waits for after every record, and every five seconds without.
        """
        highwaters = self.active_highwaters
        ends = {tp: highwater + 1 for tp, highwater in highwaters.items() if highwater > self._recovered(tp)}
        if not ends:
            return
        for tp, last in (await cast("Reader", self.app.consumer).last_before(ends)).items():
            # Records that were read may not be recovered yet: the offsets are theirs, and not to be changed.
            if highwaters.get(tp) == ends[tp] - 1:
                highwaters[tp] = max(last, self._recovered(tp))

    def _recovered(self, tp: TP) -> int:
        offset: int | None = self.active_offsets[tp]
        return -1 if offset is None else offset


class WindowTables(TableManager):
    """Manages the window tables of an app; all of its tables are such."""

    @property
    def recovery(self) -> WindowRecovery:
        """The recovery of this app."""
        if self._recovery is None:
            self._recovery = WindowRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return cast("WindowRecovery", self._recovery)
