"""Recovery: Faust's, but for a local database that claims to know more of its changelog than there is.

That is one whose changelog was truncated, or created again by a broker without topic ids. Faust raises ConsistencyError
then, at every start. Here the database is thrown away and filled from the beginning.

And but for what ends in no record. Faust waits for the offset before the end of the changelog; where somebody wrote in
a transaction, that is a mark of Kafka's or was taken back, and never comes. Here the last record that was read on the
way there is waited for.

And but for a worker that is frozen while it recovers. Faust reads how far the changelogs go, recovers up to there, and
begins its streams at what is committed by then, which others may have moved on meanwhile. Here what is committed is
read first: a changelog holds all that was committed before its end was read.

And but for how records come: Faust takes one event after another from a queue that a resumed flow empties. Here the
consumer hands over what it fetched of a changelog, and pieces of it are checked and written with one RocksDB write
each; between two of them the event loop goes on. What cannot be read or written stops the worker, and nothing more is
recovered.

And but for a rebalance that comes just as a recovery ends. Faust goes on with the one of before then, seeks partitions
of which nothing is known yet, and the worker ends (`Offset must be a positive integer`).
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from faust.tables.manager import TableManager
from faust.tables.recovery import RebalanceAgain, Recovery
from faust.types import TP
from mode import Service

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Mapping, Sequence

    from faust.types.transports import ConsumerT
    from mode.utils.times import Seconds

    from tables.store import ChangelogRecord
    from tables.table import SlotTable

log = logging.getLogger(__name__)

#: How often changelogs are looked at whose last offset is no record, in seconds: less often than records come.
LOOK_SECONDS: Final = 1.0
#: Records that are recovered with one write: some milliseconds, in which the event loop does nothing else. Larger
#: pieces are not faster (measured by `benchmarks/recovery.py`).
PIECE_RECORDS: Final = 500


class Reader(Protocol):
    """What a consumer knows of what it has read and begins at."""

    async def hold_committed(self) -> None:
        """Have the streams begin at what is committed now."""

    async def last_before(self, ends: Mapping[TP, int]) -> Mapping[TP, int]:
        """Of those partitions that were read up to these ends: the offset of the last record, or -1."""


class WindowRecovery(Recovery):
    """Recovers actives and standbys."""

    #: Of the times a record took, one for each piece.
    num_samples_required_for_estimate = 10
    #: Set when a record could not be read or written; what is behind it must not be taken for all there is.
    _is_broken = False

    async def take(
        self, tp: TP, records: Sequence[ChangelogRecord], *, is_wanted: Callable[[], bool] = lambda: True
    ) -> None:
        """Recover what was fetched of a changelog, piece by piece, for as long as it is wanted.

        `records` are in the order of the changelog. Does not raise: what cannot be recovered stops the worker.
        """
        for start in range(0, len(records), PIECE_RECORDS):
            if self._is_broken or not is_wanted():
                return
            try:
                self._recover(tp, records[start : start + PIECE_RECORDS])
            except Exception as error:  # noqa: BLE001 - whatever it is, windows without these records are wrong
                self._is_broken = True
                await self.app.crash(error)
            else:
                self._end_if_recovered()
            await asyncio.sleep(0)

    def _recover(self, tp: TP, piece: Sequence[ChangelogRecord]) -> None:
        if tp in self.active_tps:
            offsets, received_at = self.active_offsets, self._active_events_received_at
        elif tp in self.standby_tps:
            offsets, received_at = self.standby_offsets, self._standby_events_received_at
        else:
            log.warning("records of %s[%d] are not recovered: it is not assigned", tp.topic, tp.partition)
            return
        received_at[tp] = time.monotonic()
        known = offsets.get(tp)
        if known is not None:
            piece = [record for record in piece if record.offset > known]
        if piece:
            cast("SlotTable", self.tp_to_table[tp]).recover(tp, piece)
            offsets[tp] = piece[-1].offset
            self._measure(len(piece), is_active=offsets is self.active_offsets)

    def _measure(self, records: int, *, is_active: bool) -> None:
        """Note what Faust's estimate of the time that remains is made of."""
        now = self._last_flush_at = time.monotonic()
        if not is_active:
            return
        before, self._last_active_event_processed_at = self._last_active_event_processed_at, now
        if before is not None:
            self._processing_times.append((now - before) / records)
            if len(self._processing_times) > self.num_samples_required_for_estimate:
                self._processing_times.popleft()

    def _end_if_recovered(self) -> None:
        """Say so when there is nothing more to wait for."""
        if self.in_recovery and not self.need_recovery():
            self._set_recovery_ended()
            self.signal_recovery_end.set()
        if not self.tables.standbys_ready and self._knows_standbys() and not self.standby_remaining_total():
            self.tables.on_standbys_ready()

    def _knows_standbys(self) -> bool:
        """Whether it is known how far the standbys' changelogs go."""
        return not self.in_recovery and self.standby_tps <= self.standby_highwaters.keys()

    def _set_recovery_started(self) -> None:
        # Whoever waits for the end comes later than this, and than the end when that is near.
        self.signal_recovery_end.clear()
        super()._set_recovery_started()

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
    async def _slurp_changelogs(self) -> None:
        """In the place of Faust's, which takes records from a queue: it would clear the signal of the end as well."""
        async for _ in self.itertimer(LOOK_SECONDS, name="Recovery.marks"):
            if self.in_recovery:
                await self.end_at_last_records()
                self._end_if_recovered()

    async def end_at_last_records(self) -> None:
        """Wait for no more than the last record of the changelogs that were read to their ends."""
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
