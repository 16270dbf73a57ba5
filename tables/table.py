"""Window table: one agent's windows, a Faust table of raw bytes with a changelog in Kafka.

Remembering an event is one entry in a write to RocksDB and one changelog record, each of about the event's own size.
What is folded is in memory until `flush` writes it, as one piece; whoever folds flushes before anybody else can run.
Offsets are those of the timeline: in a timeline that was created again the new events would pass for redelivered ones,
so such windows are not used (`tables.lineage`).

The rings folded last stay decoded in memory (`tables.cache`): decoding costs most of a fold. Every rebalance
empties that memory, and an entity whose record is recovered from the changelog leaves it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import orjson
from faust.tables import Table
from faust.types import TP

from tables import ring
from tables.cache import RingCache
from tables.changelog import Changelog, Write
from tables.errors import ChangelogUnreadable, SlotUnreadable, TimelineReplaced, WindowsUnusable
from tables.ring import RingCorrupt
from tables.rings import Rings
from tables.store import URL, ChangelogRecord, Store, Usage

if TYPE_CHECKING:
    from datetime import datetime

    import faust
    from aiokafka import AIOKafkaProducer

    from tables.lapse import Lapse, LapsedWindow
    from tables.lineage import Lineage
    from tables.window import Entry, WindowSpec


class SlotTable(Table[bytes, bytes]):
    """The Faust table underneath: slot key to entry, kept in our store whatever the app's default is."""

    data: Store

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cache = RingCache()
        self.changelog = Changelog(
            lambda: self.changelog_topic_name, lambda: producer_of(self.app), on_stored=self._on_stored
        )
        #: The topic the windows are filled from, where its ends are known exactly.
        self.timeline: str | None = None
        #: The newest offset of the timeline that was recovered, by partition.
        self._newest: dict[int, int] = {}

    def write(self, partition: int, writes: Sequence[Write]) -> asyncio.Future[None]:
        """Write slots to the local database at once, and send them to the changelog; done when that has them.

        Raises what RocksDB raises when it cannot write.
        """
        self.data.write(partition, writes)
        return self.changelog.send(partition, writes)

    def _on_stored(self, partition: int, first: int, count: int) -> None:
        """Say that the local database knows the changelog up to these records, if it knows everything before them.

        A gap means that another worker wrote in between: this one was frozen, or cut off, and its partition given away.
        Its own late record would be taken for the newest it has to know, and the others never be read back.
        """
        tp = TP(self.changelog_topic_name, partition)
        known = self.data.persisted_offset(tp)
        if first == (-1 if known is None else known) + 1:
            self.data.set_persisted_offset(tp, first + count - 1)

    def recover(self, tp: TP, records: Sequence[ChangelogRecord]) -> None:
        """Recover a piece of the changelog, all of it or nothing; it changes rings behind the cache.

        `records` is not empty and in the order of the changelog. Raises ChangelogUnreadable when one is no entry of a
        window, and what RocksDB raises when it cannot write: either must end the worker.
        """
        newest = self._newest_of(tp, records)
        # A worker that keeps standbys recovers all the time, and its own entities are to stay in memory.
        for entity in _entities(records):
            self.cache.drop(tp.partition, entity)
        self.data.recover(tp, records)
        if newest > self._newest.get(tp.partition, -1):
            self._newest[tp.partition] = newest

    def _newest_of(self, tp: TP, records: Iterable[ChangelogRecord]) -> int:
        """The newest offset of the timeline that these hold; -1 when they only remove."""
        newest = -1
        for record in records:
            try:
                entry = require_entry(record.key, record.value)
            except RingCorrupt as error:
                place = f"{tp.topic}[{tp.partition}]@{record.offset}"
                raise ChangelogUnreadable(self.name, f"{place} is no entry of a window: {error}") from error
            if entry is not None and entry.offset > newest:
                newest = entry.offset
        return newest

    async def on_recovery_completed(self, active_tps: set[TP], standby_tps: set[TP]) -> None:
        """Look whether the timeline is long enough for what was recovered; a shorter one ends the worker.

        It was created again or cut off, and there is no local database that would know it.
        """
        newest = {
            TP(self.timeline, tp.partition): self._newest[tp.partition]
            for tp in active_tps
            if self.timeline is not None and tp.partition in self._newest
        }
        ends = await self.app.consumer.highwaters(*newest) if newest else {}
        for tp, recovered in sorted(newest.items()):
            end = ends.get(tp) or 0
            # The changelog may still have what a rebuild has removed since: only what is held counts.
            offset = recovered if recovered < end else self._newest_held(tp.partition)
            if offset >= end:
                message = (
                    f"{self.name} holds offset {offset} of {tp.topic}[{tp.partition}], which ends at {ends.get(tp)}"
                )
                await self._stop_recovery(TimelineReplaced(self.name, message))
        for tp in active_tps:
            self._write_outlived(tp.partition)
        await super().on_recovery_completed(active_tps, standby_tps)

    def _write_outlived(self, partition: int) -> None:
        """Send to the changelog again what outlived a late removal there."""
        keys = sorted(self.data.outlived.pop(partition, ()))
        held = [(key, value) for key in keys if (value := self.data.get_slot(partition, key)) is not None]
        if held:
            self.changelog.send(partition, held).add_done_callback(_look_at_failure)

    def _newest_held(self, partition: int) -> int:
        self._newest[partition] = self.data.newest_offset(partition)
        return self._newest[partition]

    async def _stop_recovery(self, error: WindowsUnusable) -> None:
        """Stop the worker; never returns, so that no window is taken for complete.

        Faust logs what is raised here and goes on. Stopping cancels whoever waits.
        """
        await self.app.crash(error)
        await asyncio.Event().wait()

    def empty(self, tp: TP, reason: str) -> None:
        """Throw the local database of a partition away, so that recovery fills it again."""
        self.cache.clear()
        self.data.empty(tp.partition, reason)

    async def on_rebalance(
        self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0
    ) -> None:
        """Forget decoded rings: a partition that comes back was written by somebody else meanwhile."""
        self.cache.clear()
        await super().on_rebalance(assigned, revoked, newly_assigned, generation_id)

    def _new_store(self) -> Store:
        return Store(
            URL,
            self.app,
            self,
            table_name=self.name,
            key_type=self.key_type,
            value_type=self.value_type,
            key_serializer=self.key_serializer,
            value_serializer=self.value_serializer,
            loop=self.loop,
        )


