"""The layout of a ring: bytes written by hand, keys that never mix, capacities that change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tables import ring
from tables.ring import RingCorrupt
from tables.window import Entry, fold

ENTRY = Entry(seq=5, offset=258, time=datetime(1970, 1, 1, 0, 0, 1, 2, UTC), event_id="é1", payload=b"{}")
VALUE = (
    b"\x01"
    b"\x00\x00\x00\x00\x00\x00\x00\x05"
    b"\x00\x00\x00\x00\x00\x00\x01\x02"
    b"\x00\x00\x00\x00\x00\x0f\x42\x42"
    b"\x00\x03\xc3\xa91"
    b"{}"
)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
entries = st.builds(
    Entry,
    seq=st.integers(0, 2**64 - 1),
    offset=st.integers(0, 2**64 - 1),
    time=st.datetimes(timezones=st.just(UTC)),
    event_id=texts,
    payload=st.binary(max_size=50),
)


def test_a_key_is_the_length_of_the_entity_the_entity_and_the_slot() -> None:
    assert ring.key("ab", 258) == b"\x00\x02ab\x00\x00\x01\x02"


def test_a_value_is_a_header_the_event_id_and_the_payload() -> None:
    assert ring.encode(ENTRY) == VALUE
    assert ring.decode(VALUE) == ENTRY


def test_a_time_of_another_zone_is_the_same_instant_in_utc() -> None:
    paris = ENTRY.time.astimezone(timezone(timedelta(hours=1)))
    stored = ring.encode(Entry(5, 258, paris, "é1", b"{}"))
    assert stored == VALUE


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="must have a zone"):
        ring.encode(Entry(0, 0, ENTRY.time.replace(tzinfo=None), "a", b""))


@given(entries)
def test_an_entry_comes_back_as_it_was(entry: Entry) -> None:
    assert ring.decode(ring.encode(entry)) == entry


@pytest.mark.parametrize(
    "value",
    [b"", VALUE[:26], VALUE[:29], b"\x02" + VALUE[1:], VALUE[:27] + b"\xff\xff\xff", b"\x01" + b"\x7f" * 60],
    ids=["empty", "half a header", "half an event id", "version 2", "no UTF-8", "no time"],
)
def test_a_value_of_another_layout_is_corrupt(value: bytes) -> None:
    with pytest.raises(RingCorrupt, match="ring value"):
        ring.decode(value)


@given(texts, texts, st.integers(0, 2**16 - 1))
def test_the_prefix_of_an_entity_matches_its_own_keys_only(one: str, other: str, slot: int) -> None:
    assert ring.key(one + other, slot).startswith(ring.prefix(one)) == (other == "")
    assert ring.key(other, slot).startswith(ring.prefix(one)) == (other == one)


def test_an_entity_or_event_id_too_long_for_its_length_field_is_refused() -> None:
    with pytest.raises(ValueError, match="entity id has 65536 bytes"):
        ring.prefix("é" * 2**15)
    with pytest.raises(ValueError, match="event id has 65536 bytes"):
        ring.encode(Entry(0, 0, ENTRY.time, "x" * 2**16, b""))


def test_a_redelivered_entry_has_one_slot_to_write() -> None:
    entry = Entry(9, 9, ENTRY.time, "e9", b"")
    slots = {ring.key("a", 1): entry}
    assert ring.writes("a", slots, entry, 8) == [(ring.key("a", 1), entry)]


def test_an_entry_a_grown_ring_still_needs_moves_before_its_slot_is_taken() -> None:
    older, newest = Entry(13, 13, ENTRY.time, "e13", b""), Entry(17, 17, ENTRY.time, "e17", b"")
    slots = {ring.key("a", 1): older}
    assert ring.writes("a", slots, newest, 16) == [
        (ring.key("a", 13), older),
        (ring.key("a", 1), newest),
    ]


def test_an_entry_the_ring_no_longer_needs_is_overwritten() -> None:
    older, newest = Entry(1, 1, ENTRY.time, "e1", b""), Entry(17, 17, ENTRY.time, "e17", b"")
    assert ring.writes("a", {ring.key("a", 1): older}, newest, 16) == [(ring.key("a", 1), newest)]


def test_what_a_moved_entry_would_take_the_slot_of_moves_before_it() -> None:
    oldest, older, newest = (Entry(seq, seq, ENTRY.time, f"e{seq}", b"") for seq in (6, 14, 18))
    slots = {ring.key("a", 2): oldest, ring.key("a", 6): older}
    assert ring.writes("a", slots, newest, 16) == [
        (ring.key("a", 14), older),
        (ring.key("a", 6), oldest),
        (ring.key("a", 2), newest),
    ]


def test_a_ring_made_smaller_and_larger_again_begins_behind_what_the_smaller_one_lost() -> None:
    slots: dict[bytes, Entry] = {}
    for seq in range(25):
        capacity = 16 if seq < 16 else 8
        entry = Entry(seq, seq, ENTRY.time, f"e{seq}", b"")
        slots |= dict(ring.writes("a", slots, entry, capacity))

    # Of the larger one 8 to 15 are there still, and the smaller one has overwritten 16.
    assert [entry.seq for entry in sorted(slots.values(), key=lambda each: each.seq)] == [*range(8, 16), *range(17, 25)]
    assert [entry.seq for entry in ring.entries(slots, 8)] == list(range(17, 25))
    assert [entry.seq for entry in ring.entries(slots, 16)] == list(range(17, 25))
    assert [entry.seq for entry in ring.entries(slots, 32)] == list(range(17, 25))


# An entry left over from a larger ring took the slot of one that was needed, when the ring grew for the second time.
@example([(2, 1), (4, 6), (2, 4), (8, 4), (16, 4)])
@given(st.lists(st.tuples(st.integers(1, 20), st.integers(1, 20)), max_size=6))
def test_a_changed_capacity_loses_nothing_that_both_rings_hold(phases: list[tuple[int, int]]) -> None:
    slots: dict[bytes, Entry] = {}
    log: list[Entry] = []
    held = 0
    for capacity, count in phases:
        held = min(held, capacity)
        for _ in range(count):
            place = len(log)
            found = ring.entries(slots, capacity)
            assert found == sorted(found, key=lambda each: each.seq)
            entry = fold(found, offset=place, time=ENTRY.time, event_id=f"e{place}", payload=b"")
            assert entry == Entry(place, place, ENTRY.time, f"e{place}", b"")
            slots |= dict(ring.writes("a", slots, entry, capacity))
            log.append(entry)
            held = min(held + 1, capacity)
            assert ring.entries(slots, capacity)[-held:] == log[-held:]
            assert len(ring.entries(slots, capacity)) <= capacity
            assert ring.entries(slots, capacity) == log[-len(ring.entries(slots, capacity)) :]
