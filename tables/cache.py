"""Caches that are bounded by bytes: what is used least recently goes first.

Bytes are estimates of what the values take in memory, made by whoever puts them; a cache never holds more than its
limit by them, and a value that is larger than the limit is not kept at all.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from tables.rings import Rings

#: Of the rings of all tables of the process, with what is parsed beside their entries: those of some 1,000 entities
#: with full windows of 50 events of 400 bytes (own choice).
RING_BYTES: Final = 320 * 1024 * 1024

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


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

    def drop(self, key: K) -> None:
        """Forget a value, if it is kept."""
        _, dropped = self._values.pop(key, (None, 0))
        self.used_bytes -= dropped

    def keys(self) -> Sequence[K]:
        """What is kept, the one used longest ago first."""
        return list(self._values)


#: The rings of a cache, a partition and an entity.
Memory = ByteCache[tuple["RingCache", int, str], "Rings"]


@cache
def memory() -> Memory:
    """Return the one memory for rings of this process: whichever table needs it most has most of it."""
    return ByteCache(RING_BYTES)


class RingCache:
    """The rings of the entities that one table folded last.

    Only folds read it, and only on the worker that owns the partition; what it holds must never outlive a rebalance.
    """

    def __init__(self, within: Memory | None = None) -> None:
        """Keep them in this memory, which others may share; in that of the process when none is given."""
        self._memory = memory() if within is None else within

    def get(self, partition: int, entity: str) -> Rings | None:
        """Return the rings of an entity, or None when they are not kept."""
        return self._memory.get((self, partition, entity))

    def put(self, partition: int, entity: str, rings: Rings) -> None:
        """Keep the rings of an entity, as large as they are now; whoever changes them puts them again."""
        self._memory.put((self, partition, entity), rings, rings.size_bytes)

    def drop(self, partition: int, entity: str) -> None:
        """Forget the rings of an entity, if they are kept."""
        self._memory.drop((self, partition, entity))

    def clear(self) -> None:
        """Forget everything of this table."""
        own = [key for key in self._memory.keys() if key[0] is self]  # noqa: SIM118 - no dict
        for key in own:
            self._memory.drop(key)