class WindowTable:
    """The windows of one agent.

    Declared while the app is built, before it starts. `name` is the name of the Faust table and part of the
    changelog topic's; `partitions` is the number of partitions of the timeline.
    """

    def __init__(self, app: faust.App, name: str, spec: WindowSpec, *, partitions: int) -> None:
        self.spec = spec
        self.table = SlotTable(
            app,
            name=name,
            beacon=app.tables.beacon,
            partitions=partitions,
            key_type=bytes,
            value_type=bytes,
            help=f"windows: last {spec.events} events, no older than {spec.age}{_own_rings(spec)}",
        )
        app.tables.add(self.table)
        #: What was folded and is not written yet: slots by partition, and whose they are.
        self._folded: dict[int, dict[bytes, bytes]] = {}
        self._unwritten: set[tuple[int, str]] = set()

    def require(self, lineage: Lineage, *, timeline: str | None = None) -> None:
        """Use no windows that were filled from anything else; to be called before the app opens them.

        `timeline` is the name of that topic; None when the broker does not say exactly where its partitions end.
        """
        self.table.data.lineage = lineage
        self.table.timeline = timeline

    def fold(
        self, partition: int, entity: str, *, offset: int, time: datetime, event_id: str, payload: bytes
    ) -> Sequence[Entry]:
        """Remember an event, written by the next `flush`; returns the rings of the entity afterwards, in log order.

        `partition` and `offset` are those of the event in the timeline, `time` is UTC. Copies and redelivered
        events change nothing (see `tables.window.fold`). Raises SlotUnreadable when a stored value cannot be read.
        """
        cache = self.table.cache
        found = cache.get(partition, entity) or self._rings(partition, entity)
        written = found.fold(offset=offset, time=time, event_id=event_id, payload=payload)
        try:
            writes = [(key, ring.encode(entry)) for key, entry in written]
        except BaseException:
            cache.clear()  # what is remembered in memory alone is remembered nowhere
            raise
        if writes:
            folded = self._folded.setdefault(partition, {})
            for key, value in writes:
                # Of two entries for one slot the later one stays, and is last in its turn.
                folded.pop(key, None)
                folded[key] = value
            self._unwritten.add((partition, entity))
        cache.put(partition, entity, found)
        return tuple(found.entries)

    def flush(self, partition: int) -> asyncio.Future[None] | None:
        """Write what was folded in a partition, and send it to the changelog; None where nothing was folded.

        What is returned is done when Kafka has the records, failed when it never will: acknowledge after it. Raises
        what RocksDB raises when it cannot write.
        """
        folded = self._folded.pop(partition, None)
        if not folded:
            return None
        self._unwritten = {place for place in self._unwritten if place[0] != partition}
        return self.table.write(partition, list(folded.items()))

    def lapsed(
        self, partition: int, lapse: Lapse, *, start: bytes, most_slots: int
    ) -> tuple[Sequence[LapsedWindow], bytes | None]:
        """The lapsed windows of a partition from this key on, and where to go on: see `Store.lapsed`.

        Raises SlotUnreadable when a stored value cannot be read.
        """
        try:
            return self.table.data.lapsed(partition, lapse, start=start, most_slots=most_slots)
        except RingCorrupt as error:
            raise self._unreadable(partition, error) from error

    async def forget(
        self, partition: int, windows: Sequence[LapsedWindow], lapse: Lapse, *, is_owned: Callable[[], bool]
    ) -> None:
        """Remove lapsed windows, found since anything else has run: from the changelog, then from RocksDB and memory.

        What comes for one of them meanwhile is behind its removal in the changelog, and stays. Ended in between, by
        whatever, what is left has lapsed still and is removed the next time. `is_owned` says whether the partition is
        still this worker's. Raises what the changelog raises when it does not take the removals.
        """
        keys = [key for window in windows for key in window.keys]
        await self.table.changelog.send(partition, [(key, lapse) for key in keys])
        if not is_owned():
            return
        self.table.data.forget(partition, keys, lapse)
        for window in windows:
            self.table.cache.drop(partition, window.entity)

    def read(self, partition: int, entity: str) -> list[Entry]:
        """Return the rings of an entity in log order; empty when nothing is remembered in this partition.

        Up to the capacity of each ring, more than a history holds. Works anywhere, on the worker that has the
        partition; elsewhere it creates an empty database. Raises SlotUnreadable when a stored value cannot be
        read.
        """
        return self._rings(partition, entity).entries

    def usage(self) -> Usage:
        """How much of the windows is kept on this machine."""
        return self.table.data.usage()

    def _rings(self, partition: int, entity: str) -> Rings:
        data = self.table.data
        key_prefix = ring.prefix(entity)
        try:
            items = data.scan(partition, key_prefix)
            if (partition, entity) in self._unwritten:
                folded = self._folded[partition]
                newer = {key: value for key, value in folded.items() if key.startswith(key_prefix)}
                items = sorted((dict(items) | newer).items())
            return Rings.read(entity, items, self.spec)
        except RingCorrupt as error:
            raise self._unreadable(partition, error) from error

    def _unreadable(self, partition: int, error: RingCorrupt) -> SlotUnreadable:
        # What recovery has checked is readable: the disk is not as it was written.
        data = self.table.data
        data.distrust(partition)
        message = f"{self.table.name} in {data.partition_path(partition)} cannot be read: {error}"
        return SlotUnreadable(self.table.name, message)


