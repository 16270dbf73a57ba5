"""Ring: how the entries of one entity lie in a key-value store, one slot each. `tables.rings` puts rings together.

Every entry has its own key, so remembering an event is one small write and never a list written anew. All
slots of an entity, and no others, share a prefix: the length stands first, so entity "a" is no prefix of
entity "ab". A value that was not written by this layout raises RingCorrupt; it is never guessed at.

    key    length of the entity id in UTF-8 (u16) | entity id | ring (u16) | slot (u16), slot = seq mod capacity
    value  version (u8) | seq (u64) | offset (u64) | time (i64) | length of the event id in UTF-8 (u16)
           | event id | payload

Numbers are big-endian, time is in microseconds since 1970-01-01 UTC.
"""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import TYPE_CHECKING, Final

from tables.errors import Fatal
from tables.window import SHARED, Entry

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION: Final = 1

_LENGTH: Final = struct.Struct(">H")
#: How a key ends: the number of the ring and the slot.
SLOT: Final = struct.Struct(">HH")
_HEADER: Final = struct.Struct(">BQQqH")
_HEADER_SIZE: Final = _HEADER.size
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_MAX_LENGTH: Final = 0xFFFF


class RingCorrupt(Fatal):
    """A stored value is not an entry of this layout."""


def prefix(entity: str) -> bytes:
    """Return the bytes that open every key of this entity and no key of another.

    Raises ValueError when the id is longer than 65,535 bytes or cannot be written in UTF-8.
    """
    return _sized(entity, "entity id")


def key(entity: str, slot: int, number: int = SHARED) -> bytes:
    """Return the key of one slot of the ring with this number; both are below 2**16."""
    return prefix(entity) + SLOT.pack(number, slot)


def number_of(slot_key: bytes) -> int:
    """Return the number of the ring that a key belongs to."""
    number, _ = SLOT.unpack_from(slot_key, len(slot_key) - SLOT.size)
    return int(number)


def entity_of(slot_key: bytes) -> str:
    """Return the entity id of a key. Raises RingCorrupt when `key` cannot have made it."""
    try:
        (length,) = _LENGTH.unpack_from(slot_key)
        entity = slot_key[_LENGTH.size : -SLOT.size].decode()
    except (struct.error, UnicodeDecodeError) as exc:
        raise RingCorrupt(f"ring key of {len(slot_key)} bytes cannot be read: {exc}") from exc
    if len(slot_key) != _LENGTH.size + length + SLOT.size:
        raise RingCorrupt(f"ring key has {len(slot_key)} bytes, its entity id {length}")
    return entity


def prefix_of(slot_key: bytes) -> bytes:
    """Return what opens every key of the entity that this key is of."""
    return slot_key[: -SLOT.size]


def end_of(key_prefix: bytes) -> bytes:
    """Return the first key behind all keys that start with this; it must not be empty, nor all of 0xff."""
    stem = key_prefix.rstrip(b"\xff")
    return stem[:-1] + bytes([stem[-1] + 1])


def encode(entry: Entry) -> bytes:
    """Return the value for an entry.

    Raises ValueError when its event id is longer than 65,535 bytes or its time has no zone.
    """
    if entry.time.tzinfo is None:
        raise ValueError(f"time of event {entry.event_id} must have a zone")
    micros = (entry.time - _EPOCH) // _MICROSECOND
    event_id = _sized(entry.event_id, "event id")[_LENGTH.size :]
    header = _HEADER.pack(VERSION, entry.seq, entry.offset, micros, len(event_id))
    return header + event_id + entry.payload


def decode(value: bytes) -> Entry:
    """Return the entry of a value. Raises RingCorrupt when `encode` cannot have written it."""
    try:
        version, seq, offset, micros, length = _HEADER.unpack_from(value)
        if version != VERSION:
            raise RingCorrupt(f"ring value has version {version}, expected {VERSION}")
        end = _HEADER_SIZE + length
        if end > len(value):
            raise RingCorrupt(f"ring value ends after {len(value)} bytes, within its event id")
        event_id = value[_HEADER_SIZE:end].decode()
        time = _EPOCH + timedelta(0, 0, micros)
    except (struct.error, UnicodeDecodeError, OverflowError) as exc:
        raise RingCorrupt(f"ring value of {len(value)} bytes cannot be read: {exc}") from exc
    return Entry(seq, offset, time, event_id, value[end:])


def seq_of(value: bytes) -> int:
    """Return the `seq` of a value without reading the rest. Raises RingCorrupt when it is too short."""
    try:
        _, seq, *_ = _HEADER.unpack_from(value)
    except struct.error as exc:
        raise RingCorrupt(f"ring value of {len(value)} bytes cannot be read: {exc}") from exc
    return int(seq)


def place_of(value: bytes) -> tuple[int, datetime]:
    """Return offset and time of a value without reading the rest. Raises RingCorrupt when they cannot be read."""
    try:
        _, _, offset, micros, _ = _HEADER.unpack_from(value)
        time = _EPOCH + timedelta(0, 0, micros)
    except (struct.error, OverflowError) as exc:
        raise RingCorrupt(f"ring value of {len(value)} bytes cannot be read: {exc}") from exc
    return int(offset), time


def check(slot_key: bytes | None, value: bytes | None) -> Entry | None:
    """Return the entry of a changelog record; raises RingCorrupt when it cannot be one of this layout.

    A removal (None) is fine whatever key it has: it takes away what should never have been there.
    """
    if slot_key is None:
        raise RingCorrupt("ring key is null")
    if value is None:
        return None
    entity_of(slot_key)
    return decode(value)


def entries(slots: Mapping[bytes, Entry], capacity: int) -> list[Entry]:
    """Return one ring in `seq` order from its slots, whatever capacity they were written with.

    The last `capacity` entries, as far as they follow each other without a gap. Slots left over from a larger ring are
    passed over: what lay between them and the newest a smaller one may have overwritten.
    """
    by_seq = {entry.seq: entry for entry in slots.values()}
    newest = max(by_seq, default=0)
    found = takewhile(lambda entry: entry is not None, (by_seq.get(newest - back) for back in range(capacity)))
    return [entry for entry in found if entry is not None][::-1]


def writes(entity: str, slots: Mapping[bytes, Entry], entry: Entry, capacity: int) -> list[tuple[bytes, Entry]]:
    """Return the slots to write for an entry, in order; one, but for a ring that has grown.

    It goes to the ring it belongs to. In one that was smaller before, the slot can hold an entry the larger ring still
    needs, whose own slot can hold another one, and so on. Each moves to its own slot before that is taken, so a crash
    between two puts loses nothing.
    """
    chain: list[tuple[bytes, Entry]] = []
    moving: Entry | None = entry
    # Of the last `capacity` entries no two have one slot, so the chain comes to an end.
    while moving is not None and (not chain or entry.seq - capacity < moving.seq < entry.seq):
        slot = key(entity, moving.seq % capacity, entry.ring)
        found = slots.get(slot)
        chain.append((slot, moving))
        moving = None if found is not None and found.seq == moving.seq else found
    return chain[::-1]


def _sized(text: str, what: str) -> bytes:
    """Return the UTF-8 bytes of a text behind their length."""
    raw = text.encode()
    if len(raw) > _MAX_LENGTH:
        raise ValueError(f"{what} has {len(raw)} bytes, at most {_MAX_LENGTH} fit")
    return _LENGTH.pack(len(raw)) + raw
