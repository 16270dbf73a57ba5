"""Changelogs: what was fetched of them goes to the recovery as it is, past Faust's event for each record.

Faust makes a message and an event of each record and queues them: ten times what recovering it costs. Here records of
changelogs never come that far; what `getmany` hands on is of the streams alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol, cast

from faust.transport.consumer import RecordMap
from faust.transport.drivers import aiokafka
from faust.types import TP


class Recovery(Protocol):
    """Who recovers windows."""

    async def take(self, tp: TP, records: Sequence[Any], *, is_wanted: Callable[[], bool]) -> None:
        """Recover what was fetched of a changelog, for as long as it is wanted."""


class ChangelogConsumer(aiokafka.Consumer):
    """Recovers what it fetched of changelogs before it hands on the rest."""

    #: Changes with every revocation and assignment.
    _epoch = 0

    async def _wait_next_records(self, timeout: float) -> tuple[RecordMap | None, set[TP] | None]:  # noqa: ASYNC109
        """Fetch; returns what came of streams, nothing when a rebalance came while the rest was recovered."""
        records, active = await super()._wait_next_records(timeout)
        # Nothing else has run since the fetch ended.
        epoch = self._epoch
        changelogs = {tp for tp in records or () if self._is_changelog_tp(tp)}
        if not records or not changelogs:
            return records, active
        recovery = cast("Recovery", cast("Any", self.app.tables).recovery)
        for tp in changelogs:
            self.app.monitor.track_tp_end_offset(tp, self.highwater(tp))
            await recovery.take(tp, records[tp], is_wanted=partial(self._is_wanted, tp, epoch, active))
        if epoch != self._epoch:
            return {}, active
        return {tp: batch for tp, batch in records.items() if tp not in changelogs}, active

    def _is_wanted(self, tp: TP, epoch: int, active: set[TP] | None) -> bool:
        """Whether what was fetched in this epoch is still to be recovered. Faust goes on changing the active set."""
        return epoch == self._epoch and self.flow_active and (active is None or tp in active)