def _own_rings(spec: WindowSpec) -> str:
    return "".join(f"; last {each.events} of {', '.join(each.types)}" for each in spec.rings)


def producer_of(app: Any) -> AIOKafkaProducer:
    """The producer that Faust sends with: its recoveries and commits wait for what is under way on it."""
    return app.producer._ensure_producer()  # noqa: SLF001


def _look_at_failure(stored: asyncio.Future[None]) -> None:
    """Take note of an exception that nobody waits for."""
    if not stored.cancelled():
        stored.exception()


def _entities(records: Iterable[ChangelogRecord]) -> Collection[str]:
    """Whose slots these are. What is removed may have been nobody's."""
    found = set()
    for key in {record.key for record in records}:
        with suppress(RingCorrupt):
            found.add(ring.entity_of(key))
    return found


def require_entry(key: bytes | None, value: bytes | None) -> Entry | None:
    """Return the entry of a changelog record; None when it removes one.

    Raises RingCorrupt when it is neither, or when the payload is no JSON object as every event is: the layout alone
    would not notice that a value was cut off.
    """
    entry = ring.check(key, value)
    if entry is None:
        return None
    try:
        document = orjson.loads(entry.payload)
    except orjson.JSONDecodeError as error:
        raise RingCorrupt(f"payload of ring value is no JSON: {error}") from error
    if not isinstance(document, dict):
        raise RingCorrupt("payload of ring value is no JSON object")
    return entry
