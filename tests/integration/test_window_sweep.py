"""Lapsed windows leave RocksDB, memory and changelog; whatever happens meanwhile, nothing else does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from faust.types import TP
from window_tables import CHANGELOG, FOUR, Changelog, Message, windows

from tables import ring
from tables.errors import SlotUnreadable
from tables.lapse import Lapse, LapsedWindow
from tables.store import LINEAGE_KEY
from tables.table import WindowTable
from tables.window import TypeRing, WindowSpec

pytestmark = pytest.mark.asyncio

NOON = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
#: Everything that came before offset 100 and happened in the morning.
MORNING = Lapse(100, NOON)
ZERO = TP(CHANGELOG, 0)


def fold(table: WindowTable, entity: str, offset: int, *, hours: int = -1, kind: str = "Usual") -> None:
    payload = b'{"type":"%s"}' % kind.encode()
    time = NOON + timedelta(hours=hours)
    table.fold(0, entity, offset=offset, time=time, event_id=f"e{offset}", payload=payload)
    table.flush(0)


def found(table: WindowTable, lapse: Lapse = MORNING) -> Sequence[LapsedWindow]:
    lapsed, further = table.lapsed(0, lapse, start=b"", most_slots=1000)
    assert further is None
    return lapsed


async def sweep(table: WindowTable, lapse: Lapse = MORNING) -> list[str]:
    lapsed = found(table, lapse)
    await table.forget(0, lapsed, lapse, is_owned=lambda: True)
    return sorted(window.entity for window in lapsed)


def ids(table: WindowTable, entity: str) -> list[str]:
    return [entry.event_id for entry in table.read(0, entity)]


def recovered(records: Sequence[Message], datadir: Path) -> WindowTable:
    table, _ = windows(datadir)
    if records:
        table.table.recover(ZERO, records)
    return table


def compacted(changelog: Changelog) -> Sequence[Message]:
    """What Kafka keeps of a changelog in the end."""
    last = {record.key: record for record in changelog.records}
    return sorted((record for record in last.values() if record.value is not None), key=lambda record: record.offset)


async def test_a_lapsed_window_leaves_the_database_the_memory_and_the_changelog(tmp_path: Path) -> None:
    table, changelog = windows(tmp_path / "here")
    for offset in range(11):
        fold(table, "ada", offset)
        fold(table, "bob", 100 + offset, hours=1)

    assert await sweep(table) == ["ada"]

    assert ids(table, "ada") == []
    assert table.table.cache.get(0, "ada") is None
    assert table.table.data.scan(0, ring.prefix("ada")) == []
    assert {ring.entity_of(record.key) for record in compacted(changelog)} == {"bob"}
    assert ids(table, "bob") == ids(recovered(changelog.records, tmp_path / "there"), "bob")
    assert await sweep(table) == []


async def test_one_entry_that_came_or_happened_later_keeps_the_whole_window(tmp_path: Path) -> None:
    table, changelog = windows(tmp_path, WindowSpec(4, FOUR.age, rings=(TypeRing(("Rare",), 2),)))
    fold(table, "came", 1)
    fold(table, "came", 100)
    fold(table, "happened", 2)
    fold(table, "happened", 3, hours=0)
    fold(table, "happened", 4)
    fold(table, "rare", 5)
    fold(table, "rare", 6, kind="Rare", hours=2)
    fold(table, "", 7)
    fold(table, "rar", 8)
    written = len(changelog.records)

    assert await sweep(table) == ["", "rar"]

    assert len(changelog.records) == written + 2
    assert [ids(table, entity) for entity in ("came", "happened", "rare")] == [
        ["e1", "e100"],
        ["e2", "e3", "e4"],
        ["e5", "e6"],
    ]


async def test_a_turn_looks_at_few_slots_and_the_next_one_goes_on_behind_them(tmp_path: Path) -> None:
    table, _ = windows(tmp_path)
    for entity in range(10):
        for offset in range(3):
            fold(table, f"lapsed-{entity}", 10 * entity + offset)
        fold(table, f"busy-{entity}", 200 + entity)
    turns: list[list[str]] = []
    start: bytes | None = b""
    while start is not None:
        lapsed, start = table.lapsed(0, MORNING, start=start, most_slots=5)
        turns.append([window.entity for window in lapsed])
        assert sum(len(window.keys) for window in lapsed) <= 7
    assert len(turns) > 5
    assert [entity for turn in turns for entity in turn] == [f"lapsed-{entity}" for entity in range(10)]


async def test_what_faust_and_we_keep_beside_the_windows_stays(tmp_path: Path) -> None:
    table, _ = windows(tmp_path)
    fold(table, "ada", 1)
    table.table.data._db_for_partition(0).put(LINEAGE_KEY, b"from there")  # noqa: SLF001
    assert await sweep(table) == ["ada"]
    assert table.table.persisted_offset(ZERO) == 1
    assert table.table.data.get_slot(0, LINEAGE_KEY) == b"from there"


async def test_an_event_that_comes_while_its_window_is_removed_stays_everywhere(tmp_path: Path) -> None:
    table, changelog = windows(tmp_path / "here")
    for offset in range(11):
        fold(table, "ada", offset)
    lapsed = found(table)

    def comes() -> bool:
        # The changelog has the removals, the database not.
        fold(table, "ada", 120, hours=30)
        return True

    await table.forget(0, lapsed, MORNING, is_owned=comes)

    assert ids(table, "ada") == ["e120"]
    assert ids(recovered(changelog.records, tmp_path / "there"), "ada") == ["e120"]
    assert ids(recovered(compacted(changelog), tmp_path / "later"), "ada") == ["e120"]
    fold(table, "ada", 121, hours=31)
    assert ids(table, "ada") == ["e120", "e121"]
    assert ids(recovered(compacted(changelog), tmp_path / "last"), "ada") == ["e120", "e121"]


async def test_killed_before_the_database_is_emptied_the_window_is_removed_the_next_time(tmp_path: Path) -> None:
    table, changelog = windows(tmp_path)
    for offset in range(11):
        fold(table, "ada", offset)
    await table.forget(0, found(table), MORNING, is_owned=lambda: False)
    await table.table.data.stop()

    again, theirs = windows(tmp_path)
    theirs.records = changelog.records
    assert len(ids(again, "ada")) == 8
    assert await sweep(again) == ["ada"]
    assert ids(again, "ada") == []
    assert compacted(changelog) == []


async def test_nothing_is_removed_from_a_partition_that_was_given_away_meanwhile(tmp_path: Path) -> None:
    table, _ = windows(tmp_path)
    fold(table, "ada", 1)
    await table.forget(0, found(table), MORNING, is_owned=lambda: False)
    assert ids(table, "ada") == ["e1"]


async def test_a_standby_follows_whether_it_hears_of_removals_one_by_one_or_together(tmp_path: Path) -> None:
    table, changelog = windows(tmp_path / "active")
    for offset in range(11):
        fold(table, "ada", offset)
    await sweep(table)
    fold(table, "ada", 130, hours=40)
    for size in (1, 3, 100):
        standby, _ = windows(tmp_path / f"standby-{size}")
        for start in range(0, len(changelog.records), size):
            standby.table.recover(ZERO, changelog.records[start : start + size])
        assert standby.table.data.scan(0, b"\0") == table.table.data.scan(0, b"\0")
        assert ids(standby, "ada") == ["e130"]


async def test_a_removal_that_a_frozen_worker_writes_late_takes_no_newer_event(tmp_path: Path) -> None:
    frozen, late = windows(tmp_path / "frozen")
    for offset in range(11):
        fold(frozen, "ada", offset)
    successor, changelog = windows(tmp_path / "successor")
    successor.table.recover(ZERO, late.records)
    changelog.records = list(late.records)
    removals = len(late.records)
    await sweep(frozen)
    for offset in range(150, 153):
        fold(successor, "ada", offset, hours=50)
    written = [
        *changelog.records,
        *(replace(record, offset=14 + n) for n, record in enumerate(late.records[removals:])),
    ]

    for size in (1, 100):
        heir, theirs = windows(tmp_path / f"heir-{size}")
        theirs.records = list(written)
        for start in range(0, len(written), size):
            heir.table.recover(ZERO, written[start : start + size])
        assert ids(heir, "ada") == ["e150", "e151", "e152"]
        await heir.table.on_recovery_completed({ZERO}, set())
        # Kafka would drop them for the removals behind them, so they are written again.
        assert ids(recovered(compacted(theirs), tmp_path / f"after-{size}"), "ada") == ["e150", "e151", "e152"]


async def test_a_removal_of_a_rebuild_takes_whatever_is_there(tmp_path: Path) -> None:
    table, changelog = windows(tmp_path / "here")
    fold(table, "ada", 150)
    [record] = changelog.records
    there = recovered([record, Message(CHANGELOG, 0, 1, record.key, None)], tmp_path / "there")
    assert ids(there, "ada") == []


async def test_an_entry_that_cannot_be_read_is_named_and_read_back_at_the_next_start(tmp_path: Path) -> None:
    table, _ = windows(tmp_path)
    fold(table, "ada", 1)
    table.table.data.write(0, [(ring.key("bob", 0), b"no")])
    with pytest.raises(SlotUnreadable, match="cannot be read"):
        found(table)
    assert table.table.data.get_slot(0, LINEAGE_KEY) is None
