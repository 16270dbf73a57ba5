"""Caches that are bounded by bytes: what is used least recently goes first.

Bytes are estimates of what the values take in memory, made by whoever puts them; a cache never holds more than its
limit by them, and a value that is larger than the limit is not kept at all.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from tables.window import Entry

#: Of the decoded rings of one table: some 65,000 entries with events of 400 bytes (own choice).
RING_BYTES: Final = 48 * 1024 * 1024
#: What an entry takes beside its payload: itself, its time, ids and numbers, its key, its place in the dict. Measured
#: with `tracemalloc` on CPython 3.11: 346 bytes with short ids.
ENTRY_BYTES: Final = 400

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

Slots = dict[bytes, "Entry"]


class ByteCache(Generic[K, V]):
    """Values by key, of at most `max_bytes` together."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._values: OrderedDict[K, tuple[V, int]] = OrderedDict()
        #: What is kept now, by the estimates it was put with.
        self.used_bytes = 0

    def __len__(self) -> int:
        """How many values are kept."""
        return len(self._values)

    def get(self, key: K) -> V | None:
        """Return the value, which is now the one used last, or None when it is not kept."""
        found = self._values.get(key)
        if found is None:
            return None
        self._values.move_to_end(key)
        return found[0]

    def put(self, key: K, value: V, size_bytes: int) -> None:
        """Keep a value, in place of the one that was there, and drop others until all fit."""
        _, before = self._values.pop(key, (value, 0))
        self._values[key] = (value, size_bytes)
        self.used_bytes += size_bytes - before
        while self.used_bytes > self._max_bytes:
            _, (_, dropped) = self._values.popitem(last=False)
            self.used_bytes -= dropped

    def clear(self) -> None:
        """Forget everything."""
        self._values.clear()
        self.used_bytes = 0


class RingCache:
    """The decoded rings of the entities folded last.

    Only folds read it, and only on the worker that owns the partition; what it holds must never outlive a rebalance.
    """

    def __init__(self, max_bytes: int = RING_BYTES) -> None:
        self._rings: ByteCache[tuple[int, str], Slots] = ByteCache(max_bytes)

    @property
    def used_bytes(self) -> int:
        """What is kept now, estimated."""
        return self._rings.used_bytes

    def get(self, partition: int, entity: str) -> Slots | None:
        """Return the slots of an entity by their keys, or None when they are not kept."""
        return self._rings.get((partition, entity))

    def put(self, partition: int, entity: str, slots: Slots) -> None:
        """Keep the slots of an entity; the caller may go on changing them and puts them again then."""
        size = ENTRY_BYTES * len(slots) + sum(len(entry.payload) for entry in slots.values())
        self._rings.put((partition, entity), slots, size)

    def clear(self) -> None:
        """Forget everything."""
        self._rings.clear()
