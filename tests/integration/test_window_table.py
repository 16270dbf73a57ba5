"""Window tables on RocksDB: folded, read back, reopened, recovered, and sent to the changelog once."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import faust
import pytest
from faust.types import TP
from window_tables import CHANGELOG, FOUR, Message, windows

from tables import ring, window
from tables.cache import ByteCache, RingCache
from tables.table import WindowTable
from tables.window import Entry, WindowSpec

pytestmark = pytest.mark.asyncio

NOON = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)


def padded(size: int) -> bytes:
    """A JSON object of this many bytes."""
    return b"{%*b}" % (size - 2, b"")


def fold(table: WindowTable, entity: str, offset: int, *, partition: int = 0, size: int = 10) -> list[Entry]:
    entries = table.fold(partition, entity, offset=offset, time=NOON, event_id=f"e{offset}", payload=padded(size))
    table.flush(partition)
    return list(entries)


def restore(records: Sequence[Message], datadir: Path) -> WindowTable:
    table, _ = windows(datadir)
    for partition in sorted({record.partition for record in records}):
        table.table.recover(TP(CHANGELOG, partition), [record for record in records if record.partition == partition])
    return table


def seen(entries: Sequence[Entry]) -> list[tuple[int, str]]:
    return [(entry.seq, entry.event_id) for entry in entries]


async def test_what_was_folded_is_read_back(tmp_path: Path) -> None:
    table, _ = windows(tmp_path)
    assert seen(fold(table, "ada", 3)) == [(0, "e3")]
    assert seen(fold(table, "ada", 5)) == [(0, "e3"), (1, "e5")]
    assert table.read(0, "ada") == [
        Entry(0, 3, NOON, "e3", padded(10)),
        Entry(1, 5, NOON, "e5", padded(10)),
    ]


async def test_a_history_is_read_as_of_its_event(tmp_path: Path) -> None:
    table, _ = windows(tmp_path)
    for offset in range(1, 9):
        fold(table, "ada", offset)
    history = window.history(table.read(0, "ada"), FOUR, offset=6, time=NOON, event_id="e6", source=None)
    assert seen(history) == [(1, "e2"), (2, "e3"), (3, "e4"), (4, "e5")]


async def test_a_full_ring_gives_its_oldest_slot_to_the_new_event(tmp_path: Path) -> None:
    table, _ = windows(tmp_path)
    returned = [fold(table, "ada", offset) for offset in range(20)][-1]
    assert seen(returned) == [(seq, f"e{seq}") for seq in range(12, 20)]
    assert table.read(0, "ada") == returned
    assert len(table.table.data.scan(0, ring.prefix("ada"))) == 8


async def test_entities_whose_ids_are_prefixes_of_each_other_stay_apart(tmp_path: Path) -> None:
    table, _ = windows(tmp_path)
    entities = ["", "a", "ab", "a\x00", "a\x00\x00\x00\x00", "b", "\x00", "ÿ", "\U0010ffff"]
    for offset, entity in enumerate(entities):
        fold(table, entity, offset)
    assert [seen(table.read(0, entity)) for entity in entities] == [
        [(0, f"e{offset}")] for offset in range(len(entities))
    ]


async def test_partitions_stay_apart(tmp_path: Path) -> None:
    table, changelog = windows(tmp_path)
    fold(table, "ada", 1, partition=0)
    fold(table, "ada", 2, partition=1)
    assert seen(table.read(0, "ada")) == [(0, "e1")]
    assert seen(table.read(1, "ada")) == [(0, "e2")]
    assert [record.partition for record in changelog.records] == [0, 1]


async def test_windows_are_there_after_the_database_was_closed_and_opened_again(tmp_path: Path) -> None:
    table, _ = windows(tmp_path)
    fold(table, "ada", 1)
    await table.table.data.stop()
    again, _ = windows(tmp_path)
    assert seen(fold(again, "ada", 2)) == [(0, "e1"), (1, "e2")]


async def test_an_event_costs_one_changelog_record_of_its_own_size(tmp_path: Path) -> None:
    table, changelog = windows(tmp_path, WindowSpec(events=50, age=timedelta(days=1)))
    for offset in range(200):
        fold(table, "ada", offset, size=300)
    assert len(changelog.records) == 200
    assert {type(record.key) for record in changelog.records} == {bytes}
    assert max(len(record.key) + len(record.value or b"") for record in changelog.records) == 9 + 27 + 4 + 300


async def test_a_copy_writes_nothing_and_a_redelivered_event_writes_its_slot_again(tmp_path: Path) -> None:
    table, changelog = windows(tmp_path)
    fold(table, "ada", 1)
    ring_before = fold(table, "ada", 2)
    assert list(table.fold(0, "ada", offset=3, time=NOON, event_id="e1", payload=b"")) == ring_before
    assert table.flush(0) is None
    assert len(changelog.records) == 2
    assert fold(table, "ada", 1) == ring_before
    assert table.read(0, "ada") == ring_before
    first, _, third = changelog.records
    assert (third.key, third.value) == (first.key, first.value)


async def test_a_table_restored_from_the_changelog_is_the_same_table(tmp_path: Path) -> None:
    lost, changelog = windows(tmp_path / "lost")
    for offset in range(30):
        fold(lost, "ada" if offset % 3 else "bob", offset, partition=offset % 2)
    restored = restore(changelog.records, tmp_path / "restored")
    for partition in (0, 1):
        for entity in ("ada", "bob"):
            assert restored.read(partition, entity) == lost.read(partition, entity) != []
        tp = TP(CHANGELOG, partition)
        assert restored.table.persisted_offset(tp) == lost.table.persisted_offset(tp) == 14


async def test_a_write_the_changelog_never_got_is_made_up_for_by_redelivery(tmp_path: Path) -> None:
    killed, changelog = windows(tmp_path / "killed")
    for offset in range(10):
        fold(killed, "ada", offset)
    other = restore(changelog.records[:7], tmp_path / "other")
    for offset in range(5, 10):
        fold(other, "ada", offset)
    assert other.read(0, "ada") == killed.read(0, "ada")


async def test_rings_recovered_from_the_changelog_replace_those_in_memory(tmp_path: Path) -> None:
    table, _ = windows(tmp_path / "here")
    elsewhere, changelog = windows(tmp_path / "elsewhere")
    for offset in range(3):
        fold(table, "ada", offset)
        fold(elsewhere, "ada", offset)
    fold(elsewhere, "ada", 3)
    table.table.recover(TP(CHANGELOG, 0), changelog.records)
    assert [entry.event_id for entry in fold(table, "ada", 4)] == ["e0", "e1", "e2", "e3", "e4"]


async def test_what_is_recovered_for_a_standby_leaves_others_in_memory(tmp_path: Path) -> None:
    table, changelog = windows(tmp_path / "here")
    fold(table, "ada", 0)
    fold(table, "bob", 1)
    of_ada = [record for record in changelog.records if ring.entity_of(record.key) == "ada"]
    cache = table.table.cache
    kept = cache.get(0, "bob")

    table.table.recover(TP(CHANGELOG, 1), [Message(CHANGELOG, 1, 0, ring.key("bob", 0), of_ada[0].value)])
    table.table.recover(TP(CHANGELOG, 0), of_ada)
    table.table.recover(TP(CHANGELOG, 0), [Message(CHANGELOG, 0, 2, b"no key of ours", None)])

    assert kept is not None
    assert cache.get(0, "bob") is kept
    assert cache.get(0, "ada") is None


async def test_what_another_worker_wrote_in_between_is_read_back_at_the_next_recovery(tmp_path: Path) -> None:
    frozen, changelog = windows(tmp_path / "frozen")
    successor, theirs = windows(tmp_path / "successor")
    theirs.records = changelog.records
    tp = TP(CHANGELOG, 0)
    fold(frozen, "ada", 0)
    fold(frozen, "ada", 1)
    assert frozen.table.persisted_offset(tp) == 1

    successor.table.recover(TP(CHANGELOG, 0), changelog.records)
    for offset in range(2, 6):
        fold(successor, "ada", offset)
    fold(frozen, "ada", 2)

    assert frozen.table.persisted_offset(tp) == 1
    frozen.table.recover(TP(CHANGELOG, 0), changelog.records[2:])
    assert frozen.read(0, "ada") == successor.read(0, "ada")
    assert frozen.table.persisted_offset(tp) == 6


async def test_an_older_entry_written_late_does_not_replace_a_newer_one(tmp_path: Path) -> None:
    frozen, late = windows(tmp_path / "frozen")
    successor, changelog = windows(tmp_path / "successor")
    for offset in range(4):
        fold(frozen, "ada", offset)
    for offset in range(12):
        fold(successor, "ada", offset)
    written = [*changelog.records, *(replace(record, offset=12 + n) for n, record in enumerate(late.records))]

    for size in (1, 16):
        recovered, _ = windows(tmp_path / f"recovered-{size}")
        for start in range(0, 16, size):
            recovered.table.recover(TP(CHANGELOG, 0), written[start : start + size])
        assert recovered.read(0, "ada") == successor.read(0, "ada")
        assert recovered.table.persisted_offset(TP(CHANGELOG, 0)) == 15


async def test_a_rebalance_empties_the_memory(tmp_path: Path) -> None:
    table, _ = windows(tmp_path)
    fold(table, "ada", 1)
    assert table.table.cache.get(0, "ada") is not None
    await table.table.on_rebalance(set(), set(), set())
    assert table.table.cache.get(0, "ada") is None


@pytest.mark.parametrize(("before", "after"), [(2, 8), (8, 2)])
async def test_a_changed_window_keeps_what_both_sizes_hold(tmp_path: Path, before: int, after: int) -> None:
    old, _ = windows(tmp_path, WindowSpec(before, FOUR.age))
    for offset in range(40):
        fold(old, "ada", offset)
    await old.table.data.stop()
    new, _ = windows(tmp_path, WindowSpec(after, FOUR.age))
    for offset in range(40, 42):
        assert seen(fold(new, "ada", offset))[-4:] == [(seq, f"e{seq}") for seq in range(offset - 3, offset + 1)]
        assert seen(new.read(0, "ada"))[-4:] == [(seq, f"e{seq}") for seq in range(offset - 3, offset + 1)]


async def test_what_was_folded_is_written_as_one_piece_of_each_partition(tmp_path: Path) -> None:
    table, changelog = windows(tmp_path)
    table.table.cache = RingCache(ByteCache(0))  # nothing is read back from memory
    for offset, entity in enumerate(["ada", "bob", "ada", "ada"]):
        table.fold(0, entity, offset=offset, time=NOON, event_id=f"e{offset}", payload=b"{}")
    table.fold(1, "ada", offset=7, time=NOON, event_id="e7", payload=b"{}")

    assert changelog.records == []
    assert seen(table.read(0, "ada")) == [(0, "e0"), (1, "e2"), (2, "e3")]

    await _done(table.flush(0))
    assert [record.key for record in changelog.records] == [
        ring.key("ada", 0),
        ring.key("bob", 0),
        ring.key("ada", 1),
        ring.key("ada", 2),
    ]
    assert table.flush(0) is None
    await _done(table.flush(1))
    assert [(record.partition, record.offset) for record in changelog.records[4:]] == [(1, 0)]
    assert seen(table.read(0, "ada")) == [(0, "e0"), (1, "e2"), (2, "e3")]


async def _done(stored: Awaitable[None] | None) -> None:
    assert stored is not None
    await stored


async def test_the_table_and_its_changelog_carry_the_name_given(tmp_path: Path) -> None:
    app = faust.App("shop", broker="kafka://127.0.0.1:1", datadir=str(tmp_path))
    table = WindowTable(app, "windows", FOUR, partitions=6)
    assert app.tables["windows"] is table.table
    assert table.table.changelog_topic.get_topic_name() == "shop-windows-changelog"
    assert table.table.changelog_topic.partitions == 6
    assert table.table.changelog_topic.compacting
