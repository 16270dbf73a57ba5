"""The rules of a window, by hand-written cases and against a model that reads the log from its start."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tables.window import MAX_EVENTS, Entry, WindowSpec, fold, history

NOON = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
THREE = WindowSpec(events=3, age=HOUR)


def at(offset: int, minute: int = 0, event_id: str | None = None) -> Entry:
    """Return an event of the log; its `seq` means nothing yet."""
    return Entry(0, offset, NOON + timedelta(minutes=minute), event_id or f"e{offset}", b"p%d" % offset)


def folded(ring: list[Entry], event: Entry) -> Entry | None:
    return fold(ring, offset=event.offset, time=event.time, event_id=event.event_id, payload=event.payload)


def after(log: list[Entry], spec: WindowSpec = THREE) -> list[Entry]:
    ring: list[Entry] = []
    for event in log:
        write(ring, event, spec)
    return ring


def write(ring: list[Entry], event: Entry, spec: WindowSpec) -> Entry | None:
    """Fold an event and lay the result into the ring, as a store with one slot per entry does."""
    entry = folded(ring, event)
    if entry is not None:
        kept = {each.seq % spec.capacity: each for each in ring} | {entry.seq % spec.capacity: entry}
        ring[:] = sorted(kept.values(), key=lambda each: each.seq)
    return entry


def ids(ring: list[Entry], event: Entry, spec: WindowSpec = THREE) -> list[str]:
    found = history(ring, spec, offset=event.offset, time=event.time, event_id=event.event_id, source=None)
    return [entry.event_id for entry in found]


def remembered(log: list[Entry], capacity: int) -> list[Entry]:
    kept: list[Entry] = []
    for event in log:
        if event.event_id not in {each.event_id for each in kept[-capacity:]}:
            kept.append(replace(event, seq=len(kept)))
    return kept


def model(log: list[Entry], position: int, spec: WindowSpec) -> list[Entry]:
    event = log[position]
    last = remembered(log[:position], spec.capacity)[-spec.events :]
    return [each for each in last if event.time - each.time <= spec.age and each.event_id != event.event_id]


@pytest.mark.parametrize(
    ("events", "capacity", "slack"),
    [(1, 2, 0), (2, 4, 1), (3, 8, 4), (4, 8, 3), (50, 128, 77), (64, 128, 63), (65, 256, 190)],
)
def test_the_ring_has_the_smallest_power_of_two_of_slots_that_holds_two_windows(
    events: int, capacity: int, slack: int
) -> None:
    spec = WindowSpec(events=events, age=HOUR)
    assert (spec.capacity, spec.slack) == (capacity, slack)


@pytest.mark.parametrize(
    ("events", "age"), [(0, HOUR), (-1, HOUR), (MAX_EVENTS + 1, HOUR), (3, timedelta(0)), (3, -HOUR)]
)
def test_a_window_without_events_or_age_is_refused(events: int, age: timedelta) -> None:
    with pytest.raises(ValueError, match=r"window (events|age) must be"):
        WindowSpec(events=events, age=age)


def test_the_first_event_has_no_history() -> None:
    assert ids(after([at(7)]), at(7)) == []


def test_a_history_holds_the_last_events_before_the_one_decided_on_oldest_first() -> None:
    log = [at(offset) for offset in (10, 11, 15, 16, 20)]
    assert ids(after(log), at(20)) == ["e11", "e15", "e16"]


def test_a_history_holds_nothing_later_than_its_event() -> None:
    assert ids(after([at(1), at(2), at(3), at(4)]), at(2)) == ["e1"]


def test_an_event_that_is_not_remembered_itself_has_a_history_too() -> None:
    assert ids(after([at(1), at(2), at(4)]), at(3)) == ["e1", "e2"]


def test_an_entry_exactly_as_old_as_the_window_is_included_and_an_older_one_is_not() -> None:
    log = [at(1, minute=0), at(2, minute=1), at(3, minute=61)]
    assert ids(after(log), log[2]) == ["e2"]


def test_a_late_event_takes_the_place_where_it_arrived() -> None:
    log = [at(1, minute=10), at(2, minute=20), at(3, minute=5), at(4, minute=30)]
    assert ids(after(log), log[3]) == ["e1", "e2", "e3"]


def test_an_event_later_than_the_age_of_the_window_is_in_no_present_history_but_counts() -> None:
    log = [at(1), at(2), at(3), at(4, minute=-600), at(5)]
    assert ids(after(log), log[4]) == ["e2", "e3"]


def test_an_event_from_the_future_does_not_shut_later_events_out() -> None:
    log = [at(1), replace(at(2), time=datetime.max.replace(tzinfo=UTC)), at(3), at(4)]
    assert ids(after(log), log[1]) == []
    assert ids(after(log), log[3]) == ["e1", "e2", "e3"]


def test_an_event_of_the_first_day_of_time_has_a_history() -> None:
    first = replace(at(2), time=datetime.min.replace(tzinfo=UTC))
    assert ids(after([at(1), first]), first) == ["e1"]


def test_a_copy_of_an_event_id_is_not_added() -> None:
    ring = after([at(1, event_id="a"), at(2, event_id="b")])
    assert folded(ring, at(3, event_id="a")) is None


def test_a_copy_is_not_part_of_its_own_history() -> None:
    ring = after([at(1, event_id="a"), at(2, event_id="b")])
    assert ids(ring, at(3, event_id="a")) == ["b"]


def test_the_same_id_from_another_source_is_another_event_also_beside_what_older_versions_stored() -> None:
    """The stored format has no source of its own: an entry's payload says it, whatever version wrote the entry."""
    shop, till = (
        replace(at(offset, event_id="1001"), payload=b'{"source":"%b"}' % source)
        for offset, source in ((1, b"urn:shop"), (2, b"urn:till"))
    )
    copy = replace(shop, offset=3)
    ring = after([shop, till, copy])
    assert [(entry.offset, entry.event_id) for entry in ring] == [(1, "1001"), (2, "1001")]
    found = history(ring, THREE, offset=3, time=NOON, event_id="1001", source="urn:shop")
    assert [entry.offset for entry in found] == [2]
    found = history(ring, THREE, offset=3, time=NOON, event_id="1001", source="urn:third")
    assert [entry.offset for entry in found] == [1, 2]


