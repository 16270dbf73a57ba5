# ruff: noqa: SLF001 - the seams of Faust are private
"""Recovery: what was fetched of a changelog is written piece by piece, and its end is said when all is there."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from faust.types import TP
from window_tables import CHANGELOG, Message, windows

from tables import ring
from tables.recovery import PIECE_RECORDS, WindowRecovery
from tables.table import WindowTable
from tables.window import Entry

pytestmark = pytest.mark.asyncio

NOON = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
ZERO, ONE = TP(CHANGELOG, 0), TP(CHANGELOG, 1)


def record(offset: int, tp: TP = ZERO, entity: str = "ada", seq: int | None = None) -> Message:
    seq = offset if seq is None else seq
    entry = Entry(seq, offset, NOON, f"e{offset}", b'{"id": "e"}')
    return Message(tp.topic, tp.partition, offset, ring.key(entity, seq % 4), ring.encode(entry))


def recovering(
    datadir: Path, *, ends: dict[TP, int], standbys: dict[TP, int] | None = None
) -> tuple[WindowTable, WindowRecovery]:
    """A recovery that has just begun, of these partitions up to these ends."""
    table, _ = windows(datadir)
    recovery = WindowRecovery(table.table.app, table.table.app.tables)
    for tp in ends:
        recovery.add_active(table.table, tp)
        recovery.active_offsets[tp] = -1
    for tp in standbys or {}:
        recovery.add_standby(table.table, tp)
        recovery.standby_offsets[tp] = -1
    recovery.active_highwaters.update({tp: end - 1 for tp, end in ends.items()})
    recovery.standby_highwaters.update({tp: end - 1 for tp, end in (standbys or {}).items()})
    recovery._set_recovery_started()
    return table, recovery


def written(table: WindowTable, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many records each write to RocksDB recovers from now on."""
    sizes: list[int] = []
    recover = table.table.data.recover

    def counted(tp: TP, records: Sequence[Any]) -> None:
        sizes.append(len(records))
        recover(tp, records)

    monkeypatch.setattr(table.table.data, "recover", counted)
    return sizes


def remembered(table: WindowTable, entity: str = "ada", partition: int = 0) -> list[str]:
    return [entry.event_id for entry in table.read(partition, entity)]


async def test_what_was_fetched_is_written_in_pieces_and_the_rest_of_the_worker_goes_on_between_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, recovery = recovering(tmp_path, ends={ZERO: 2 * PIECE_RECORDS + 1})
    sizes = written(table, monkeypatch)
    taking = asyncio.create_task(recovery.take(ZERO, [record(offset) for offset in range(2 * PIECE_RECORDS + 1)]))
    turns = 0
    while not taking.done():
        await asyncio.sleep(0)
        turns += 1

    assert sizes == [PIECE_RECORDS, PIECE_RECORDS, 1]
    assert turns >= len(sizes)
    assert remembered(table) == [f"e{offset}" for offset in range(2 * PIECE_RECORDS - 3, 2 * PIECE_RECORDS + 1)]
    assert table.table.persisted_offset(ZERO) == recovery.active_offsets[ZERO] == 2 * PIECE_RECORDS


async def test_a_recovery_ends_when_every_partition_is_there_and_no_sooner(tmp_path: Path) -> None:
    table, recovery = recovering(tmp_path, ends={ZERO: 2, ONE: 1})
    await recovery.take(ZERO, [record(0), record(1)])
    assert recovery.in_recovery
    assert not recovery.signal_recovery_end.is_set()

    await recovery.take(ONE, [record(0, ONE)])
    assert not recovery.in_recovery
    assert remembered(table, partition=1) == ["e0"]


async def test_whoever_waits_for_the_end_late_still_hears_of_it_and_the_next_recovery_has_an_end_of_its_own(
    tmp_path: Path,
) -> None:
    _, recovery = recovering(tmp_path, ends={ZERO: 1})
    await recovery.take(ZERO, [record(0)])
    await asyncio.sleep(0)
    assert recovery.signal_recovery_end.is_set()

    recovery._set_recovery_started()
    assert not recovery.signal_recovery_end.is_set()


