"""The caches: bounded by bytes, and never holding what was cleared."""

from __future__ import annotations

from datetime import UTC, datetime

from tables.cache import ENTRY_BYTES, ByteCache, RingCache, Slots
from tables.window import Entry


def ring_of(entries: int, payload: bytes = b"") -> Slots:
    time = datetime(2026, 1, 1, tzinfo=UTC)
    return {bytes([seq]): Entry(seq, seq, time, f"e{seq}", payload) for seq in range(entries)}


def test_rings_of_the_same_entity_in_two_partitions_are_apart() -> None:
    cache = RingCache()
    here, there = ring_of(1), ring_of(2)
    cache.put(0, "ada", here)
    cache.put(1, "ada", there)
    assert cache.get(0, "ada") is here
    assert cache.get(1, "ada") is there


def test_the_ring_folded_longest_ago_goes_first() -> None:
    cache = RingCache(max_bytes=5 * ENTRY_BYTES)
    cache.put(0, "ada", ring_of(2))
    cache.put(0, "bob", ring_of(2))
    cache.put(0, "ada", ring_of(3))
    cache.put(0, "cyd", ring_of(2))
    assert cache.get(0, "bob") is None
    assert cache.get(0, "ada") is not None
    assert cache.get(0, "cyd") is not None


def test_a_ring_that_grew_since_it_was_put_counts_with_its_new_size() -> None:
    cache = RingCache(max_bytes=4 * ENTRY_BYTES)
    growing = ring_of(1)
    cache.put(0, "ada", growing)
    growing |= ring_of(4)
    cache.put(0, "ada", growing)
    cache.put(0, "bob", ring_of(1))
    assert cache.get(0, "ada") is None


def test_what_was_cleared_is_gone() -> None:
    cache = RingCache()
    cache.put(0, "ada", ring_of(1))
    cache.clear()
    assert cache.get(0, "ada") is None
    assert cache.used_bytes == 0


def test_rings_are_counted_with_the_bytes_of_their_events() -> None:
    cache = RingCache(max_bytes=1_000_000)
    cache.put(0, "ada", ring_of(2, b"x" * 400_000))
    assert cache.used_bytes == 800_000 + 2 * ENTRY_BYTES
    cache.put(0, "bob", ring_of(1, b"x" * 400_000))
    assert cache.get(0, "ada") is None
    assert cache.used_bytes == 400_000 + ENTRY_BYTES


def test_a_ring_larger_than_the_cache_is_not_kept_and_leaves_nothing_counted() -> None:
    cache = RingCache(max_bytes=1_000)
    cache.put(0, "ada", ring_of(1, b"x" * 2_000))
    assert cache.get(0, "ada") is None
    assert cache.used_bytes == 0


def test_what_was_read_stays_longer_than_what_was_only_put() -> None:
    cache: ByteCache[str, int] = ByteCache(2)
    cache.put("read", 1, 1)
    cache.put("put", 2, 1)
    assert cache.get("read") == 1
    cache.put("new", 3, 1)
    assert (cache.get("read"), cache.get("put"), cache.get("new")) == (1, None, 3)
    assert len(cache) == 2
