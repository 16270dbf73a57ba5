"""Lapse: what a sweep removes, no event to come would have seen."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from tables import ring
from tables.lapse import Lapse, lapsed_before, outlives
from tables.window import Entry, TypeRing, WindowSpec, fold, history, push

START = datetime(2024, 5, 1, tzinfo=UTC)
AGE, LATE = timedelta(hours=20), timedelta(hours=5)
SPEC = WindowSpec(events=3, age=AGE, rings=(TypeRing(("Rare",), 2),))


@dataclass(frozen=True)
class Arrival:
    """An event of an entity: when it is written to the timeline, and how long before it happened."""

    entity: str
    at: datetime
    time: datetime
    type: str


@st.composite
def timelines(draw: st.DrawFn) -> list[Arrival]:
    """Events as they arrive, none later than `LATE` after it happened, some stamped ahead of their record."""
    found, at = [], START
    for _ in range(draw(st.integers(1, 30))):
        at += timedelta(hours=draw(st.sampled_from((0, 1, 2, 12, 18, 21, 23, 25, 26))))
        late = timedelta(hours=draw(st.integers(-2, 5)))
        found.append(Arrival(draw(st.sampled_from("ab")), at, at - late, draw(st.sampled_from(("Usual", "Rare")))))
    return found


def histories(arrivals: list[Arrival], *, swept_after: set[int]) -> list[list[str]]:
    """What each event knows, where the windows are swept after these offsets."""
    rings: dict[str, list[Entry]] = {"a": [], "b": []}
    known = []
    for offset, one in enumerate(arrivals):
        payload = b'{"type":"%s"}' % one.type.encode()
        number = SPEC.ring_of(payload)
        entry = fold(
            rings[one.entity], offset=offset, time=one.time, event_id=f"e{offset}", payload=payload, ring=number
        )
        assert entry is not None
        push(rings[one.entity], entry, SPEC)
        seen = history(rings[one.entity], SPEC, offset=offset, time=one.time, event_id=f"e{offset}", source=None)
        known.append([entry.event_id for entry in seen])
        if offset in swept_after:
            since = lapsed_before(SPEC, one.at, LATE)
            assert since is not None
            came = next((place for place, other in enumerate(arrivals) if other.at >= since), len(arrivals))
            lapse = Lapse(came, since)
            for entity, entries in rings.items():
                if all(lapse.holds(ring.encode(entry)) for entry in entries):
                    rings[entity] = []
    return known


@settings(max_examples=500)
@given(timelines())
def test_no_event_sees_less_because_windows_were_swept_before_it(arrivals: list[Arrival]) -> None:
    assert histories(arrivals, swept_after=set(range(30))) == histories(arrivals, swept_after=set())


def test_what_was_silent_for_its_age_and_the_latest_arrival_is_swept() -> None:
    at = [START, START + AGE + LATE, START + AGE + LATE + timedelta(hours=1)]
    arrivals = [Arrival("a", at[0], at[0], "Usual"), *(Arrival("b", when, when, "Usual") for when in at[1:])]
    late = Arrival("a", at[2], START + AGE, "Usual")
    assert histories([*arrivals, late], swept_after=set())[-1] == ["e0"]
    assert histories([*arrivals, late], swept_after={1})[-1] == ["e0"]
    assert histories([*arrivals, late], swept_after={2})[-1] == []


def test_an_entry_has_lapsed_when_it_came_and_happened_before() -> None:
    lapse = Lapse(100, START)
    before, after = START - timedelta(microseconds=1), START
    held = [
        lapse.holds(ring.encode(Entry(0, offset, time, "e", b"{}")))
        for offset, time in ((99, before), (99, after), (100, before), (100, after))
    ]
    assert held == [True, False, False, False]


def test_a_window_without_a_limit_by_age_never_lapses() -> None:
    assert lapsed_before(WindowSpec(events=3, age=timedelta.max), START, LATE) is None
    assert lapsed_before(WindowSpec(events=3, age=timedelta(days=365 * 100)), START, LATE) is None


def test_a_removal_that_comes_late_is_not_meant_for_a_newer_entry() -> None:
    [old, new] = [ring.encode(Entry(0, offset, START, "e", b"{}")) for offset in (99, 100)]
    headers = Lapse(100, START).headers
    assert (outlives(old, headers), outlives(new, headers)) == (False, True)
    assert not outlives(new, ())
    assert not outlives(new, [("before", b"soon")])
