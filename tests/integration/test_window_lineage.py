"""Local windows that came from elsewhere, or cannot be read, are thrown away and filled again; others are kept."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import faust
import pytest
import rocksdict
from faust.types import TP
from waiting import PATIENCE_SECONDS

from tables import ring
from tables.errors import ChangelogUnreadable, SlotUnreadable, TimelineReplaced
from tables.lineage import Lineage
from tables.recovery import WindowTables
from tables.table import WindowTable
from tables.window import Entry, WindowSpec

pytestmark = pytest.mark.asyncio

NOON = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
FOUR = WindowSpec(events=4, age=timedelta(days=1))
CHANGELOG = "shop-windows-changelog"
HERE = Lineage(cluster="here", changelog="c-1", timeline="t-1")


@dataclass(frozen=True)
class Message:
    """A record of the changelog, as far as tables look at it."""

    offset: int
    key: bytes | None
    value: bytes | None
    partition: int = 0
    topic: str = CHANGELOG
    headers: Sequence[tuple[str, bytes]] = ()

    @property
    def tp(self) -> TP:
        return TP(self.topic, self.partition)


def slot(offset: int, payload: bytes = b'{"id": "e"}') -> Message:
    entry = Entry(offset, offset, NOON, f"e{offset}", payload)
    return Message(offset, ring.key("ada", offset % 8), ring.encode(entry))


def opened(datadir: Path, lineage: Lineage | None = HERE) -> WindowTable:
    app = faust.App("shop", broker="kafka://127.0.0.1:1", datadir=str(datadir), TableManager=WindowTables)
    table = WindowTable(app, "windows", FOUR, partitions=2)
    if lineage is not None:
        table.require(lineage)
    return table


async def filled(datadir: Path, lineage: Lineage | None = HERE) -> None:
    """Leave windows with two events of ada in the directory."""
    table = opened(datadir, lineage)
    table.table.recover(TP(CHANGELOG, 0), [slot(0), slot(1)])
    await table.table.data.stop()


def remembered(table: WindowTable) -> list[str]:
    return [entry.event_id for entry in table.read(0, "ada")]


async def test_windows_of_the_same_topics_are_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    await filled(tmp_path)
    again = opened(tmp_path)
    assert remembered(again) == ["e0", "e1"]
    assert again.table.persisted_offset(TP(CHANGELOG, 0)) == 1
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("elsewhere", "reason"),
    [
        (replace(HERE, cluster="there"), "they belong to another Kafka cluster"),
        (Lineage(cluster="there", changelog="c-9", timeline="t-9"), "they belong to another Kafka cluster"),
        (replace(HERE, changelog="c-0"), "their changelog was deleted and created again"),
        (replace(HERE, changelog="c-0", timeline="t-0"), "their changelog was deleted and created again"),
        (None, "they do not say which cluster and topics they come from"),
    ],
    ids=["cluster", "everything", "changelog", "both topics", "unknown"],
)
async def test_windows_from_elsewhere_are_thrown_away_and_read_from_the_beginning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, elsewhere: Lineage | None, reason: str
) -> None:
    await filled(tmp_path, elsewhere)
    here = opened(tmp_path)
    assert here.table.persisted_offset(TP(CHANGELOG, 0)) is None
    assert remembered(here) == []
    [line] = caplog.messages
    assert line.startswith("the windows of windows in ")
    assert line.endswith(f" are rebuilt from the changelog: {reason}")

    here.table.recover(TP(CHANGELOG, 0), [slot(7)])
    await here.table.data.stop()
    assert remembered(opened(tmp_path)) == ["e7"]


async def test_it_is_said_once_for_all_partitions(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    table = opened(tmp_path, None)
    for partition in (0, 1):
        table.table.recover(TP(CHANGELOG, partition), [slot(0)])
    await table.table.data.stop()
    here = opened(tmp_path)
    assert [here.read(partition, "ada") for partition in (0, 1)] == [[], []]
    assert len([line for line in caplog.messages if "are rebuilt" in line]) == 1


async def test_windows_of_a_timeline_that_was_created_again_are_not_used_and_stay(tmp_path: Path) -> None:
    await filled(tmp_path)
    with pytest.raises(TimelineReplaced, match=r"windows in .* cannot be used: their timeline was deleted"):
        opened(tmp_path, replace(HERE, timeline="t-2")).read(0, "ada")
    assert remembered(opened(tmp_path)) == ["e0", "e1"]


async def test_a_database_without_windows_is_taken_for_what_it_is_opened_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    empty = opened(tmp_path, replace(HERE, timeline="t-0"))
    assert remembered(empty) == []
    await empty.table.data.stop()
    assert remembered(opened(tmp_path)) == []
    assert "are rebuilt" not in caplog.text


async def test_a_database_that_another_process_holds_is_not_thrown_away(tmp_path: Path) -> None:
    await filled(tmp_path, replace(HERE, cluster="there"))
    there = opened(tmp_path, replace(HERE, cluster="there"))
    assert remembered(there) == ["e0", "e1"]
    with pytest.raises(Exception, match="lock"):
        opened(tmp_path).read(0, "ada")
    assert remembered(there) == ["e0", "e1"]


def damage(path: Path, what: str) -> None:
    [damaged] = path.glob(what)
    damaged.write_bytes(b"rubbish" * 20)


@pytest.mark.parametrize("what", ["MANIFEST-*", "CURRENT"])
async def test_a_damaged_database_is_thrown_away(tmp_path: Path, what: str, caplog: pytest.LogCaptureFixture) -> None:
    await filled(tmp_path)
    damage(opened(tmp_path).table.data.partition_path(0), what)
    assert remembered(opened(tmp_path)) == []
    assert "RocksDB cannot read them" in caplog.text


async def test_a_database_without_its_list_of_files_is_thrown_away(tmp_path: Path) -> None:
    await filled(tmp_path)
    [manifest] = opened(tmp_path).table.data.partition_path(0).glob("MANIFEST-*")
    manifest.unlink()
    assert remembered(opened(tmp_path)) == []


async def test_a_persisted_offset_that_is_no_number_is_not_believed(tmp_path: Path) -> None:
    await filled(tmp_path)
    table = opened(tmp_path)
    database = table.table.data._db_for_partition(0)  # noqa: SLF001
    database.put(table.table.data.offset_key, b"rubbish")
    await table.table.data.stop()
    del database
    again = opened(tmp_path)
    assert again.table.persisted_offset(TP(CHANGELOG, 0)) is None
    assert remembered(again) == []


@pytest.mark.parametrize("rubbish", [b"", b"x", ring.encode(Entry(0, 0, NOON, "e0", b""))[:28]])
async def test_a_stored_slot_that_cannot_be_read_stops_the_worker_and_is_read_back_at_the_next_start(
    tmp_path: Path, rubbish: bytes
) -> None:
    await filled(tmp_path)
    table = opened(tmp_path)
    table.table.data._db_for_partition(0).put(ring.key("ada", 1), rubbish)  # noqa: SLF001
    with pytest.raises(SlotUnreadable, match=r"windows in .*windows-0\.db cannot be read: ring value"):
        table.read(0, "ada")
    with pytest.raises(SlotUnreadable):
        table.fold(0, "ada", offset=2, time=NOON, event_id="e2", payload=b"")
    await table.table.data.stop()

    again = opened(tmp_path)
    assert again.table.persisted_offset(TP(CHANGELOG, 0)) is None
    again.table.recover(TP(CHANGELOG, 0), [slot(0), slot(1)])
    assert remembered(again) == ["e0", "e1"]


RUBBISH: dict[str, tuple[bytes | None, bytes | None]] = {
    "a null key": (None, slot(3).value),
    "a null key and value": (None, None),
    "an empty key": (b"", slot(3).value),
    "a key of one byte": (b"x", slot(3).value),
    "a key of another length": (b"\0\2x\0\0\0\0", slot(3).value),
    "an empty value": (ring.key("ada", 3), b""),
    "a value of one byte": (ring.key("ada", 3), b"\1"),
    "a value of another version": (ring.key("ada", 3), b"\2" + (slot(3).value or b"")[1:]),
    "a value cut off in its header": (ring.key("ada", 3), (slot(3).value or b"")[:20]),
    "a value cut off in its event id": (ring.key("ada", 3), (slot(3).value or b"")[:28]),
}
CUT_OFF: dict[str, tuple[bytes | None, bytes | None]] = {
    "a value cut off in its payload": (ring.key("ada", 3), (slot(3).value or b"")[:-3])
}


@pytest.mark.parametrize(("key", "value"), RUBBISH.values(), ids=RUBBISH)
async def test_a_batch_with_rubbish_is_refused_with_its_place_and_nothing_of_it_is_written(
    tmp_path: Path, key: bytes | None, value: bytes | None
) -> None:
    table = opened(tmp_path)
    with pytest.raises(ChangelogUnreadable, match=rf"{CHANGELOG}\[0\]@3 is no entry of a window: "):
        table.table.recover(TP(CHANGELOG, 0), [slot(0), Message(3, key, value)])
    assert remembered(table) == []
    assert table.table.persisted_offset(TP(CHANGELOG, 0)) is None


@pytest.mark.parametrize(("key", "value"), (RUBBISH | CUT_OFF).values(), ids=RUBBISH | CUT_OFF)
async def test_recovery_stops_the_worker_at_rubbish_and_never_takes_the_windows_for_complete(
    tmp_path: Path, key: bytes | None, value: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = opened(tmp_path)
    app: Any = table.table.app
    crashes: list[BaseException] = []

    async def crash(reason: BaseException) -> None:
        crashes.append(reason)

    monkeypatch.setattr(app, "crash", crash)
    recovery = app.tables.recovery
    tp = TP(CHANGELOG, 0)
    recovery.add_active(table.table, tp)
    recovery.active_highwaters[tp] = 4
    recovery.active_offsets[tp] = -1
    recovery.in_recovery = True
    await recovery.take(tp, [slot(0), Message(3, key, value), slot(4)])
    await recovery.take(tp, [slot(4)])

    [error] = crashes
    assert isinstance(error, ChangelogUnreadable)
    assert str(error).startswith(f"{CHANGELOG}[0]@3 is no entry of a window: ")
    assert not recovery.signal_recovery_end.is_set()
    assert remembered(table) == []


async def test_a_recovery_that_cannot_write_stops_the_worker_and_is_not_taken_for_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = opened(tmp_path)
    app: Any = table.table.app
    crashes: list[BaseException] = []

    async def crash(reason: BaseException) -> None:
        crashes.append(reason)

    def full(*_arguments: object, **_options: object) -> None:
        raise OSError("IO error: No space left on device")

    monkeypatch.setattr(app, "crash", crash)
    monkeypatch.setattr(table.table.data, "recover", full)
    recovery = app.tables.recovery
    tp = TP(CHANGELOG, 0)
    recovery.add_active(table.table, tp)
    recovery.active_highwaters[tp] = 0
    recovery.active_offsets[tp] = -1
    recovery.in_recovery = True
    await recovery.take(tp, [slot(0)])

    [reason] = crashes
    assert str(reason) == "IO error: No space left on device"
    assert recovery.in_recovery
    assert not recovery.signal_recovery_end.is_set()


async def test_the_removal_of_rubbish_is_no_rubbish(tmp_path: Path) -> None:
    table = opened(tmp_path)
    table.table.recover(TP(CHANGELOG, 0), [Message(0, b"x", None), slot(1)])
    assert remembered(table) == ["e1"]


class Consumer:
    """Says where every topic begins and ends."""

    def __init__(self, end: int) -> None:
        self._end = end

    async def highwaters(self, *tps: TP) -> dict[TP, int]:
        return dict.fromkeys(tps, self._end)

    async def earliest_offsets(self, *tps: TP) -> dict[TP, int]:
        return dict.fromkeys(tps, 0)


@pytest.mark.parametrize("title", ["active", "standby"])
@pytest.mark.parametrize(("end", "kept"), [(2, True), (1, False), (0, False)])
async def test_windows_that_know_more_than_the_changelog_holds_are_read_from_the_beginning(
    tmp_path: Path, title: str, end: int, *, kept: bool
) -> None:
    await filled(tmp_path)
    table = opened(tmp_path)
    recovery: Any = table.table.app.tables.recovery  # type: ignore[attr-defined]
    tp = TP(CHANGELOG, 0)
    offsets = recovery.active_offsets if title == "active" else recovery.standby_offsets
    (recovery.add_active if title == "active" else recovery.add_standby)(table.table, tp)

    await recovery._build_offsets(Consumer(end), {tp}, offsets, title)  # noqa: SLF001

    assert offsets[tp] == (1 if kept else -1)
    assert remembered(table) == (["e0", "e1"] if kept else [])


async def test_rocksdict_refuses_to_destroy_what_is_open(tmp_path: Path) -> None:
    table = opened(tmp_path)
    table.table.recover(TP(CHANGELOG, 0), [slot(0)])
    with pytest.raises(Exception, match="lock"):
        rocksdict.Rdict.destroy(str(table.table.data.partition_path(0)))


@pytest.mark.parametrize(("end", "is_long_enough"), [(8, True), (7, False), (0, False)])
async def test_a_timeline_shorter_than_the_windows_recovered_stops_the_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: int, *, is_long_enough: bool
) -> None:
    table = opened(tmp_path)
    table.require(HERE, timeline="timeline-customer")
    app: Any = table.table.app
    app.consumer = Consumer(end)
    crashed = asyncio.get_running_loop().create_future()

    async def crash(reason: BaseException) -> None:
        crashed.set_result(reason)

    monkeypatch.setattr(app, "crash", crash)
    for offset in (7, 3):
        table.table.recover(TP(CHANGELOG, 0), [slot(offset)])
    recovering = asyncio.ensure_future(table.table.on_recovery_completed({TP(CHANGELOG, 0)}, set()))
    async with asyncio.timeout(PATIENCE_SECONDS):
        await asyncio.wait({recovering, crashed}, return_when=asyncio.FIRST_COMPLETED)

    assert recovering.done() is is_long_enough
    if not is_long_enough:
        error = crashed.result()
        assert isinstance(error, TimelineReplaced)
        assert str(error) == f"windows holds offset 7 of timeline-customer[0], which ends at {end}"
    recovering.cancel()


async def test_what_a_rebuild_has_removed_since_holds_no_offset_beyond_the_timeline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = opened(tmp_path)
    table.require(HERE, timeline="timeline-customer")
    app: Any = table.table.app
    app.consumer = Consumer(4)

    async def crash(reason: BaseException) -> None:
        raise reason

    monkeypatch.setattr(app, "crash", crash)
    removed = Message(8, ring.key("ada", 7), None)
    for event in (slot(3), slot(7), removed):
        table.table.recover(TP(CHANGELOG, 0), [event])

    await table.table.on_recovery_completed({TP(CHANGELOG, 0)}, set())

    assert table.table.data.newest_offset(0) == 3