def test_an_event_id_that_has_left_the_ring_is_new_again() -> None:
    ring = after([at(offset) for offset in range(1, 10)])
    assert folded(ring, at(10, event_id="e1")) == Entry(9, 10, NOON, "e1", b"p10")


def test_a_redelivered_event_is_written_again_under_its_own_seq() -> None:
    ring = after([at(1), at(2), at(3)])
    assert folded(ring, at(2)) == Entry(1, 2, NOON, "e2", b"p2")
    assert folded(ring, at(3)) == Entry(2, 3, NOON, "e3", b"p3")


def test_a_redelivered_event_that_left_the_ring_is_not_written() -> None:
    ring = after([at(offset) for offset in range(1, 10)])
    assert folded(ring, at(1)) is None


def test_a_redelivered_copy_is_not_written() -> None:
    ring = after([at(1, event_id="a"), at(2, event_id="a"), at(3)])
    assert folded(ring, at(2, event_id="a")) is None


specs = st.builds(WindowSpec, events=st.integers(1, 9), age=st.just(HOUR))
logs = st.lists(
    st.tuples(
        st.integers(1, 3),
        st.integers(-90, 90) | st.just(10**6),
        st.integers(0, 25),
    ),
    min_size=1,
    max_size=60,
).map(
    lambda steps: [
        at(sum(gap for gap, _, _ in steps[: place + 1]), minute, f"id{number}")
        for place, (_, minute, number) in enumerate(steps)
    ]
)


@given(logs, specs, st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30)), max_size=5))
def test_the_ring_is_the_end_of_the_log_however_often_it_is_redelivered(
    log: list[Entry], spec: WindowSpec, crashes: list[tuple[int, int]]
) -> None:
    ring: list[Entry] = []
    reached = 0
    for ahead, back in [*crashes, (len(log), 0)]:
        for event in log[reached : reached + ahead]:
            write(ring, event, spec)
        reached = max(0, min(len(log), reached + ahead) - back)
    assert ring == remembered(log, spec.capacity)[-spec.capacity :]


@given(logs, specs)
def test_a_history_is_the_same_when_it_is_computed_again_after_newer_events(log: list[Entry], spec: WindowSpec) -> None:
    ring: list[Entry] = []
    for newest, event in enumerate(log):
        write(ring, event, spec)
        for position in range(max(0, newest - spec.slack), newest + 1):
            old = log[position]
            found = history(ring, spec, offset=old.offset, time=old.time, event_id=old.event_id, source=None)
            assert list(found) == model(log, position, spec)


@given(logs, specs, st.data())
def test_a_ring_restored_from_the_changelog_and_redelivered_gives_the_same_histories(
    log: list[Entry], spec: WindowSpec, data: st.DataObject
) -> None:
    killed = data.draw(st.integers(0, len(log) - 1), label="last event folded before the kill")
    committed = data.draw(st.integers(max(0, killed - spec.slack), killed), label="first event redelivered")
    changelog_end = data.draw(st.integers(committed, killed + 1), label="events whose write was sent")
    ring = remembered(log[:changelog_end], spec.capacity)[-spec.capacity :]
    for position in range(committed, len(log)):
        event = log[position]
        write(ring, event, spec)
        found = history(ring, spec, offset=event.offset, time=event.time, event_id=event.event_id, source=None)
        assert list(found) == model(log, position, spec)


def test_more_newer_events_than_the_slack_shorten_a_history() -> None:
    log = [at(offset) for offset in range(1, 10)]
    assert ids(after(log[:8]), at(4)) == ["e1", "e2", "e3"]
    assert ids(after(log), at(4)) == ["e2", "e3"]
