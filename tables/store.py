"""Store: the RocksDB databases under a window table, one per partition.

Options hold for every opening. rocksdict reads its options argument only when it creates a database and falls
back to its own defaults when it opens one again, unless the options are also given for the column family;
here they are. Memory and files are bounded for the process, not per database: all databases share one block
cache. A piece of a changelog is recovered with one write, its offset with it; where else offsets are persisted, it is
as Faust does.

A database that another process holds open cannot be opened; Faust retries that for half a minute at a
rebalance.

A database says which topics it was filled from (`tables.lineage`). One that was filled from others, that does not say
it, or that cannot be read is emptied when it is opened, and Faust fills it again from the changelog.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import rocksdict
from faust.stores import rocksdb
from faust.types import TP

from tables import lineage
from tables.errors import TimelineReplaced
from tables.lapse import find, outlives
from tables.ring import RingCorrupt, decode, end_of, seq_of

if TYPE_CHECKING:
    from pathlib import Path

    from tables.lapse import Lapse, LapsedWindow
    from tables.lineage import Lineage

log = logging.getLogger(__name__)

#: Where Faust asks for a URL; the table name is added to it.
URL: Final = "rocksdb://"

#: Where a database keeps its lineage, beside Faust's offset. No key of a ring: its entity id would have 24,415 bytes.
LINEAGE_KEY: Final = b"__innervate\0lineage__"

#: Blocks read from disk, for all databases of the process. 64 MiB hold the rings of about 1,500 busy entities
#: of 128 slots with 340 bytes each (own choice).
BLOCK_CACHE_BYTES: Final = 64 * 1024**2
#: Per database; a worker has one database per table and partition (own choice, well below the usual limit of
#: 1,024).
MAX_OPEN_FILES: Final = 128
#: Per database, in memory before a file is written; Faust's 64 MiB times tables times partitions is too much.
WRITE_BUFFER_BYTES: Final = 8 * 1024**2
#: About 1 % false positives (RocksDB wiki, "RocksDB Bloom Filter").
BLOOM_BITS_PER_KEY: Final = 10

#: Stands for what no slot has.
_NO_SEQ: Final = -1


class Usage(NamedTuple):
    """What the databases of a table hold."""

    #: Databases that are open: one for each partition, of standbys as well.
    partitions: int
    #: Remembered events, some counted twice until RocksDB has merged them.
    entries: int
    #: In files, and in memory before they are written.
    file_bytes: int
    memory_bytes: int


class ChangelogRecord(Protocol):
    """A record of a changelog, as far as it is recovered."""

    @property
    def offset(self) -> int:
        """Its place."""

    @property
    def key(self) -> Any:
        """The slot."""

    @property
    def value(self) -> Any:
        """The entry; None removes it."""

    @property
    def headers(self) -> Sequence[tuple[str, bytes]]:
        """What a removal is meant for (`tables.lapse`)."""


@cache
def block_cache() -> rocksdict.Cache:
    """Return the one block cache of this process."""
    return rocksdict.Cache(BLOCK_CACHE_BYTES)


class StoreOptions(rocksdb.RocksDBOptions):
    """Options that a reopened database keeps."""

    def open(self, path: Path, *, read_only: bool = False) -> rocksdict.Rdict:
        """Open or create the database at `path`.

        Raises Exception, with "lock" in its text, while another process holds it.
        """
        options = self.as_options()
        access = rocksdict.AccessType.read_only() if read_only else rocksdict.AccessType.read_write()
        families = {"default": options}
        return rocksdict.Rdict(str(path), options=options, column_families=families, access_type=access)

    def as_options(self) -> rocksdict.Options:
        """Return the options of every database of every window table."""
        blocks = rocksdict.BlockBasedOptions()
        blocks.set_block_cache(block_cache())
        blocks.set_bloom_filter(BLOOM_BITS_PER_KEY, block_based=False)
        options = rocksdict.Options(raw_mode=True)
        options.create_if_missing(create_if_missing=True)
        options.set_max_open_files(MAX_OPEN_FILES)
        options.set_write_buffer_size(WRITE_BUFFER_BYTES)
        options.set_block_based_table_factory(blocks)
        return options


class Store(rocksdb.Store):
    """Faust's RocksDB store with our options and a prefix scan."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.rocksdb_options: StoreOptions = StoreOptions()
        #: What the databases must have been filled from; None takes them as they are.
        self.lineage: Lineage | None = None
        self._said: set[str] = set()
        #: Slots whose entries outlived a removal that came late, by partition.
        self.outlived: dict[int, set[bytes]] = {}

    def scan(self, partition: int, prefix: bytes) -> list[tuple[bytes, bytes]]:
        """Return every (key, value) of the partition whose key starts with `prefix`, in key order.

        `prefix` must not be empty. Reads what this process wrote, flushed or not. Opens the database of the
        partition if it is not open, as every other read of a Faust store does.
        """
        options = rocksdict.ReadOptions()
        options.set_iterate_upper_bound(end_of(prefix))
        database = self._db_for_partition(partition)
        try:
            # One seek and a list that leaves no iterator behind: an iterator would keep a revoked database open.
            return list(database.items(from_key=prefix, read_opt=options))
        except Exception as error:
            if _is_corruption(error):
                raise RingCorrupt(str(error)) from error
            raise

    def get_slot(self, partition: int, key: bytes) -> bytes | None:
        """Return what a slot holds."""
        stored: bytes | None = self._db_for_partition(partition).get(key)
        return stored

    def write(self, partition: int, writes: Iterable[tuple[bytes, bytes]]) -> None:
        """Write these keys and values at once: all of them or, when this process dies meanwhile, none."""
        batch = rocksdict.WriteBatch(raw_mode=True)
        for key, value in writes:
            batch.put(key, value)
        self._db_for_partition(partition).write(batch)

    def lapsed(
        self, partition: int, lapse: Lapse, *, start: bytes, most_slots: int
    ) -> tuple[Sequence[LapsedWindow], bytes | None]:
        """The lapsed windows from this key on (`tables.lapse.find`), and where to go on: None at the end."""
        slots = self._db_for_partition(partition).iter()
        slots.seek(start)
        found = find(slots, lapse, beside=(self.offset_key, LINEAGE_KEY), most_slots=most_slots)
        try:
            slots.status()
        except Exception as error:
            if _is_corruption(error):
                raise RingCorrupt(str(error)) from error
            raise
        return found, slots.key() if slots.valid() else None

    def forget(self, partition: int, keys: Iterable[bytes], lapse: Lapse) -> None:
        """Empty those of these slots whose entries have lapsed: a newer one may have taken one meanwhile."""
        database = self._db_for_partition(partition)
        batch = rocksdict.WriteBatch(raw_mode=True)
        wanted = list(keys)
        for key, value in zip(wanted, database.get(wanted), strict=True):
            if value is not None and lapse.holds(value):
                batch.delete(key)
        database.write(batch)

    def usage(self) -> Usage:
        """How much the databases that are open hold, by RocksDB's own estimates: nothing is read for it."""
        entries = files = memory = 0
        for database in list(self._dbs.values()):
            entries += database.property_int_value("rocksdb.estimate-num-keys") or 0
            files += database.property_int_value("rocksdb.total-sst-files-size") or 0
            memory += database.property_int_value("rocksdb.cur-size-all-mem-tables") or 0
        return Usage(partitions=len(self._dbs), entries=entries, file_bytes=files, memory_bytes=memory)

    def newest_offset(self, partition: int) -> int:
        """Return the highest offset of the timeline that a window of the partition holds; -1 where none does.

        Reads the whole database. Raises RingCorrupt when an entry cannot be read.
        """
        items = self._db_for_partition(partition).items()
        own = {self.offset_key, LINEAGE_KEY}
        return max((decode(value).offset for key, value in items if key not in own), default=-1)

    def empty(self, partition: int, reason: str) -> None:
        """Throw the database of a partition away, so that it is filled again from the changelog, and say so."""
        database = self._dbs.pop(partition, None)
        if database is not None:
            database.close()
            del database
        self._throw_away(partition, reason)

    def distrust(self, partition: int) -> None:
        """Have the database thrown away when it is opened the next time; until then it is what there is."""
        self._db_for_partition(partition).delete(LINEAGE_KEY)

    def _open_for_partition(self, partition: int) -> rocksdict.Rdict:
        database, reason = self._open_as_it_is(partition)
        if reason is not None:
            if database is not None:
                database.close()
            del database
            self._throw_away(partition, reason)
            database = super()._open_for_partition(partition)
        assert database is not None, "there is a reason when there is no database"
        if self.lineage is not None:
            database.put(LINEAGE_KEY, lineage.encode(self.lineage))
        return database

    def _open_as_it_is(self, partition: int) -> tuple[rocksdict.Rdict | None, str | None]:
        """The database of a partition, if it can be opened, and why it must not be used."""
        try:
            database = super()._open_for_partition(partition)
            return database, self._why_not(database)
        except Exception as error:
            if not _is_corruption(error):
                raise
            return None, f"RocksDB cannot read them ({error})"

    def _why_not(self, database: rocksdict.Rdict) -> str | None:
        """Why the windows in a database must not be used; None when they may, or when there are none."""
        if self.lineage is None or _is_empty(database):
            return None
        offset = database.get(self.offset_key)
        if offset is not None and not offset.isdigit():
            return "they do not say how much of the changelog they know"
        return lineage.why_not(database.get(LINEAGE_KEY), self.lineage)

    def _throw_away(self, partition: int, reason: str) -> None:
        path = self.partition_path(partition)
        if reason == lineage.OTHER_TIMELINE:
            raise TimelineReplaced(self.table_name, f"{self.table_name} in {path.parent} cannot be used: {reason}")
        # Takes RocksDB's lock, so nothing is taken from under a process that has it open.
        rocksdict.Rdict.destroy(str(path), self.rocksdb_options.as_options())
        # Once for all partitions of a table with the same reason.
        level = logging.DEBUG if reason in self._said else logging.WARNING
        self._said.add(reason)
        log.log(
            level, "the windows of %s in %s are rebuilt from the changelog: %s", self.table_name, path.parent, reason
        )

    def recover(self, tp: TP, records: Sequence[ChangelogRecord]) -> None:
        """Write what a changelog partition says, and that it is known up to here, in one batch: both or neither.

        `records` is not empty and in the order of the changelog, and each is an entry of a ring or the removal of one.
        Of two entries for one slot the later `seq` stays, whichever the changelog has last: a worker that was frozen
        beyond its session wakes up and writes what it had still to fold, behind what its successor wrote: the same
        events in the same slots, but perhaps older than what stands there by then.

        Raises what RocksDB raises when it cannot write.
        """
        database = self._db_for_partition(tp.partition)
        keys = list({record.key: None for record in records})
        before: dict[bytes, bytes | None] = dict(zip(keys, database.get(keys), strict=True))
        newest = {key: _seq_or_none(stored) for key, stored in before.items()}
        slots: dict[bytes, bytes | None] = {}
        for record in records:
            key, value = record.key, record.value
            seq = _NO_SEQ if value is None else seq_of(value)
            if (
                value is None
                and newest[key] != _NO_SEQ
                and outlives(slots.get(key) or before[key] or b"", record.headers)
            ):
                self.outlived.setdefault(tp.partition, set()).add(key)
            # The entry was removed; the slot takes any other again.
            elif value is None or seq >= newest[key]:
                newest[key], slots[key] = seq, value
        known = self.persisted_offset(tp)
        last = records[-1].offset
        database.write(self._batch(slots, last if known is None else max(last, known)))

    def _batch(self, slots: Mapping[bytes, bytes | None], offset: int) -> rocksdict.WriteBatch:
        batch = rocksdict.WriteBatch(raw_mode=True)
        for key, value in slots.items():
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        # Faust's own form of a persisted offset.
        batch.put(self.offset_key, str(offset).encode())
        return batch


def _seq_or_none(stored: bytes | None) -> int:
    """The `seq` that stands in a slot; -1 when none does, or none that can be read."""
    try:
        return _NO_SEQ if stored is None else seq_of(stored)
    except RingCorrupt:
        return _NO_SEQ


def _is_empty(database: rocksdict.Rdict) -> bool:
    """Whether it holds nothing but, perhaps, its lineage."""
    return all(key == LINEAGE_KEY for key in itertools.islice(database.keys(), 2))


def _is_corruption(error: Exception) -> bool:
    # rocksdict raises bare exceptions with RocksDB's status in front; a file that is gone is corruption too.
    return str(error).startswith(("Corruption", "IO error: No such file or directory"))
