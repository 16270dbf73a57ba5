"""Ring cache: the decoded rings of the entities folded last, bounded by their number of entries.

Only folds read it, and only on the worker that owns the partition; what it holds must never outlive a rebalance.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tables.window import Entry

#: Entries kept over all rings of one table: some 50 MB with events of 400 bytes (own choice).
MAX_ENTRIES: Final = 65_536

Slots = dict[bytes, "Entry"]


class RingCache:
    """Least recently folded rings go first."""

    def __init__(self, max_entries: int = MAX_ENTRIES) -> None:
        self._max_entries = max_entries
        self._rings: OrderedDict[tuple[int, str], tuple[Slots, int]] = OrderedDict()
        self._entries = 0

    def get(self, partition: int, entity: str) -> Slots | None:
        """Return the slots of an entity by their keys, or None when they are not kept."""
        found = self._rings.get((partition, entity))
        return None if found is None else found[0]

    def put(self, partition: int, entity: str, slots: Slots) -> None:
        """Keep the slots of an entity; the caller may go on changing them and puts them again then."""
        _, before = self._rings.pop((partition, entity), (slots, 0))
        self._rings[partition, entity] = (slots, len(slots))
        self._entries += len(slots) - before
        while self._entries > self._max_entries:
            _, (_, dropped) = self._rings.popitem(last=False)
            self._entries -= dropped

    def clear(self) -> None:
        """Forget everything."""
        self._rings.clear()
        self._entries = 0
