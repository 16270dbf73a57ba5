"""Lapse: which windows nobody will see anything of any more, and how their removal stands in a changelog.

Time is that of the stream: when records were written to the timeline, as far as they are decided on. A window has
lapsed when every entry of it came, and happened, before an instant that lies the window's age and `late` behind that.
No event to come sees such an entry, unless it reaches the timeline more than `late` after it happened. Nothing lapses
in a backlog, whatever times its events have: its records are new, or the stream's own time is as old as they are.

A removal says before which offset of the timeline the entries lie that it is meant for. A worker that was frozen in
between may write it late, behind the entry of a newer event in the same slot: that one stays, and whoever recovers it
writes it again, because Kafka would drop it for the removal.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from tables import ring

if TYPE_CHECKING:
    import rocksdict

    from tables.window import WindowSpec

#: The header of a removal with the offset; a removal without it is meant for whatever is there.
_BEFORE: Final = "before"


@dataclass(frozen=True, slots=True)
class Lapse:
    """What lies before both has lapsed."""

    #: An offset of the timeline.
    offset: int
    #: When events happened, UTC.
    time: datetime

    @property
    def headers(self) -> list[tuple[str, bytes]]:
        """The headers of a removal; aiokafka takes nothing but a list."""
        return [(_BEFORE, b"%d" % self.offset)]

    def holds(self, value: bytes) -> bool:
        """Whether the entry of this value has lapsed. Raises RingCorrupt when it is none."""
        offset, time = ring.place_of(value)
        return offset < self.offset and time < self.time


@dataclass(frozen=True, slots=True)
class LapsedWindow:
    """The slots of an entity whose entries have all lapsed."""

    entity: str
    keys: Sequence[bytes]


def lapsed_before(spec: WindowSpec, stream_time: datetime, late: timedelta) -> datetime | None:
    """Before when something must have come and happened to have lapsed; None where a window has no limit by age.

    `late` is how long after it happened an event may reach its timeline.
    """
    try:
        since = stream_time - spec.age - late
    except OverflowError:  # before the calendar begins
        return None
    return since if since > datetime(1970, 1, 1, tzinfo=UTC) else None


def outlives(value: bytes, headers: Sequence[tuple[str, bytes]]) -> bool:
    """Whether a removal with these headers is not meant for the entry of this value, but for an older one."""
    before = next((said for name, said in headers if name == _BEFORE), None)
    return before is not None and before.isdigit() and ring.place_of(value)[0] >= int(before)


def find(
    slots: rocksdict.RdictIter, lapse: Lapse, *, beside: Collection[bytes], most_slots: int
) -> Sequence[LapsedWindow]:
    """The lapsed windows from where the iterator stands, which stands where to go on afterwards.

    Looks at `most_slots` and the rest of the last window; of one that has not lapsed at no more than it needs to see
    that. `beside` are keys that are of no window. Raises RingCorrupt when an entry cannot be read.
    """
    found: list[LapsedWindow] = []
    looked_at = 0
    while slots.valid() and looked_at < most_slots:
        first = slots.key()
        if first in beside:
            slots.next()
            continue
        prefix, keys = ring.prefix_of(first), []
        while slots.valid() and ring.prefix_of(key := slots.key()) == prefix:
            looked_at += 1
            if not lapse.holds(slots.value()):
                slots.seek(ring.end_of(prefix))
                break
            keys.append(key)
            slots.next()
        else:
            found.append(LapsedWindow(ring.entity_of(first), keys))
    return found
