"""Types with a ring of their own, by hand-written cases and against a model that reads the log from its start."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tables import ring, rings, window
from tables.event import type_of
from tables.rings import Rings
from tables.window import MAX_EVENTS, Entry, TypeRing, WindowSpec, history, latest, push

NOON = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
FOUR = WindowSpec(events=4, age=HOUR)
DEPLOYED = TypeRing(("Deployed",), 2)
APART = WindowSpec(events=4, age=HOUR, rings=(DEPLOYED,))

Slots = dict[bytes, Entry]


def at(offset: int, kind: str = "Failed", minute: int = 0, event_id: str | None = None) -> Entry:
    """Return an event of the log; its `seq` and its ring mean nothing yet."""
    payload = b'{"type":"%b"}' % kind.encode()
    return Entry(0, offset, NOON + timedelta(minutes=minute), event_id or f"e{offset}", payload)


def fold(slots: Slots, event: Entry, spec: WindowSpec = APART) -> list[tuple[bytes, Entry]]:
    """Fold an event as a table does; returns what was written."""
    entry = window.fold(
        rings.entries(slots, spec),
        offset=event.offset,
        time=event.time,
        event_id=event.event_id,
        payload=event.payload,
        ring=spec.ring_of(event.payload),
    )
    written = [] if entry is None else rings.writes("web", slots, entry, spec)
    slots |= dict(written)
    return written


def after(log: list[Entry], spec: WindowSpec = APART) -> Slots:
    slots: Slots = {}
    for event in log:
        fold(slots, event, spec)
    return slots


def reopened(slots: Slots, spec: WindowSpec) -> Slots:
    """What another version reads of them."""
    return rings.decoded(((key, ring.encode(entry)) for key, entry in slots.items()), spec)


def known(slots: Slots, event: Entry, spec: WindowSpec = APART) -> list[int]:
    """The offsets in the history of an event."""
    entries = rings.entries(slots, spec)
    found = history(entries, spec, offset=event.offset, time=event.time, event_id=event.event_id, source=None)
    return [entry.offset for entry in found]


@dataclass
class Model:
    """The rules of a window in a few lines: of each ring the last events, and a copy of what a ring holds is none."""

    spec: WindowSpec

    def of(self, event: Entry) -> WindowSpec | TypeRing:
        return next((each for each in self.spec.rings if type_of(event.payload) in each.types), self.spec)

    def remembered(self, log: list[Entry]) -> list[Entry]:
        kept: list[Entry] = []
        for event in log:
            if event.event_id not in {each.event_id for each in self.last(kept, "capacity")}:
                kept.append(event)
        return kept

    def last(self, log: list[Entry], bound: str) -> list[Entry]:
        return [
            event
            for place, event in enumerate(log)
            if sum(self.of(later) is self.of(event) for later in log[place + 1 :]) < getattr(self.of(event), bound)
        ]

    def history(self, log: list[Entry], position: int) -> list[int]:
        now = log[position]
        last = self.last(self.remembered(log[:position]), "events")
        return [each.offset for each in last if now.time - each.time <= HOUR and each.event_id != now.event_id]


def test_many_events_of_one_type_do_not_push_another_out() -> None:
    log = [at(0, "Deployed"), *(at(offset) for offset in range(1, 150))]
    assert known(after(log), at(150)) == [0, 146, 147, 148, 149]


def test_many_events_of_the_type_with_slots_do_not_push_the_others_out() -> None:
    log = [at(0), *(at(offset, "Deployed") for offset in range(1, 150))]
    assert known(after(log), at(150)) == [0, 148, 149]


def test_a_history_is_in_the_order_of_the_log_whatever_ring_its_entries_lie_in() -> None:
    log = [at(0), at(1, "Deployed"), at(2), at(3, "Deployed"), at(4)]
    assert known(after(log), at(5)) == [0, 1, 2, 3, 4]


def test_types_with_slots_together_share_them() -> None:
    spec = replace(FOUR, rings=(TypeRing(("Deployed", "Configured"), 2),))
    log = [at(0, "Deployed"), at(1, "Configured"), at(2), at(3, "Configured")]
    assert known(after(log, spec), at(4), spec) == [1, 2, 3]


def test_the_age_holds_for_every_ring() -> None:
    log = [at(0, "Deployed", minute=-61), at(1, "Deployed", minute=-60), at(2, minute=-61)]
    assert known(after(log), at(3)) == [1]


def test_a_copy_is_not_added_whatever_type_it_says_it_has() -> None:
    slots = after([at(0, event_id="a"), at(1, "Deployed", event_id="b")])
    assert fold(slots, at(2, "Deployed", event_id="a")) == fold(slots, at(3, event_id="b")) == []


def test_a_redelivered_event_is_written_again_where_it_lies() -> None:
    log = [at(0), at(1, "Deployed"), at(2)]
    slots = after(log)
    before = dict(slots)
    for event in log:
        ((key, entry),) = fold(slots, event)
        assert before[key] == entry
        assert entry.offset == event.offset
    assert slots == before


def test_every_event_costs_one_write_in_a_slot_of_its_ring() -> None:
    slots: Slots = {}
    kinds = ["Failed", "Deployed", "Failed"] * 50
    written = [fold(slots, at(offset, kind)) for offset, kind in enumerate(kinds)]
    assert [len(each) for each in written] == [1] * 150
    assert {ring.number_of(each[0][0]) for each in written} == {0, DEPLOYED.number}
    assert len(slots) == FOUR.capacity + DEPLOYED.capacity


def test_a_window_without_slots_lies_where_it_always_did() -> None:
    slots = after([at(offset, kind) for offset, kind in enumerate(["Failed", "Deployed"] * 5)], FOUR)
    assert sorted(slots) == [b"\x00\x03web" + bytes([0, 0, 0, slot]) for slot in range(8)]
    assert slots[b"\x00\x03web\x00\x00\x00\x01"] == replace(at(9, "Deployed"), seq=9)


def test_where_a_ring_lies_follows_from_its_types_alone() -> None:
    one, same, other = (TypeRing(types, 2) for types in (("A", "B"), ("B", "A"), ("A",)))
    assert one.number == same.number == replace(one, events=9).number
    assert 0 < one.number < 2**16
    assert one.number != other.number


def test_what_was_written_without_slots_is_read_by_its_type_and_new_events_push_out_their_own_only() -> None:
    slots = reopened(after([at(offset, "Deployed" if offset % 2 else "Failed") for offset in range(8)], FOUR), APART)
    assert known(slots, at(8)) == [0, 2, 4, 5, 6, 7]

    fold(slots, at(8, "Deployed"))
    assert known(slots, at(9)) == [0, 2, 4, 6, 7, 8]
    fold(slots, at(9))
    assert known(slots, at(10)) == [2, 4, 6, 7, 8, 9]


def test_what_was_written_with_slots_is_read_when_the_agent_has_none_any_more() -> None:
    slots = reopened(after([at(offset, "Deployed" if offset % 2 else "Failed") for offset in range(8)]), FOUR)
    assert known(slots, at(8), FOUR) == [4, 5, 6, 7]
    for offset in range(8, 40):
        fold(slots, at(offset, "Deployed"), FOUR)
        assert known(slots, at(offset + 1), FOUR) == list(range(offset - 3, offset + 1))


def test_a_redelivered_event_of_another_version_is_written_again_where_it_lies() -> None:
    slots = reopened(after([at(0), at(1, "Deployed"), at(2)], FOUR), APART)
    before = dict(slots)
    for event in (at(0), at(1, "Deployed"), at(2)):
        assert [entry.offset for _, entry in fold(slots, event)] == [event.offset]
    assert slots == before


def test_the_first_event_of_a_ring_whose_slots_hold_what_belongs_elsewhere_is_kept() -> None:
    slots = reopened(after([at(offset, "Deployed") for offset in range(20)], FOUR), APART)
    fold(slots, at(20))
    assert known(reopened(slots, APART), at(21)) == [18, 19, 20]


def test_the_ring_with_the_least_room_says_how_many_newer_events_may_be_folded() -> None:
    assert FOUR.slack == 3
    assert APART.slack == 3
    many = WindowSpec(events=200, age=HOUR, rings=(TypeRing(("A",), 1), TypeRing(("B",), 16)))
    assert many.slack == 15


@pytest.mark.parametrize("events", [0, -1, MAX_EVENTS + 1])
def test_slots_out_of_bounds_are_refused(events: int) -> None:
    with pytest.raises(ValueError, match=f"slots of A, B must be within 1..1000, got {events}"):
        TypeRing(("A", "B"), events)


@pytest.mark.parametrize(
    ("types", "message"),
    [
        ([("A", "B"), ("B",)], "slots of B are given twice"),
        ([("A", "A")], "slots of A are given twice"),
        # crc32 puts both into the same place.
        ([("K351",), ("K380",)], "two of the slots would lie in one place"),
    ],
)
def test_slots_that_overlap_are_refused(types: list[tuple[str, ...]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(FOUR, rings=tuple(TypeRing(each, 2) for each in types))


def test_slots_are_bounded_together() -> None:
    with pytest.raises(ValueError, match="slots must be at most 1000 together, got 1001"):
        replace(FOUR, rings=(TypeRing(("A",), 1000), TypeRing(("B",), 1)))


def test_the_number_of_events_of_the_shared_ring_changes_without_the_others() -> None:
    spec = replace(APART, events=1)
    log = [at(0, "Deployed"), at(1, "Deployed"), at(2), at(3)]
    assert known(after(log, spec), at(4), spec) == [0, 1, 3]


@st.composite
def specs(draw: st.DrawFn) -> WindowSpec:
    groups: list[tuple[str, ...]] = draw(
        st.sampled_from([[], [("A",)], [("A",), ("B",)], [("A", "B")], [("B",), ("A", "C")]])
    )
    return WindowSpec(draw(st.integers(1, 9)), HOUR, tuple(TypeRing(each, draw(st.integers(1, 9))) for each in groups))


logs = st.lists(
    st.tuples(st.integers(1, 3), st.sampled_from("AABCD"), st.integers(-90, 90), st.integers(0, 60)),
    min_size=1,
    max_size=90,
).map(
    lambda steps: [
        at(sum(each[0] for each in steps[: place + 1]), kind, minute, f"id{number}")
        for place, (_, kind, minute, number) in enumerate(steps)
    ]
)


@given(logs, specs())
def test_a_history_is_that_of_the_model_also_when_it_is_computed_again_after_newer_events(
    log: list[Entry], spec: WindowSpec
) -> None:
    model = Model(spec)
    expected = [model.history(log, position) for position in range(len(log))]
    slots: Slots = {}
    for newest, event in enumerate(log):
        fold(slots, event, spec)
        for position in range(max(0, newest - spec.slack), newest + 1):
            assert known(slots, log[position], spec) == expected[position]


@given(logs, specs(), st.data())
def test_rings_restored_from_the_changelog_and_redelivered_give_the_same_histories(
    log: list[Entry], spec: WindowSpec, data: st.DataObject
) -> None:
    killed = data.draw(st.integers(0, len(log) - 1), label="last event folded before the kill")
    committed = data.draw(st.integers(max(0, killed - spec.slack), killed), label="first event redelivered")
    changelog_end = data.draw(st.integers(committed, killed + 1), label="events whose write was sent")
    slots = reopened(after(log[:changelog_end], spec), spec)
    model = Model(spec)
    for position in range(committed, len(log)):
        fold(slots, log[position], spec)
        assert known(slots, log[position], spec) == model.history(log, position)


@given(logs, specs())
def test_what_is_kept_in_memory_is_what_a_store_holds(log: list[Entry], spec: WindowSpec) -> None:
    slots: Slots = {}
    entries: list[Entry] = []
    for event in log:
        for _, written in fold(slots, event, spec):
            push(entries, written, spec)
        assert entries == rings.entries(slots, spec) == rings.entries(reopened(slots, spec), spec)


def assert_unbroken(model: Model, log: list[Entry], found: list[int]) -> None:
    """Of what is counted together the last events of the log, and none missing among them."""
    for own in (model.spec, *model.spec.rings):
        offsets = [each.offset for each in log if model.of(each) is own]
        held = [offset for offset in offsets if offset in found]
        assert held == offsets[len(offsets) - len(held) :]


@given(logs, st.lists(st.tuples(specs(), st.integers(1, 30)), min_size=1, max_size=4))
def test_changed_slots_keep_every_event_that_both_windows_hold(
    log: list[Entry], phases: list[tuple[WindowSpec, int]]
) -> None:
    """Never more than the rules allow, nothing invented, no gap, and of what is newer than the change nothing lost."""
    log = [replace(event, event_id=f"e{place}") for place, event in enumerate(log)]
    slots: Slots = {}
    since = done = 0
    had: set[int] = set()
    gone: set[int] = set()
    came_back = False
    for spec, count in phases:
        slots, since = reopened(slots, spec), done
        model = Model(spec)
        # What came while a ring was away nobody can know: only a rebuild does.
        own = {each.number for each in spec.rings}
        gone |= had - own
        had |= own
        came_back = came_back or bool(gone & own)
        for event in log[done : done + count]:
            fold(slots, event, spec)
            done += 1
            found = [entry.offset for entry in latest(rings.entries(slots, spec), spec)]
            expected = [each.offset for each in model.last(log[:done], "events")]
            assert set(found) <= {each.offset for each in log[:done]}
            assert found == sorted(set(found))
            assert len(found) <= spec.events + sum(each.events for each in spec.rings)
            if not came_back:
                assert_unbroken(model, log[:done], found)
            assert [each for each in expected if each >= log[since].offset] == [
                each for each in found if each >= log[since].offset
            ]


def resized(events: int, own: int) -> WindowSpec:
    return WindowSpec(events, HOUR, (TypeRing(("A",), own),))


# Made smaller and larger again: of what the larger one left behind, the newest is lost.
@example("AB" * 60, [(8, 40, 60), (2, 2, 60), (20, 40, 0)])
@given(
    st.text("AB", min_size=1, max_size=60),
    st.lists(st.tuples(st.integers(1, 20), st.integers(1, 60), st.integers(0, 60)), min_size=1, max_size=5),
)
def test_changed_sizes_leave_no_gap(kinds: str, phases: list[tuple[int, int, int]]) -> None:
    slots: Slots = {}
    log: list[Entry] = []
    held = {"A": 0, "B": 0}
    for events, own, count in phases:
        spec = resized(events, own)
        slots = reopened(slots, spec)
        kept, model = Rings("web", spec, slots), Model(spec)
        held = {"A": min(held["A"], spec.rings[0].capacity), "B": min(held["B"], spec.capacity)}
        for _ in range(count):
            event = at(len(log), kinds[len(log) % len(kinds)])
            log.append(event)
            fold(slots, event, spec)
            kept.fold(offset=event.offset, time=event.time, event_id=event.event_id, payload=event.payload)
            kind = type_of(event.payload) or ""
            held[kind] = min(held[kind] + 1, spec.rings[0].capacity if kind == "A" else spec.capacity)
        entries = rings.entries(slots, spec)
        assert kept.entries == entries == Rings("web", spec, reopened(slots, spec)).entries
        assert_unbroken(model, log, [entry.offset for entry in entries])
        # What every size since has held is there.
        assert sum(type_of(entry.payload) == "A" for entry in entries) >= held["A"]
        assert sum(type_of(entry.payload) == "B" for entry in entries) >= held["B"]


def test_a_copy_that_a_smaller_window_took_for_new_is_known_once_in_a_larger_one() -> None:
    larger, smaller = replace(FOUR, events=8), replace(FOUR, events=1)
    slots = after([at(offset) for offset in range(8)], larger)
    slots = reopened(slots, smaller)
    fold(slots, at(8, event_id="e3"), smaller)

    assert known(reopened(slots, larger), at(9), larger) == [4, 5, 6, 7, 8]
    kept = Rings("web", larger, reopened(slots, larger))
    kept.fold(offset=9, time=NOON, event_id="e9", payload=at(9).payload)
    assert [entry.offset for entry in kept.entries] == [4, 5, 6, 7, 8, 9]


def test_the_same_id_from_two_sources_is_two_events_in_a_window_of_any_size() -> None:
    log = [replace(at(0, event_id="same"), payload=b'{"type":"Failed","source":"a"}'), at(1, event_id="same"), at(2)]
    assert known(reopened(after(log, FOUR), FOUR), at(3), FOUR) == [0, 1, 2]


def test_types_that_share_the_ring_again_are_known_as_far_as_nothing_is_missing() -> None:
    # Of two deployments to one failure only the last eight failures are there, and as many deployments as they saw.
    log = [at(offset, "Failed" if offset % 3 == 0 else "Deployed") for offset in range(60)]
    slots = reopened(after(log), replace(FOUR, events=40))
    assert known(slots, at(60), replace(FOUR, events=40)) == list(range(36, 60))


def test_a_type_that_gets_slots_is_known_as_far_as_nothing_is_missing() -> None:
    log = [at(offset, "Deployed" if offset % 4 == 0 else "Failed") for offset in range(20)]
    slots = reopened(after(log, FOUR), APART)
    for offset in range(20, 53):
        fold(slots, at(offset, "Deployed"))
    # It has 32 slots, and the first of its own is lost.
    assert [entry.offset for entry in rings.entries(slots, APART) if type_of(entry.payload) == "Deployed"] == [
        *range(21, 53)
    ]


SPECS = [
    FOUR,
    APART,
    replace(FOUR, events=2),
    replace(APART, events=9),
    replace(FOUR, rings=(TypeRing(("Failed",), 3),)),
]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["Failed", "Deployed", "Configured"]),
            st.sampled_from(["new", "new", "new", "copy", "again"]),
            st.sampled_from([None, None, None, None, *SPECS]),
        ),
        max_size=70,
    )
)
def test_rings_that_are_kept_are_what_the_slots_hold(events: list[tuple[str, str, WindowSpec | None]]) -> None:
    """Of events that are new, a copy or redelivered, while the window's specification changes now and then."""
    spec, slots, kept, log = FOUR, Slots(), Rings("web", FOUR, {}), [at(0)]
    for kind, what, changed in events:
        if changed is not None:
            spec, slots = changed, reopened(slots, changed)
            kept = Rings("web", spec, slots)
        event = log[len(log) // 2] if what == "again" else at(len(log), kind, event_id="e1" if what == "copy" else None)
        if what != "again":
            log.append(event)

        written = kept.fold(offset=event.offset, time=event.time, event_id=event.event_id, payload=event.payload)

        assert list(written) == fold(slots, event, spec)
        assert kept.entries == rings.entries(slots, spec)
        assert kept.size_bytes <= Rings("web", spec, reopened(slots, spec)).size_bytes