async def test_nothing_more_is_recovered_of_what_is_wanted_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, recovery = recovering(tmp_path, ends={ZERO: 2 * PIECE_RECORDS})
    sizes = written(table, monkeypatch)

    await recovery.take(
        ZERO, [record(offset) for offset in range(2 * PIECE_RECORDS)], is_wanted=lambda: sum(sizes) == 0
    )

    assert sizes == [PIECE_RECORDS]
    assert recovery.active_offsets[ZERO] == table.table.persisted_offset(ZERO) == PIECE_RECORDS - 1
    assert recovery.in_recovery


async def test_what_is_known_is_passed_over_and_what_is_not_assigned_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, recovery = recovering(tmp_path, ends={ZERO: 3})
    recovery.active_offsets[ZERO] = 1
    sizes = written(table, monkeypatch)

    await recovery.take(ZERO, [record(offset) for offset in range(3)])
    await recovery.take(ZERO, [record(1), record(2)])
    await recovery.take(ONE, [record(0, ONE)])

    assert sizes == [1]
    assert remembered(table) == ["e2"]
    assert remembered(table, partition=1) == []


@pytest.mark.parametrize("title", ["active", "standby"])
async def test_a_partition_of_which_nothing_is_known_is_recovered_from_its_first_record(
    tmp_path: Path, title: str
) -> None:
    table, recovery = recovering(tmp_path, ends={ONE: 1} if title == "active" else {}, standbys={ONE: 1})
    offsets: Any = recovery.active_offsets if title == "active" else recovery.standby_offsets
    offsets.pop(ONE)
    await recovery.take(ONE, [record(0, ONE)])
    assert remembered(table, partition=1) == ["e0"]


async def test_standbys_are_ready_when_all_that_is_known_of_them_is_there_and_never_while_actives_are_recovered(
    tmp_path: Path,
) -> None:
    table, recovery = recovering(tmp_path, ends={ZERO: 1}, standbys={ONE: 2})
    await recovery.take(ONE, [record(0, ONE), record(1, ONE)])
    assert not recovery.tables.standbys_ready
    assert recovery.in_recovery

    await recovery.take(ZERO, [record(0)])
    assert recovery.tables.standbys_ready
    assert remembered(table, partition=1) == ["e0", "e1"]


async def test_of_two_entries_for_one_slot_the_later_one_stays_within_a_piece_and_across(tmp_path: Path) -> None:
    table, recovery = recovering(tmp_path, ends={ZERO: 4})
    await recovery.take(ZERO, [record(0, seq=5), record(1, seq=1)])
    await recovery.take(ZERO, [record(2, seq=1)])
    assert [(entry.seq, entry.event_id) for entry in table.read(0, "ada")] == [(5, "e0")]

    removed = Message(CHANGELOG, 0, 3, ring.key("ada", 1), None)
    await recovery.take(ZERO, [removed, record(4, seq=1)])
    assert [(entry.seq, entry.event_id) for entry in table.read(0, "ada")] == [(1, "e4")]


async def test_a_piece_and_how_far_it_goes_are_written_together_or_not_at_all(tmp_path: Path) -> None:
    table, _ = recovering(tmp_path, ends={ZERO: 2})
    data = table.table.data
    database = data._db_for_partition(0)

    class Full:
        def write(self, _batch: object) -> None:
            raise OSError("IO error: No space left on device")

        def __getattr__(self, name: str) -> Any:
            return getattr(database, name)

    data._dbs[0] = Full()
    with pytest.raises(OSError, match="No space"):
        data.recover(ZERO, [record(0), record(1)])
    data._dbs[0] = database
    assert data.persisted_offset(ZERO) is None
    assert remembered(table) == []


async def test_a_record_costs_a_bounded_number_of_calls(tmp_path: Path) -> None:
    _, recovery = recovering(tmp_path, ends={ZERO: 2 * PIECE_RECORDS})
    records = [record(offset, entity=f"customer-{offset % 100}") for offset in range(2 * PIECE_RECORDS)]
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        await recovery.take(ZERO, records)
    finally:
        sys.setprofile(before)

    # Six of Python's functions and ten of C; Faust alone would make more of an event.
    assert calls / len(records) < 20
