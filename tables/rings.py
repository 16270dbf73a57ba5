"""Rings: what an entity's slots hold, whatever rings they were written in.

A type that has a ring of its own lies there, and all others share one; the numbers of rings follow from their types. So
an agent without rings of its own has the keys and values it always had. When an agent's rings change, what was written
before stays where it is and counts where it belongs now, by its type, until newer entries take its slots. What its old
ring had lost already is not there, nor anything before that: a ring has the last entries, without a gap. A rebuild
brings back the rest. It is needed where an agent gets a ring back that it did not have for a while: nothing says what
of its types came meanwhile and is lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from tables import ring, window
from tables.event import source_of
from tables.footprint import RINGS_BYTES, entries_bytes, parsed_bytes
from tables.window import MAX_RINGS, SHARED, UNKEPT, Entry, WindowSpec, latest, push

#: Of a ring that the agent does not have any more everything counts: as much as keys have room for.
_ANY: int = MAX_RINGS


class Rings:
    """What is remembered of one entity, and how it lies in its slots.

    A fold changes it before anything is written. Whoever cannot write then has to forget it and read it anew.
    """

    __slots__ = ("_entity", "_first_seq", "_slots", "_spec", "entries", "size_bytes")

    def __init__(self, entity: str, spec: WindowSpec, slots: Mapping[bytes, Entry], *, first_seq: int = 0) -> None:
        """Take the slots of the entity, as `decoded` returns them; a ring without entries begins at `first_seq`."""
        self._entity = entity
        self._first_seq = first_seq
        self._spec = spec
        in_place = _in_place(slots, spec)
        #: The slots, as long as an entry lies elsewhere than in the one it would be written to today.
        self._slots: dict[bytes, Entry] | None = dict(slots) if in_place is None else None
        #: What is remembered in log order, up to the capacity of each ring. It changes with the next fold.
        self.entries: list[Entry] = entries(slots, spec) if in_place is None else in_place
        #: What it takes in memory, estimated: with the events of a history parsed beside their entries.
        self.size_bytes = self._measured()

    @classmethod
    def read(cls, entity: str, items: Iterable[tuple[bytes, bytes]], spec: WindowSpec, *, first_seq: int = 0) -> Rings:
        """The rings of an entity from keys and values. Raises RingCorrupt when a value is no entry."""
        return cls(entity, spec, decoded(items, spec), first_seq=first_seq)

    def fold(self, *, offset: int, time: datetime, event_id: str, payload: bytes) -> Sequence[tuple[bytes, Entry]]:
        """Remember an event by the rules of `tables.window.fold`; returns the slots to write, in order."""
        number = self._spec.ring_of(payload)
        entry = window.fold(self.entries, offset=offset, time=time, event_id=event_id, payload=payload, ring=number)
        if entry is None:
            return ()
        if entry.seq == 0:
            entry.seq = self._first_seq
        if self._slots is not None:
            return self._move(self._slots, entry)
        if not self.entries or offset > self.entries[-1].offset:
            self._push(entry)
        return [(ring.key(self._entity, entry.seq % self._spec.ring(entry.ring).capacity, entry.ring), entry)]

    def _push(self, entry: Entry) -> None:
        dropped = push(self.entries, entry, self._spec)
        self.size_bytes += entries_bytes([entry]) + parsed_bytes(entry.payload)
        if dropped is not None:
            self.size_bytes -= entries_bytes([dropped])
        left = self._left_by(entry)
        if left is not None:
            left.parsed = UNKEPT
            self.size_bytes -= parsed_bytes(left.payload)

    def _measured(self) -> int:
        kept = self._slots.values() if self._slots else self.entries
        read = latest(self.entries, self._spec)
        before = [entry.parsed for entry in read]
        for entry in kept:
            entry.parsed = UNKEPT
        for entry, parsed in zip(read, before, strict=True):
            entry.parsed = parsed
        return RINGS_BYTES + entries_bytes(kept) + parsed_bytes(*[entry.payload for entry in read])

    def _left_by(self, newest: Entry) -> Entry | None:
        """The entry that the newest one of its ring has pushed out of the histories to come."""
        events = self._spec.ring(newest.ring).events
        for place in range(len(self.entries) - 1 - events, -1, -1):
            entry = self.entries[place]
            if entry.ring == newest.ring:
                return entry if entry.seq == newest.seq - events else None
        return None

    def _move(self, slots: dict[bytes, Entry], entry: Entry) -> Sequence[tuple[bytes, Entry]]:
        """Lay an entry into rings that were written with others: slots may have to change places."""
        written = writes(self._entity, slots, entry, self._spec)
        slots.update(written)
        in_place = _in_place(slots, self._spec)
        if in_place is None:
            self.entries = entries(slots, self._spec)
        else:
            self._slots, self.entries = None, in_place
        self.size_bytes = self._measured()
        return written


def decoded(items: Iterable[tuple[bytes, bytes]], spec: WindowSpec) -> dict[bytes, Entry]:
    """Return the slots of an entity with their entries, each marked with its ring.

    Raises RingCorrupt when a value is no entry.
    """
    decode = ring.decode
    slots = {key: decode(value) for key, value in items}
    if spec.rings:
        ring_of = spec.ring_of
        for entry in slots.values():
            entry.ring = ring_of(entry.payload)
    return slots


def entries(slots: Mapping[bytes, Entry], spec: WindowSpec) -> list[Entry]:
    """Return what is remembered in log order, up to the capacity of each ring."""
    if _is_plain(slots, spec):
        return _each_once(ring.entries(slots, spec.capacity))
    lying: dict[int, dict[bytes, Entry]] = {}
    for key, entry in slots.items():
        lying.setdefault(ring.number_of(key), {})[key] = entry
    unbroken = {number: ring.entries(own, _capacity(spec, number)) for number, own in lying.items()}
    belonging: dict[int, list[Entry]] = {}
    moved: set[int] = set()
    for number, found in unbroken.items():
        for entry in found:
            belonging.setdefault(entry.ring, []).append(entry)
            if entry.ring != number:
                moved |= {entry.ring, number}
    for number in moved & belonging.keys():
        newest, since = _newest_seq(lying.get(number, {})), _complete_since(unbroken, spec, number)
        complete = [entry for entry in belonging[number] if entry.offset >= since]
        belonging[number] = _numbered(complete, newest)[-_capacity(spec, number) :]
    return _each_once(sorted((entry for each in belonging.values() for entry in each), key=lambda entry: entry.offset))


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


def _each_once(found: list[Entry]) -> list[Entry]:
    """Entries in log order; of a ring only those behind one whose event came once more.

    A smaller ring had forgotten the first, and took the copy for a new event. Made larger it would have both.
    """
    if len({entry.event_id for entry in found}) == len(found):
        return found
    seen: set[tuple[str, str | None]] = set()
    copied: dict[int, int] = {}
    for entry in reversed(found):
        event = entry.event_id, source_of(entry.payload)
        if event in seen:
            copied.setdefault(entry.ring, entry.seq)
        seen.add(event)
    return [entry for entry in found if entry.ring not in copied or entry.seq > copied[entry.ring]]


def _complete_since(unbroken: Mapping[int, Sequence[Entry]], spec: WindowSpec, number: int) -> int:
    """From which offset on nothing that belongs to this ring is missing in any of those where it may lie.

    That is its own, the shared one, and all that the agent does not have any more: others never had its types. Once it
    has all that comes by itself, nothing is missing from its first entry on.
    """
    others = {each.number for each in spec.rings} - {number}
    lost = (found[0].offset for each, found in unbroken.items() if each not in others and found[0].seq > 0)
    since = max(lost, default=0)
    own = unbroken.get(number)
    elsewhere = (entry for each, found in unbroken.items() if each != number for entry in found if entry.ring == number)
    if not own or any(entry.offset > own[0].offset for entry in elsewhere):
        return since
    return min(since, own[0].offset)


def _is_plain(slots: Mapping[bytes, Entry], spec: WindowSpec) -> bool:
    """Whether everything is of the shared ring. Keys of other rings come behind its keys."""
    return not spec.rings and (not slots or ring.number_of(max(slots)) == SHARED)


def _in_place(slots: Mapping[bytes, Entry], spec: WindowSpec) -> list[Entry] | None:
    """The entries in log order, if each lies where it would be written today; else None, and `entries` knows them.

    What a larger ring has left behind, and no ring counts any more, may lie where it is: too far back, or before a gap.
    """
    found: list[Entry] = []
    #: By ring: the number of its next entry, and of the first one that counts at all.
    due: dict[int, int] = {}
    first: dict[int, int] = {}
    capacities = {SHARED: spec.capacity, **{each.number: each.capacity for each in spec.rings}}
    lying = list(slots.items())
    offsets = [entry.offset for _, entry in lying]
    # Newest first.
    for place in sorted(range(len(lying)), key=offsets.__getitem__, reverse=True):
        key, entry = lying[place]
        number, seq = entry.ring, entry.seq
        capacity = capacities[number]
        if number not in due:
            due[number], first[number] = seq, seq - capacity + 1
        if seq == due[number] >= first[number] and key.endswith(ring.SLOT.pack(number, seq % capacity)):
            found.append(entry)
            due[number] = seq - 1
        elif seq >= due[number] >= first[number] or ring.number_of(key) != number:
            return None
        else:
            # Whatever lies before a gap, or too far back.
            due[number] = first[number] - 1
    return _each_once(found[::-1])


def _capacity(spec: WindowSpec, number: int) -> int:
    own = spec.ring(number)
    return _ANY if own is spec and number != SHARED else own.capacity


def _newest_seq(slots: Mapping[bytes, Entry]) -> int:
    return max((entry.seq for entry in slots.values()), default=-1)


def _numbered(found: Iterable[Entry], newest: int) -> list[Entry]:
    """Entries of several rings as one, in log order, without gaps up to this `seq`."""
    in_order = sorted(found, key=lambda entry: entry.offset)
    return [replace(entry, seq=newest - back) for back, entry in enumerate(reversed(in_order))][::-1]
