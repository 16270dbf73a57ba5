"""Windows keep the same rules on RocksDB, in a replay and in the fake of the tests."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import pytest
from fakes import Windows as FakeWindows
from window_tables import FOUR
from window_tables import windows as window_table

from agents.engine.ports import Windows
from agents.replay.windows import ReplayWindows
from tables.window import Entry, TypeRing, WindowSpec, latest

NOON = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
#: A deployment is not pushed out by anything else.
APART = replace(FOUR, rings=(TypeRing(("ServiceDeployed",), 2),))
DEPLOYED = b'{"source":"urn:shop","type":"ServiceDeployed"}'
OURS, THEIRS = b'{"source":"urn:shop"}', b'{"source":"urn:till"}'
ENTITIES = ("", "a", "ab", "a\x00", "a\x00\x00\x00\x00", "b", "\x00", "ÿ", "\U0010ffff")


@dataclass(frozen=True)
class Folded:
    entries: Sequence[Entry]
    #: What is awaited of it: one thing, or nothing.
    stored: Sequence[Awaitable[None]]


class OfReplay(Windows):
    """The windows of a replay as those of one agent; they have no changelog."""

    def __init__(self, rings: ReplayWindows, spec: WindowSpec) -> None:
        self._rings, self._spec = rings, spec

    @property
    def spec(self) -> WindowSpec:
        return self._spec

    def fold(self, partition: int, entity: str, **event: Any) -> Sequence[Entry]:
        # The ring that a replay hands out changes with the next fold.
        return tuple(self._rings.fold(("watcher", partition, entity), self._spec, **event))

    def flush(self, partition: int) -> None:
        """A replay writes in transactions of its own."""

    def read(self, partition: int, entity: str) -> Sequence[Entry]:
        return self._rings.read(("watcher", partition, entity), self._spec)


@dataclass
class Scene:
    """Windows of four events, in a ring of eight. An event of offset n is called `en` unless told otherwise."""

    windows: Windows

    def fold(self, entity: str, offset: int, *, partition: int = 0, **changes: Any) -> Folded:
        event: dict[str, Any] = {"time": NOON, "event_id": f"e{offset}", "payload": OURS} | changes
        entries = self.windows.fold(partition, entity, offset=offset, **event)
        stored = self.windows.flush(partition)
        return Folded(entries, [] if stored is None else [stored])

    def ring(self, entity: str, partition: int = 0) -> list[tuple[int, str]]:
        return seen(self.windows.read(partition, entity))


def seen(entries: Sequence[Entry]) -> list[tuple[int, str]]:
    return [(entry.seq, entry.event_id) for entry in entries]


class SceneOf(Protocol):
    """Opens windows; inside the event loop."""

    def __call__(self, spec: WindowSpec = FOUR) -> Scene: ...


WITH_A_CHANGELOG = pytest.mark.parametrize("scene_of", ["fake", "rocksdb"], indirect=True)


@pytest.fixture(params=["fake", "rocksdb", "replay"])
def scene_of(request: pytest.FixtureRequest, tmp_path: Path, closing: AsyncExitStack) -> SceneOf:
    """Opens the windows; inside the event loop."""

    def build(spec: WindowSpec = FOUR) -> Scene:
        if request.param == "fake":
            return Scene(FakeWindows(spec))
        if request.param == "rocksdb":
            return Scene(window_table(tmp_path, spec)[0])
        rings = ReplayWindows(tmp_path / "rings", durable=False)
        closing.callback(rings.close)
        return Scene(OfReplay(rings, spec))

    return build


async def test_what_was_folded_is_read_back(scene_of: SceneOf) -> None:
    scene = scene_of()

    assert seen(scene.fold("ada", 3).entries) == [(0, "e3")]
    assert seen(scene.fold("ada", 5, time=NOON + timedelta(microseconds=1)).entries) == [(0, "e3"), (1, "e5")]

    assert list(scene.windows.read(0, "ada")) == [
        Entry(0, 3, NOON, "e3", OURS),
        Entry(1, 5, NOON + timedelta(microseconds=1), "e5", OURS),
    ]
    assert scene.windows.spec == FOUR


async def test_what_was_handed_out_does_not_change_with_the_next_event(scene_of: SceneOf) -> None:
    scene = scene_of()
    before = scene.fold("ada", 1).entries

    scene.fold("ada", 2)

    assert seen(before) == [(0, "e1")]


async def test_nothing_is_remembered_of_an_entity_without_events(scene_of: SceneOf) -> None:
    scene = scene_of()
    scene.fold("ada", 1)

    assert scene.ring("bob") == []
    assert scene.ring("ada", partition=1) == []


async def test_a_full_ring_gives_its_oldest_slot_to_the_new_event(scene_of: SceneOf) -> None:
    scene = scene_of()

    last = [scene.fold("ada", offset).entries for offset in range(20)][-1]

    assert scene.ring("ada") == seen(last) == [(seq, f"e{seq}") for seq in range(12, 20)]


async def test_a_late_event_takes_its_place_where_it_arrived(scene_of: SceneOf) -> None:
    scene = scene_of()

    for offset, days in enumerate((0, -3, 400, -1)):
        scene.fold("ada", offset, time=NOON + timedelta(days=days))

    assert scene.ring("ada") == [(0, "e0"), (1, "e1"), (2, "e2"), (3, "e3")]


async def test_a_copy_is_not_added_and_the_same_id_of_another_source_is_another_event(scene_of: SceneOf) -> None:
    scene = scene_of()
    scene.fold("ada", 1)

    assert seen(scene.fold("ada", 2, event_id="e1").entries) == [(0, "e1")]
    assert seen(scene.fold("ada", 3, event_id="e1", payload=THEIRS).entries) == [(0, "e1"), (1, "e1")]
    assert seen(scene.fold("ada", 4, event_id="e1", payload=THEIRS).entries) == [(0, "e1"), (1, "e1")]
    assert scene.ring("ada") == [(0, "e1"), (1, "e1")]


async def test_a_redelivered_event_moves_nothing_and_the_one_that_is_there_stays(scene_of: SceneOf) -> None:
    scene = scene_of()
    for offset in (1, 2, 3):
        scene.fold("ada", offset)
    before = scene.ring("ada")

    assert seen(scene.fold("ada", 2).entries) == before
    assert seen(scene.fold("ada", 2, event_id="other").entries) == before
    assert scene.ring("ada") == before == [(0, "e1"), (1, "e2"), (2, "e3")]


async def test_an_offset_that_never_had_an_entry_or_lost_it_brings_none_back(scene_of: SceneOf) -> None:
    scene = scene_of()
    for offset in range(5, 15):
        scene.fold("ada", offset)
    before = scene.ring("ada")

    for offset in (0, 5, 6):
        assert seen(scene.fold("ada", offset).entries) == before

    assert scene.ring("ada") == before == [(seq, f"e{seq + 5}") for seq in range(2, 10)]


async def test_entities_whose_ids_are_prefixes_of_each_other_stay_apart(scene_of: SceneOf) -> None:
    scene = scene_of()
    # A NUL is in no name that a replay knows.
    entities = [each for each in ENTITIES if "\0" not in each or not isinstance(scene.windows, OfReplay)]

    for offset, entity in enumerate(entities):
        scene.fold(entity, offset)

    assert [scene.ring(entity) for entity in entities] == [[(0, f"e{offset}")] for offset in range(len(entities))]


async def test_partitions_stay_apart(scene_of: SceneOf) -> None:
    scene = scene_of()

    scene.fold("ada", 1, partition=0)
    scene.fold("ada", 1, partition=1, event_id="elsewhere")

    assert (scene.ring("ada", 0), scene.ring("ada", 1)) == ([(0, "e1")], [(0, "elsewhere")])


async def test_a_type_with_slots_stays_whatever_else_comes_and_all_are_in_the_order_of_the_log(
    scene_of: SceneOf,
) -> None:
    scene = scene_of(APART)
    scene.fold("ada", 0)
    scene.fold("ada", 1, payload=DEPLOYED)
    last = [scene.fold("ada", offset).entries for offset in range(2, 150)][-1]

    assert scene.ring("ada") == seen(last) == [(0, "e1"), *((offset - 1, f"e{offset}") for offset in range(142, 150))]

    last = [scene.fold("ada", offset, payload=DEPLOYED).entries for offset in range(150, 200)][-1]
    assert scene.ring("ada") == seen(last)
    assert [entry.offset for entry in latest(last, APART)] == [146, 147, 148, 149, 198, 199]


async def test_a_copy_of_what_lies_in_another_ring_is_not_added(scene_of: SceneOf) -> None:
    scene = scene_of(APART)
    scene.fold("ada", 1, payload=DEPLOYED)

    assert seen(scene.fold("ada", 2, event_id="e1").entries) == [(0, "e1")]
    assert seen(scene.fold("ada", 1, payload=DEPLOYED).entries) == [(0, "e1")]


@WITH_A_CHANGELOG
async def test_an_event_of_a_type_with_slots_is_stored_once_and_a_redelivered_one_again(scene_of: SceneOf) -> None:
    scene = scene_of(APART)
    new = [scene.fold("ada", offset, payload=DEPLOYED if offset % 3 else OURS) for offset in range(60)]

    assert [len(each.stored) for each in new] == [1] * 60
    assert [len(scene.fold("ada", offset).stored) for offset in (0, 57, 59)] == [0, 1, 1]


@WITH_A_CHANGELOG
async def test_an_event_is_stored_once_a_redelivered_one_again_and_a_copy_or_forgotten_one_not_at_all(
    scene_of: SceneOf,
) -> None:
    scene = scene_of()
    new = [scene.fold("ada", offset) for offset in range(1, 12)]
    redelivered, copy, forgotten = scene.fold("ada", 11), scene.fold("ada", 12, event_id="e11"), scene.fold("ada", 1)

    assert [len(each.stored) for each in new] == [1] * 11
    assert [len(each.stored) for each in (redelivered, copy, forgotten)] == [1, 0, 0]
    for each in (*new, redelivered):
        await each.stored[0]


@WITH_A_CHANGELOG
@pytest.mark.parametrize(
    ("entity", "change"),
    [
        ("a" * 65_536, {}),
        ("\ud800", {}),
        ("ada", {"event_id": "e" * 65_536}),
        ("ada", {"event_id": "\ud800"}),
        ("ada", {"time": NOON.replace(tzinfo=None)}),
    ],
    ids=["entity-too-long", "entity-of-half-a-pair", "id-too-long", "id-of-half-a-pair", "no-zone"],
)
async def test_what_cannot_be_stored_is_refused_and_not_remembered(
    scene_of: SceneOf, entity: str, change: dict[str, Any]
) -> None:
    scene = scene_of()
    scene.fold("ada", 0)

    with pytest.raises(ValueError, match=r"entity id|event id|must have a zone|surrogates"):
        scene.fold(entity, 1, **change)

    assert scene.ring("ada") == [(0, "e0")]
    if entity != "ada":
        with pytest.raises(ValueError, match=r"entity id|surrogates"):
            scene.windows.read(0, entity)


@WITH_A_CHANGELOG
async def test_ids_as_long_as_they_may_be_are_stored(scene_of: SceneOf) -> None:
    scene = scene_of()
    entity, event_id = "ä" * 32_767, "e" * 65_535

    scene.fold(entity, 0, event_id=event_id)

    assert scene.ring(entity) == [(0, event_id)]
