"""The ring cache: bounded, and never holding what was cleared."""

from __future__ import annotations

from datetime import UTC, datetime

from tables.cache import RingCache, Slots
from tables.window import Entry


def ring_of(entries: int) -> Slots:
    time = datetime(2026, 1, 1, tzinfo=UTC)
    return {bytes([seq]): Entry(seq, seq, time, f"e{seq}", b"") for seq in range(entries)}


def test_rings_of_the_same_entity_in_two_partitions_are_apart() -> None:
    cache = RingCache()
    here, there = ring_of(1), ring_of(2)
    cache.put(0, "ada", here)
    cache.put(1, "ada", there)
    assert cache.get(0, "ada") is here
    assert cache.get(1, "ada") is there


def test_the_ring_folded_longest_ago_goes_first() -> None:
    cache = RingCache(max_entries=5)
    cache.put(0, "ada", ring_of(2))
    cache.put(0, "bob", ring_of(2))
    cache.put(0, "ada", ring_of(3))
    cache.put(0, "cyd", ring_of(2))
    assert cache.get(0, "bob") is None
    assert cache.get(0, "ada") is not None
    assert cache.get(0, "cyd") is not None


def test_a_ring_that_grew_since_it_was_put_counts_with_its_new_size() -> None:
    cache = RingCache(max_entries=4)
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
