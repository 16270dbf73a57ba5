"""Rebuild: one partition of an agent's windows, folded anew beside Faust, as changes of its changelog.

Whoever has applied the changelog with these changes, from its beginning or from where it had come, has the new windows.
Two things see to that:

* A new ring is numbered far above every entry there was. Wherever a later entry of a slot wins over an earlier one, the
  new one wins, and entries of an old ring that nobody removed lie too far back to be seen.
* What no new ring has in its slots is removed, and a removed slot takes any entry again.

A ring that would come out as it is stays untouched. What the timeline no longer has is taken over from the old ring, as
far as it is still remembered. Needs a directory of its own; bounded memory, whatever the number of entities. Raises
`RingCorrupt` when the changelog holds something else than rings.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final, cast

import rocksdict

from tables import ring
from tables.cache import ByteCache, RingCache
from tables.rings import Rings
from tables.store import StoreOptions
from tables.window import MAX_EVENTS, Entry, WindowSpec

#: Further back no ring looks, whatever its size: those of earlier versions had up to 10,000 events.
_FARTHEST: Final = 1 << 15
#: Of the rings folded last. Nothing is parsed here (own choice).
_RING_BYTES: Final = 128 * 1024 * 1024
#: A rebuild is of one partition.
_HERE: Final = 0

#: A key of the changelog, and its new value; None removes it.
Change = tuple[bytes, bytes | None]


class PartitionRebuild:
    """Call, in this order: `apply` for the changelog, `begin`, `fold` for the timeline, `changes`, `close`.

    `directory` may hold what `apply` left there before; then the changelog is not applied again.
    """

    def __init__(self, directory: Path, spec: WindowSpec) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._spec = spec
        self._old = StoreOptions().open(directory / "old")
        shutil.rmtree(directory / "new", ignore_errors=True)
        self._new = StoreOptions().open(directory / "new")
        self._cache = RingCache(ByteCache(_RING_BYTES))
        self._first_seq = 0

    def close(self) -> None:
        """Close the databases."""
        self._old.close()
        self._new.close()

    def apply(self, key: bytes, value: bytes | None) -> None:
        """Take in a record of the changelog, as a worker that recovers does: a slot's later entry stays."""
        if value is None:
            self._old.delete(key)
            return
        stored = self._old.get(key)
        if stored is None or ring.seq_of(value) >= ring.seq_of(stored):
            self._old.put(key, value)

    def begin(self, first_offset: int, is_remembered: Callable[[bytes], bool]) -> int:
        """Take over what lies before `first_offset` and is still remembered; returns how many entries that is.

        Nothing is that lies before a gap: nobody could see the gap afterwards.

        `is_remembered` is asked with the payload of an entry.
        """
        self._first_seq = max((ring.seq_of(value) for value in self._old.values()), default=-_FARTHEST) + _FARTHEST
        taken = 0
        # Of a window that was larger everything counts: not all of it may be remembered.
        largest = replace(self._spec, events=MAX_EVENTS)
        for entity, _ in _entities(self._old):
            old = Rings.read(entity, _items(self._old, ring.prefix(entity)), largest)
            for entry in old.entries:
                if entry.offset < first_offset and is_remembered(entry.payload):
                    taken += 1
                    self.fold(
                        entity,
                        offset=entry.offset,
                        time=entry.time,
                        event_id=entry.event_id,
                        payload=entry.payload,
                    )
        return taken

    def fold(self, entity: str, *, offset: int, time: datetime, event_id: str, payload: bytes) -> None:
        """Remember an event, as `WindowTable.fold` does."""
        found = self._cache.get(_HERE, entity)
        if found is None:
            found = Rings.read(entity, _items(self._new, ring.prefix(entity)), self._spec, first_seq=self._first_seq)
        for key, entry in found.fold(offset=offset, time=time, event_id=event_id, payload=payload):
            self._new.put(key, ring.encode(entry))
        self._cache.put(_HERE, entity, found)

    def changes(self, *, to_empty: bool = False) -> Iterator[Change]:
        """What to append to the changelog, ring by ring: its entries from the oldest on, then what is removed.

        `to_empty` says that the changelog holds nothing any more: then that is every entry, and no removal.
        """
        for entity, slots in _entities(self._new):
            old = {} if to_empty else _slots(self._old, entity)
            if _is_same(old, slots):
                continue
            for key, entry in sorted(slots.items(), key=lambda slot: slot[1].offset):
                yield key, ring.encode(entry)
            yield from ((key, None) for key in sorted(old.keys() - slots.keys()))
        for entity, old in () if to_empty else _entities(self._old):
            if not _slots(self._new, entity):
                yield from ((key, None) for key in sorted(old))


def _is_same(old: Mapping[bytes, Entry], new: Mapping[bytes, Entry]) -> bool:
    """Whether the old rings hold the same in their own numbers, without gaps and with nothing beside it."""
    before, after = _by_ring(old), _by_ring(new)
    return before.keys() == after.keys() and all(_from_0(before[number]) == _from_0(after[number]) for number in after)


def _by_ring(slots: Mapping[bytes, Entry]) -> Mapping[int, Sequence[Entry]]:
    """The entries of each ring in `seq` order."""
    found: dict[int, list[Entry]] = {}
    for key, entry in sorted(slots.items(), key=lambda slot: slot[1].seq):
        found.setdefault(ring.number_of(key), []).append(entry)
    return found


def _from_0(entries: Sequence[Entry]) -> Sequence[Entry]:
    return [replace(entry, seq=entry.seq - entries[0].seq) for entry in entries]


def _entities(database: rocksdict.Rdict) -> Iterator[tuple[str, dict[bytes, Entry]]]:
    """Every entity with its slots; those of one entity stand together."""
    for entity, items in itertools.groupby(_items(database), key=lambda item: ring.entity_of(item[0])):
        yield entity, {key: ring.decode(value) for key, value in items}


def _slots(database: rocksdict.Rdict, entity: str) -> dict[bytes, Entry]:
    return {key: ring.decode(value) for key, value in _items(database, ring.prefix(entity))}


def _items(database: rocksdict.Rdict, prefix: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
    """Keys and values with this prefix, in key order.

    A generator, so that the options live as long as it: rocksdict's iterator reads the bound from their memory.
    """
    options = rocksdict.ReadOptions()
    if prefix:
        options.set_iterate_upper_bound(ring.end_of(prefix))
    # The databases are raw.
    yield from cast("Iterator[tuple[bytes, bytes]]", database.items(from_key=prefix or None, read_opt=options))
