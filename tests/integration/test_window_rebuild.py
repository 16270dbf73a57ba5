"""Windows rebuilt beside Faust: whoever applies the changes has the windows of a full replay, whatever they had."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import faust
import pytest
from faust.tables import Table
from faust.types import TP

from tables import ring, rings, window
from tables.event import type_of
from tables.rebuild import Change, PartitionRebuild
from tables.ring import RingCorrupt
from tables.store import URL, Store
from tables.window import Entry, TypeRing, WindowSpec

pytestmark = pytest.mark.asyncio

NOON = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
THREE = WindowSpec(events=3, age=timedelta(days=1))
#: An event of the timeline: entity, kind.
Timeline = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Message:
    """A record of the changelog, as a store looks at it."""

    offset: int
    key: bytes
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


def payload_of(kind: str) -> bytes:
    return b'{"type":"%b"}' % kind.encode()


class Log:
    """A changelog, and workers that know it up to some record."""

    def __init__(self, datadir: Path) -> None:
        self._datadir = datadir
        self.records: list[Message] = []

    def append(self, changes: Iterable[Change]) -> list[Change]:
        new = list(changes)
        self.records += [Message(len(self.records) + n, key, value) for n, (key, value) in enumerate(new)]
        return new

    def live(self, timeline: Timeline, kinds: str, spec: WindowSpec = THREE, start: int = 0) -> None:
        """What a worker that remembers these kinds writes for the timeline from `start` on."""
        slots: dict[bytes, Entry] = {}
        for record in self.records:
            slots.pop(record.key, None)
            if record.value is not None:
                slots[record.key] = ring.decode(record.value)
        for offset, (entity, kind) in enumerate(timeline):
            if offset < start or kind not in kinds:
                continue
            mine = {key: entry for key, entry in slots.items() if ring.entity_of(key) == entity}
            mine = rings.decoded(((key, ring.encode(entry)) for key, entry in mine.items()), spec)
            payload = payload_of(kind)
            entry = window.fold(
                rings.entries(mine, spec),
                offset=offset,
                time=NOON,
                event_id=f"e{offset}",
                payload=payload,
                ring=spec.ring_of(payload),
            )
            assert entry is not None
            for key, written in rings.writes(entity, mine, entry, spec):
                slots[key] = written
                self.append([(key, ring.encode(written))])

    def recovered(self, name: str, batch: int = 1000) -> Worker:
        """The worker of this data directory, after it has read the changelog from where it was to its end."""
        app = faust.App("shop", broker="kafka://127.0.0.1:1", datadir=str(self._datadir / name), store="memory://")
        (self._datadir / name / "tables").mkdir(parents=True, exist_ok=True)
        store = Store(URL, app, Table(app, name="windows"))
        known = store.persisted_offset(TP("changelog", 0))
        unread = self.records[0 if known is None else known + 1 :]
        for first in range(0, len(unread), batch):
            store.recover(TP("changelog", 0), unread[first : first + batch])
        return Worker(store)


class Worker:
    def __init__(self, store: Store) -> None:
        self._store = store

    def history(self, entity: str, before: int, spec: WindowSpec = THREE) -> list[tuple[int, str]]:
        """What an event at this offset would know: offset and kind."""
        entries = rings.entries(rings.decoded(self._store.scan(0, ring.prefix(entity)), spec), spec)
        found = window.history(entries, spec, offset=before, time=NOON, event_id="asking", source=None)
        return [(entry.offset, type_of(entry.payload) or "") for entry in found]

    def stop(self) -> None:
        self._store._dbs.pop(0).close()  # noqa: SLF001 - Faust closes databases at a rebalance only


def replayed(timeline: Timeline, entity: str, kinds: str, spec: WindowSpec = THREE) -> list[tuple[int, str]]:
    """What a full replay knows at the end, by the definition of a window."""
    found = [(n, kind) for n, (whose, kind) in enumerate(timeline) if whose == entity and kind in kinds]
    own = {kind: each.events for each in spec.rings for kind in each.types}
    last = [each for each in found if each[1] not in own][-spec.events :]
    for own_kind, events in own.items():
        last += [each for each in found if each[1] == own_kind][-events:]
    return sorted(last)


@contextmanager
def rebuilding(
    directory: Path, log: Log, timeline: Timeline, kinds: str, *, first: int = 0, spec: WindowSpec = THREE
) -> Iterator[PartitionRebuild]:
    with closing(PartitionRebuild(directory, spec)) as rebuild:
        for record in log.records:
            rebuild.apply(record.key, record.value)
        prepare(rebuild, timeline, kinds, first)
        yield rebuild


def prepare(rebuild: PartitionRebuild, timeline: Timeline, kinds: str, first: int = 0) -> int:
    taken = rebuild.begin(first, lambda payload: type_of(payload) in set(kinds))
    for offset, (entity, kind) in enumerate(timeline):
        if offset >= first and kind in kinds:
            rebuild.fold(entity, offset=offset, time=NOON, event_id=f"e{offset}", payload=payload_of(kind))
    return taken


def alternating(length: int, entities: str = "xyz", kinds: str = "aab") -> Timeline:
    return [(entities[n * 7 % len(entities)], kinds[n * 5 % len(kinds)]) for n in range(length)]


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path)


STORY = alternating(60, "xyzxy", "abac")


@pytest.mark.parametrize(("before", "after"), [("ab", "a"), ("a", "ab"), ("a", "c"), ("abc", "b"), ("ab", "")])
@pytest.mark.parametrize("known", [0, 7, 60], ids=["empty directory", "old directory", "newest directory"])
@pytest.mark.parametrize("batch", [1, 1000])
async def test_every_worker_has_the_windows_of_a_full_replay_afterwards(
    tmp_path: Path, log: Log, before: str, after: str, known: int, batch: int
) -> None:
    log.live(STORY[:known], before)
    log.recovered("worker").stop()
    log.live(STORY, before, start=known)
    with rebuilding(tmp_path / "rebuild", log, STORY, after) as rebuild:
        log.append(rebuild.changes())

    worker = log.recovered("worker", batch)

    for entity in "xyz":
        assert worker.history(entity, 1000) == replayed(STORY, entity, after)


async def test_what_comes_after_a_rebuild_is_added_to_it(tmp_path: Path, log: Log) -> None:
    log.live(STORY, "abc")
    log.recovered("worker").stop()
    with rebuilding(tmp_path / "rebuild", log, STORY, "b") as rebuild:
        log.append(rebuild.changes())
    longer = [*STORY, *alternating(30, "zyx", "bca")]
    log.live(longer, "b", start=len(STORY))

    for name in ("worker", "empty"):
        worker = log.recovered(name)
        assert [worker.history(entity, 1000) for entity in "xyz"] == [replayed(longer, each, "b") for each in "xyz"]


async def test_an_entity_that_was_forgotten_is_remembered_again_in_the_directory_of_before(
    tmp_path: Path, log: Log
) -> None:
    timeline = [("x", "a")] * 9
    log.live(timeline, "a")
    log.recovered("worker").stop()
    with rebuilding(tmp_path / "rebuild", log, timeline, "b") as rebuild:
        assert all(value is None for _, value in log.append(rebuild.changes()))
    log.live([*timeline, ("x", "b")], "b", start=9)

    assert log.recovered("worker").history("x", 1000) == [(9, "b")]


async def test_what_was_removed_is_not_seen_again_when_compaction_has_dropped_the_removal(
    tmp_path: Path, log: Log
) -> None:
    timeline = [*[("x", "a")] * 7, ("x", "b")]
    log.live(timeline, "ab")
    log.recovered("worker").stop()
    with rebuilding(tmp_path / "rebuild", log, timeline, "b") as rebuild:
        log.append(change for change in rebuild.changes() if change[1] is not None)

    assert log.recovered("worker").history("x", 1000) == [(7, "b")]


async def test_what_a_frozen_worker_wrote_too_late_is_not_taken_over(tmp_path: Path, log: Log) -> None:
    timeline = [("x", "a")] * 10  # eight slots: the first two are written twice
    log.live(timeline, "a")
    log.append([(log.records[0].key, log.records[0].value)])

    with closing(PartitionRebuild(tmp_path / "rebuild", THREE)) as rebuild:
        for record in log.records:
            rebuild.apply(record.key, record.value)
        rebuild.begin(10, lambda _: True)
        log.append(rebuild.changes())

    assert log.recovered("empty").history("x", 1000) == [(7, "a"), (8, "a"), (9, "a")]


async def test_what_the_timeline_no_longer_has_is_taken_over_if_it_is_still_remembered(
    tmp_path: Path, log: Log
) -> None:
    timeline = [("x", "a"), ("x", "b"), ("x", "a"), ("x", "a")]
    log.live(timeline, "ab")

    with closing(PartitionRebuild(tmp_path / "rebuild", THREE)) as rebuild:
        for record in log.records:
            rebuild.apply(record.key, record.value)
        assert prepare(rebuild, timeline, "a", first=2) == 1
        log.append(rebuild.changes())

    assert log.recovered("worker").history("x", 1000) == [(0, "a"), (2, "a"), (3, "a")]


async def test_what_comes_out_as_it_is_is_not_written_again(tmp_path: Path, log: Log) -> None:
    timeline = [("x", "a"), ("y", "a"), ("y", "b")]
    log.live(timeline, "ab")

    with rebuilding(tmp_path / "rebuild", log, timeline, "a") as rebuild:
        changed = log.append(rebuild.changes())
    with rebuilding(tmp_path / "again", log, timeline, "a") as rebuild:
        again = list(rebuild.changes())

    assert {ring.entity_of(key) for key, _ in changed} == {"y"}
    assert again == []


@pytest.mark.parametrize("written", [1, 8, 20])
async def test_an_interrupted_rebuild_is_made_good_by_the_next_one(tmp_path: Path, log: Log, written: int) -> None:
    # Everything but the last records is gone from the timeline: what is lost here is lost for good.
    log.live(STORY, "abc")
    log.recovered("worker").stop()
    with rebuilding(tmp_path / "rebuild", log, STORY, "a", first=55) as rebuild:
        whole = list(rebuild.changes())
    log.append(whole[:written])

    with closing(PartitionRebuild(tmp_path / "rebuild", THREE)) as again:
        prepare(again, STORY, "a", first=55)
        log.append(again.changes())

    for name in ("worker", "empty"):
        worker = log.recovered(name)
        assert [worker.history(entity, 1000) for entity in "xyz"] == [replayed(STORY, each, "a") for each in "xyz"]


@pytest.mark.parametrize("sizes", [(3, 9), (9, 3)], ids=["larger", "smaller"])
async def test_a_window_of_another_size_is_rebuilt_in_that_size(
    tmp_path: Path, log: Log, sizes: tuple[int, int]
) -> None:
    old, new = (WindowSpec(events=size, age=timedelta(days=1)) for size in sizes)
    log.live(STORY, "abc", old)
    log.recovered("worker").stop()
    with rebuilding(tmp_path / "rebuild", log, STORY, "ac", spec=new) as rebuild:
        log.append(rebuild.changes())

    for name in ("worker", "empty"):
        worker = log.recovered(name)
        for entity in "xyz":
            assert worker.history(entity, 1000, new) == replayed(STORY, entity, "ac", new)


async def test_what_lies_before_a_gap_is_not_taken_over(tmp_path: Path, log: Log) -> None:
    sizes = [WindowSpec(events=events, age=timedelta(days=1)) for events in (8, 3, 12)]
    timeline = [("x", "a")] * 25
    log.live(timeline[:16], "a", sizes[0])
    # The eight slots of the smaller one are written once and one of them twice: of the larger one 8 to 15 are left.
    log.live(timeline, "a", sizes[1], start=16)

    with closing(PartitionRebuild(tmp_path / "rebuild", sizes[2])) as rebuild:
        for record in log.records:
            rebuild.apply(record.key, record.value)
        assert prepare(rebuild, timeline, "a", first=24) == 7
        log.append(rebuild.changes())

    worker = log.recovered("worker")
    assert worker.history("x", 1000, sizes[2]) == [(offset, "a") for offset in range(17, 25)]


APART, TOGETHER, OTHERS = (
    WindowSpec(events=3, age=timedelta(days=1), rings=tuple(TypeRing((kind,), events) for kind, events in slots))
    for slots in ([("b", 2)], [], [("a", 2), ("c", 1)])
)


@pytest.mark.parametrize("old", [APART, TOGETHER, OTHERS])
@pytest.mark.parametrize("new", [APART, TOGETHER, OTHERS])
async def test_a_window_with_other_slots_is_rebuilt_as_if_it_had_always_had_them(
    tmp_path: Path, log: Log, old: WindowSpec, new: WindowSpec
) -> None:
    log.live(STORY, "abc", old)
    log.recovered("worker").stop()
    with rebuilding(tmp_path / "rebuild", log, STORY, "abc", spec=new) as rebuild:
        changed = log.append(rebuild.changes())
    assert bool(changed) == (old is not new)
    longer = [*STORY, *alternating(30, "zyx", "bca")]
    for timeline, directories in ((STORY, ("worker", "empty")), (longer, ("worker", "later"))):
        log.live(timeline, "abc", new, start=len(STORY))
        for name in directories:
            worker = log.recovered(name)
            assert [worker.history(entity, 1000, new) for entity in "xyz"] == [
                replayed(timeline, entity, "abc", new) for entity in "xyz"
            ]
            worker.stop()


@pytest.mark.parametrize("broken", [(b"\0\1", b"x"), (b"\0\1x\0\0\0\0", b"x"), (b"\0\2x\0\0\0\0", b"")])
async def test_a_changelog_of_something_else_is_refused(tmp_path: Path, broken: tuple[bytes, bytes]) -> None:
    with closing(PartitionRebuild(tmp_path / "rebuild", THREE)) as rebuild:
        rebuild.apply(*broken)
        with pytest.raises(RingCorrupt):
            rebuild.begin(0, lambda _: True)
