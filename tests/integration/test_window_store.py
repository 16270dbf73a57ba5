"""Databases under window tables: options kept at every opening, one cache, scans that stop in time."""

from __future__ import annotations

from pathlib import Path

import faust
import pytest
import rocksdict
from faust.tables import Table

from tables.store import URL, Store, StoreOptions


@pytest.mark.asyncio
async def test_a_scan_returns_the_keys_with_the_prefix_and_no_others(tmp_path: Path) -> None:
    app = faust.App("shop", broker="kafka://127.0.0.1:1", datadir=str(tmp_path))
    store = Store(URL, app, Table(app, name="windows"))
    database = store.rocksdb_options.open(store.partition_path(0))
    for key in (b"a", b"a\xff", b"a\xff\xff\x01", b"b", b"b\x00"):
        database.put(key, b"1")
    database.close()
    assert [key for key, _ in store.scan(0, b"a\xff")] == [b"a\xff", b"a\xff\xff\x01"]
    assert [key for key, _ in store.scan(0, b"a")] == [b"a", b"a\xff", b"a\xff\xff\x01"]
    assert store.scan(0, b"c") == []
    assert store.scan(1, b"a") == []


def test_how_much_is_kept_is_told_of_the_databases_that_are_open_in_memory_and_in_files(tmp_path: Path) -> None:
    app = faust.App("shop", broker="kafka://127.0.0.1:1", datadir=str(tmp_path))
    store = Store(URL, app, Table(app, name="windows"))
    assert store.usage() == (0, 0, 0, 0)

    store.write(0, [(f"key-{number}".encode(), b"x" * 1000) for number in range(50)])
    store.write(3, [(b"key", b"x")])
    usage = store.usage()
    assert (usage.partitions, usage.entries, usage.file_bytes) == (2, 51, 0)
    assert usage.memory_bytes > 50_000

    store._db_for_partition(0).flush()  # noqa: SLF001
    assert store.usage().file_bytes > 1_000


def options_file(path: Path) -> str:
    """Return what RocksDB wrote down about the options of the last opening."""
    return max(path.glob("OPTIONS-*")).read_text()


def test_a_database_opened_again_keeps_its_options(tmp_path: Path) -> None:
    path = tmp_path / "one.db"
    for _ in range(2):
        database = StoreOptions().open(path)
        database.put(b"key", b"value")
        assert database.property_int_value("rocksdb.block-cache-capacity") == 64 * 1024**2
        database.close()
        written = options_file(path)
        assert "max_open_files=128\n" in written
        assert "write_buffer_size=8388608\n" in written
        assert "filter_policy=bloomfilter\n" in written


def test_rocksdict_alone_forgets_options_when_a_database_is_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "one.db"
    for expected in (64 * 1024**2, 8 * 1024**2):
        database = rocksdict.Rdict(str(path), options=StoreOptions().as_options())
        assert database.property_int_value("rocksdb.block-cache-capacity") == expected
        database.close()


def test_databases_share_one_block_cache(tmp_path: Path) -> None:
    busy, idle = (StoreOptions().open(tmp_path / name) for name in ("busy.db", "idle.db"))
    before = idle.property_int_value("rocksdb.block-cache-usage")
    busy.put(b"key", b"x" * 100_000)
    busy.flush()
    assert len(busy.get(b"key") or b"") == 100_000
    after = idle.property_int_value("rocksdb.block-cache-usage")
    assert before is not None
    assert after is not None
    assert after >= before + 100_000
