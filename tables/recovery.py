"""Recovery: Faust's, but for a local database that claims to know more of its changelog than there is.

That is one whose changelog was truncated, or created again by a broker without topic ids. Faust raises ConsistencyError
then, at every start. Here the database is thrown away and filled from the beginning.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery

if TYPE_CHECKING:
    from collections import Counter

    from faust.types import TP
    from faust.types.transports import ConsumerT

    from tables.table import SlotTable


class WindowRecovery(Recovery):
    """Recovers actives and standbys."""

    async def _build_offsets(self, consumer: ConsumerT, tps: set[TP], destination: Counter[TP], title: str) -> None:
        ends = await consumer.highwaters(*tps)
        for tp in sorted(tps):
            known, end = destination[tp], ends.get(tp) or 0
            if known is not None and known >= end:
                reason = f"they know {tp.topic}[{tp.partition}] up to offset {known}, but it ends at {end}"
                cast("SlotTable", self.tp_to_table[tp]).empty(tp, reason)
                destination[tp] = cast("int", None)
        await super()._build_offsets(consumer, tps, destination, title)


class WindowTables(TableManager):
    """Manages the window tables of an app; all of its tables are such."""

    @property
    def recovery(self) -> WindowRecovery:
        """The recovery of this app."""
        if self._recovery is None:
            self._recovery = WindowRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return cast("WindowRecovery", self._recovery)
