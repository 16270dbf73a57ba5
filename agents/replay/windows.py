"""Windows of a replay: every entity's ring for every agent, exact, in bounded memory over one RocksDB directory.

The rings touched last are kept decoded. What is new is written only by `commit`, in one batch together with whatever
has to agree with it, such as how far the replay has come: after a crash the directory is as of the last commit. So a
directory that is opened again never knows more than it says. It fails as RocksDB does when the disk is full, and with
`StateInUse` while another process has the directory open.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, cast

import rocksdict

from tables import ring
from tables.errors import Fatal
from tables.rings import Rings
from tables.store import StoreOptions
from tables.window import Entry, WindowSpec

#: Decoded rings kept that are written already, and those that are not, in bytes (own choice). Both are estimates, with
#: what is parsed beside the entries.
CLEAN_BYTES: Final = 96 * 1024**2
DIRTY_BYTES: Final = 96 * 1024**2
#: What a note takes until it is written.
_NOTE_BYTES: Final = 250
#: No ring's key starts so: it would be that of an entity without a name.
_NOTES: Final = b"\0\0"

#: Agent, partition, entity.
Place = tuple[str, int, str]


class StateInUse(Fatal):
    """Another process has this directory open."""


@dataclass(slots=True)
class _Kept:
    rings: Rings
    spec: WindowSpec
    #: Offset of the newest entry that is in RocksDB; -1 when none is.
    stored_offset: int

    @property
    def size(self) -> int:
        return self.rings.size_bytes


class ReplayWindows:
    """The rings of one replay in `directory`, which is made if it does not exist.

    With `durable` a commit survives the process, however it ends; without, the directory is only more memory.
    """

    def __init__(
        self, directory: Path, *, durable: bool, clean_bytes: int = CLEAN_BYTES, dirty_bytes: int = DIRTY_BYTES
    ) -> None:
        try:
            self._db = StoreOptions().open(directory)
        except Exception as error:  # rocksdict raises nothing more precise
            if "lock" not in str(error).lower():
                raise
            raise StateInUse(f"{directory} is open in another process") from error
        self._options = rocksdict.WriteOptions()
        self._options.disable_wal = not durable  # type: ignore[method-assign, assignment]  # an attribute
        self._clean_bytes = clean_bytes
        self._dirty_bytes = dirty_bytes
        self._clean: OrderedDict[Place, _Kept] = OrderedDict()
        self._dirty: dict[Place, _Kept] = {}
        self._notes: dict[bytes, bytes] = {}
        self._clean_size = 0
        self._dirty_size = 0

    def close(self) -> None:
        """Close the directory; what is not committed is forgotten."""
        self._db.close()

    @property
    def is_full(self) -> bool:
        """Whether it is time to commit."""
        return self._dirty_size >= self._dirty_bytes

    def read(self, place: Place, spec: WindowSpec) -> Sequence[Entry]:
        """The rings in log order, up to their capacity. It changes with the next fold."""
        return self._ring(place, spec).rings.entries

    def fold(
        self, place: Place, spec: WindowSpec, *, offset: int, time: datetime, event_id: str, payload: bytes
    ) -> Sequence[Entry]:
        """Remember an event by the rules of `tables.window.fold`; returns the rings. It changes with the next fold."""
        found = self._ring(place, spec)
        entries, before = found.rings.entries, found.size
        newest = entries[-1].offset if entries else -1
        found.rings.fold(offset=offset, time=time, event_id=event_id, payload=payload)
        entries = found.rings.entries
        if not entries or entries[-1].offset == newest:
            return entries
        if place in self._dirty:
            self._dirty_size -= before
        else:
            self._clean.pop(place)
            self._clean_size -= before
            self._dirty[place] = found
        self._dirty_size += found.size
        return entries

    def note(self, key: bytes, value: bytes = b"") -> None:
        """Keep a value beside the rings."""
        self._notes[key] = value
        self._dirty_size += _NOTE_BYTES

    def noted(self, key: bytes) -> bytes | None:
        """The value kept under a key."""
        if key in self._notes:
            return self._notes[key]
        found: bytes | None = self._db.get(_NOTES + key)
        return found

    def commit(self) -> None:
        """Write everything new in one batch."""
        batch = rocksdict.WriteBatch(raw_mode=True)
        for place, each in self._dirty.items():
            entity = _entity(place)
            for entry in reversed(each.rings.entries):
                if entry.offset <= each.stored_offset:
                    break
                slot = entry.seq % each.spec.ring(entry.ring).capacity
                batch.put(ring.key(entity, slot, entry.ring), ring.encode(entry))
            each.stored_offset = each.rings.entries[-1].offset
            self._clean[place] = each
            self._clean_size += each.size
        for key, value in self._notes.items():
            batch.put(_NOTES + key, value)
        self._db.write(batch, self._options)
        self._dirty, self._notes, self._dirty_size = {}, {}, 0
        self._forget()

    def _ring(self, place: Place, spec: WindowSpec) -> _Kept:
        found = self._dirty.get(place)
        if found is not None:
            return found
        found = self._clean.get(place)
        if found is not None:
            self._clean.move_to_end(place)
            return found
        rings = self._stored(place, spec)
        newest = rings.entries[-1].offset if rings.entries else -1
        found = self._clean[place] = _Kept(rings, spec, newest)
        self._clean_size += found.size
        self._forget()
        return found

    def _stored(self, place: Place, spec: WindowSpec) -> Rings:
        entity = _entity(place)
        prefix = ring.prefix(entity)
        options = rocksdict.ReadOptions()
        # The slots of an entity come behind its prefix, four bytes each.
        options.set_iterate_upper_bound(prefix + b"\xff" * 5)
        slots = self._db.items(from_key=prefix, read_opt=options)
        found = cast("list[tuple[bytes, bytes]]", list(slots))  # raw mode knows bytes only
        return Rings.read(entity, found, spec)

    def _forget(self) -> None:
        """Drop the rings read longest ago; the newest stays, somebody works with it."""
        while self._clean_size > self._clean_bytes and len(self._clean) > 1:
            _, dropped = self._clean.popitem(last=False)
            self._clean_size -= dropped.size


def _entity(place: Place) -> str:
    # Neither names nor entity ids hold a NUL.
    agent, partition, entity = place
    return f"{agent}\0{partition}\0{entity}"
