"""The caches: bounded by bytes, and never holding what was cleared."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tables.cache import ByteCache, Memory, RingCache
from tables.footprint import ENTRY_BYTES, RINGS_BYTES
from tables.rings import Rings
from tables.window import WindowSpec

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SPEC = WindowSpec(events=4, age=timedelta(hours=1))


def rings_of(entries: int, payload: bytes = b"") -> Rings:
    rings = Rings("ada", SPEC, {})
    for number in range(entries):
        grow(rings, number, payload)
    return rings


def grow(rings: Rings, number: int, payload: bytes = b"") -> None:
    rings.fold(offset=number, time=NOON, event_id=f"e{number}", payload=payload)


@pytest.fixture
def memory() -> Memory:
    return ByteCache(1_000_000)


def test_rings_of_the_same_entity_in_two_partitions_are_apart(memory: Memory) -> None:
    cache = RingCache(memory)
    here, there = rings_of(1), rings_of(2)
    cache.put(0, "ada", here)
    cache.put(1, "ada", there)
    assert cache.get(0, "ada") is here
    assert cache.get(1, "ada") is there


def test_the_ring_folded_longest_ago_goes_first() -> None:
    cache = RingCache(ByteCache(2 * rings_of(3).size_bytes))
    cache.put(0, "ada", rings_of(2))
    cache.put(0, "bob", rings_of(2))
    cache.put(0, "ada", rings_of(3))
    cache.put(0, "cyd", rings_of(3))
    assert cache.get(0, "bob") is None
    assert cache.get(0, "ada") is not None
    assert cache.get(0, "cyd") is not None


def test_a_ring_that_grew_since_it_was_put_counts_with_its_new_size() -> None:
    cache = RingCache(ByteCache(rings_of(4).size_bytes))
    growing = rings_of(1)
    cache.put(0, "ada", growing)
    grow(growing, 1)
    cache.put(0, "ada", growing)
    cache.put(0, "bob", rings_of(3))
    assert cache.get(0, "ada") is None


def test_what_was_cleared_is_gone(memory: Memory) -> None:
    cache = RingCache(memory)
    cache.put(0, "ada", rings_of(1))
    cache.clear()
    assert cache.get(0, "ada") is None
    assert memory.used_bytes == 0


def test_tables_share_one_memory_and_one_that_is_cleared_leaves_the_others_what_they_have() -> None:
    memory: Memory = ByteCache(2 * rings_of(1).size_bytes)
    one, other = RingCache(memory), RingCache(memory)
    one.put(0, "ada", rings_of(1))
    other.put(0, "ada", rings_of(1))
    one.clear()
    assert one.get(0, "ada") is None
    assert other.get(0, "ada") is not None
    one.put(0, "bob", rings_of(1))
    one.put(0, "cyd", rings_of(1))
    assert other.get(0, "ada") is None


def test_rings_are_counted_with_the_bytes_of_their_events_and_those_of_a_history_as_if_they_were_parsed() -> None:
    #                                                          what text alone takes when it is read
    assert rings_of(1, b"x" * 400_000).size_bytes >= RINGS_BYTES + ENTRY_BYTES + 2 * 400_000 - 1_000
    in_history, beyond = rings_of(4, b"x" * 100_000).size_bytes, rings_of(5, b"x" * 100_000).size_bytes
    assert beyond == in_history + ENTRY_BYTES + 100_000


def test_a_ring_that_is_full_keeps_its_size() -> None:
    rings = rings_of(SPEC.capacity, b'{"a":{"b":[1,2]}}')
    size_bytes = rings.size_bytes
    for number in range(SPEC.capacity, 3 * SPEC.capacity):
        grow(rings, number, b'{"a":{"b":[1,2]}}')
    assert rings.size_bytes == size_bytes


def test_a_ring_larger_than_the_cache_is_not_kept_and_leaves_nothing_counted() -> None:
    memory: Memory = ByteCache(1_000)
    cache = RingCache(memory)
    cache.put(0, "ada", rings_of(1, b"x" * 2_000))
    assert cache.get(0, "ada") is None
    assert memory.used_bytes == 0


def test_what_was_read_stays_longer_than_what_was_only_put() -> None:
    cache: ByteCache[str, int] = ByteCache(2)
    cache.put("read", 1, 1)
    cache.put("put", 2, 1)
    assert cache.get("read") == 1
    cache.put("new", 3, 1)
    assert (cache.get("read"), cache.get("put"), cache.get("new")) == (1, None, 3)
    assert len(cache) == 2


def test_a_value_that_is_dropped_takes_its_bytes_along() -> None:
    cache: ByteCache[str, int] = ByteCache(2)
    cache.put("one", 1, 2)
    cache.drop("one")
    cache.drop("unheard")
    assert (cache.keys(), cache.used_bytes) == ([], 0)
