"""Store: the RocksDB databases under a window table, one per partition.

Options hold for every opening. rocksdict reads its options argument only when it creates a database and falls
back to its own defaults when it opens one again, unless the options are also given for the column family;
here they are. Memory and files are bounded for the process, not per database: all databases share one block
cache. Recovery, standbys and persisted offsets are Faust's own, inherited as they are.

A database that another process holds open cannot be opened; Faust retries that for half a minute at a
rebalance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import rocksdict
from faust.stores import rocksdb
from faust.types import TP, EventT

from tables.ring import end_of, seq_of

if TYPE_CHECKING:
    from pathlib import Path

#: Where Faust asks for a URL; the table name is added to it.
URL: Final = "rocksdb://"

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
        self.rocksdb_options = StoreOptions()

    def scan(self, partition: int, prefix: bytes) -> list[tuple[bytes, bytes]]:
        """Return every (key, value) of the partition whose key starts with `prefix`, in key order.

        `prefix` must not be empty. Reads what this process wrote, flushed or not. Opens the database of the
        partition if it is not open, as every other read of a Faust store does.
        """
        options = rocksdict.ReadOptions()
        options.set_iterate_upper_bound(end_of(prefix))
        # One seek and a list that leaves no iterator behind: an iterator would keep a revoked database open.
        return list(self._db_for_partition(partition).items(from_key=prefix, read_opt=options))

    def apply_changelog_batch(
        self, batch: Iterable[EventT[Any]], to_key: Callable[[Any], Any], to_value: Callable[[Any], Any]
    ) -> None:
        """Recover slots; of two entries for one slot the later `seq` stays, whichever the changelog has last.

        A worker that was frozen beyond its session wakes up and writes what it had still to fold, behind what its
        successor wrote: the same events in the same slots, but perhaps older than what stands there by then.
        """
        newest: dict[tuple[int, bytes], int] = {}

        def is_newest(event: EventT[Any]) -> bool:
            key, value = event.message.key, event.message.value
            if key is None:
                return True  # not ours; Faust's own way with it
            place = (event.message.partition, key)
            if value is None:  # a rebuild removed the entry; the slot takes any other again
                newest[place] = -1
                return True
            if place not in newest:
                stored = self._db_for_partition(place[0]).get(key)
                newest[place] = -1 if stored is None else seq_of(stored)
            seq = seq_of(value)
            if seq < newest[place]:
                return False
            newest[place] = seq
            return True

        events = list(batch)
        super().apply_changelog_batch(filter(is_newest, events), to_key, to_value)
        for event in events:
            # Skipped or not, everything up to here is known now.
            self._advance(event.message.tp, event.message.offset)

    def _advance(self, tp: TP, offset: int) -> None:
        known = self.persisted_offset(tp)
        if known is None or offset > known:
            self.set_persisted_offset(tp, offset)
