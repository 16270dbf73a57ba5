"""Rings: what an entity's slots hold, whatever rings they were written in.

A type that has a ring of its own lies there, and all others share one; the numbers of rings follow from their types. So
an agent without rings of its own has the keys and values it always had. When an agent's rings change, what was written
before stays where it is and counts where it belongs now, by its type, until newer entries take its slots. What its old
ring had lost already is not there; a rebuild brings it back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from tables import ring
from tables.window import MAX_RINGS, SHARED, Entry, WindowSpec

#: Of a ring that the agent does not have any more everything counts: as much as keys have room for.
_ANY: int = MAX_RINGS


def decoded(items: Iterable[tuple[bytes, bytes]], spec: WindowSpec) -> dict[bytes, Entry]:
    """Return the slots of an entity with their entries, each marked with its ring.

    Raises RingCorrupt when a value is no entry.
    """
    slots = {key: ring.decode(value) for key, value in items}
    if spec.rings:
        slots = {key: replace(entry, ring=spec.ring_of(entry.payload)) for key, entry in slots.items()}
    return slots


def entries(slots: Mapping[bytes, Entry], spec: WindowSpec) -> list[Entry]:
    """Return what is remembered in log order, up to the capacity of each ring."""
    if _is_plain(slots, spec):
        return ring.entries(slots, spec.capacity)
    lying: dict[int, dict[bytes, Entry]] = {}
    for key, entry in slots.items():
        lying.setdefault(ring.number_of(key), {})[key] = entry
    belonging: dict[int, list[Entry]] = {}
    moved: set[int] = set()
    for number, own in lying.items():
        for entry in ring.entries(own, _capacity(spec, number)):
            belonging.setdefault(entry.ring, []).append(entry)
            if entry.ring != number:
                moved |= {entry.ring, number}
    for number in moved & belonging.keys():
        newest = _newest_seq(lying.get(number, {}))
        belonging[number] = _numbered(belonging[number], newest)[-_capacity(spec, number) :]
    return sorted((entry for each in belonging.values() for entry in each), key=lambda entry: entry.offset)


def writes(entity: str, slots: Mapping[bytes, Entry], entry: Entry, spec: WindowSpec) -> list[tuple[bytes, Entry]]:
    """Return the slots to write for an entry that `fold` has returned, in order; the last one holds it."""
    if _is_plain(slots, spec):
        return ring.writes(entity, slots, entry, spec.capacity)
    there = next(((key, found) for key, found in slots.items() if found.offset == entry.offset), None)
    if there is not None:
        return [there]
    # The ring may hold entries that belong elsewhere now; they have numbers all the same.
    own = {key: found for key, found in slots.items() if ring.number_of(key) == entry.ring}
    entry = replace(entry, seq=max(entry.seq, _newest_seq(own) + 1))
    return ring.writes(entity, own, entry, _capacity(spec, entry.ring))


def _is_plain(slots: Mapping[bytes, Entry], spec: WindowSpec) -> bool:
    """Whether everything is of the shared ring. Keys of other rings come behind its keys."""
    return not spec.rings and (not slots or ring.number_of(max(slots)) == SHARED)


def _capacity(spec: WindowSpec, number: int) -> int:
    own = spec.ring(number)
    return _ANY if own is spec and number != SHARED else own.capacity


def _newest_seq(slots: Mapping[bytes, Entry]) -> int:
    return max((entry.seq for entry in slots.values()), default=-1)


def _numbered(found: Iterable[Entry], newest: int) -> list[Entry]:
    """Entries of several rings as one, in log order, without gaps up to this `seq`."""
    in_order = sorted(found, key=lambda entry: entry.offset)
    return [replace(entry, seq=newest - back) for back, entry in enumerate(reversed(in_order))][::-1]
