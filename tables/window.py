"""Window: one agent's rolling memory of one entity, as pure functions over a ring of entries.

A history is exact: it is a function of the events of the entity up to the one decided on, in log order, and
computing it again later gives the same entries. It fails, by being too short, only when more than `slack`
newer events of the entity were folded in the meantime; whoever folds keeps to that bound.

The rules, each a function of the log alone:

* Order is the order of the log (offsets), never of the clock. A late event takes its place where it arrived;
  an event from the future stays one entry among others. Nothing is refused for its time: a single wrong clock
  would otherwise shut every later event out for good.
* A history holds those of the last `events` entries that are no older than `age`, seen from the event decided
  on. Count first, age second: counting only the young entries would reach further back than the ring safely
  holds.
* A copy (an event whose id and source are in the ring) is not added. The same id from another source is another event.
* A redelivered offset never moves the ring; if its entry is there, the same entry is written again, because
  the first write may have reached the local disk but not the changelog.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tables.event import source_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

#: Largest window. A fold and a decision read the whole ring, so this also bounds the cost of one event: with every rule
#: linear, a decision on a full one takes some tens of milliseconds (own choice).
MAX_EVENTS: Final = 1_000


@dataclass(frozen=True, slots=True)
class WindowSpec:
    """How much an agent remembers of one entity: the last `events` events, none older than `age`.

    Raises ValueError when `events` is not within 1..MAX_EVENTS or `age` is not positive.
    """

    events: int
    age: timedelta

    def __post_init__(self) -> None:
        if not 1 <= self.events <= MAX_EVENTS:
            raise ValueError(f"window events must be within 1..{MAX_EVENTS}, got {self.events}")
        if self.age.total_seconds() <= 0:
            raise ValueError(f"window age must be positive, got {self.age}")

    @property
    def capacity(self) -> int:
        """Slots of the ring: the smallest power of two that is at least twice `events`.

        Twice, so that the history of an undecided event survives newer ones (see `slack`). A power of two, so
        that the slots of a smaller and a larger ring nest and a changed setting keeps what is remembered.
        """
        return 1 << (2 * self.events - 1).bit_length()

    @property
    def slack(self) -> int:
        """How many newer events of an entity may be folded while an older one waits for its decision."""
        return self.capacity - self.events - 1


@dataclass(frozen=True, slots=True)
class Entry:
    """One remembered event."""

    #: Position in the window's own count, without gaps: copies do not count. From 0, or from where a rebuild begins.
    seq: int
    #: Offset in the timeline partition of the entity.
    offset: int
    #: When the event says it happened, UTC.
    time: datetime
    event_id: str
    #: The event as it stands in the timeline; looked into for its source alone, and only where ids are equal.
    payload: bytes

    def is_of(self, event_id: str, source: str | None) -> bool:
        """Whether this is the event with this id and source, under whatever offset."""
        return self.event_id == event_id and source_of(self.payload) == source


def fold(entries: Sequence[Entry], *, offset: int, time: datetime, event_id: str, payload: bytes) -> Entry | None:
    """Return the entry that has to be written for this event, or None when there is nothing to write.

    `entries` is the ring of the entity in `seq` order, before the event. An offset beyond the newest entry is
    a new event: the answer is its entry, or None for a copy. Any other offset is a redelivery: the answer is
    the entry it has already, or None when it never got one or has been overwritten since.
    """
    if not entries:
        return Entry(0, offset, time, event_id, payload)
    newest = entries[-1]
    if offset <= newest.offset:
        return next((entry for entry in entries if entry.offset == offset), None)
    same_id = [entry for entry in entries if entry.event_id == event_id]
    if same_id:
        source = source_of(payload)
        if any(entry.is_of(event_id, source) for entry in same_id):
            return None
    return Entry(newest.seq + 1, offset, time, event_id, payload)


def history(
    entries: Sequence[Entry], spec: WindowSpec, *, offset: int, time: datetime, event_id: str, source: str | None
) -> tuple[Entry, ...]:
    """Return what was remembered when the event at `offset` arrived, oldest first.

    `entries` is the ring in `seq` order, at any moment since, as long as at most `spec.slack` newer events
    were folded. The event itself is left out, also where it was remembered under an earlier offset (a copy,
    such as a replayed dead letter). The event does not have to be in the ring: an agent may react to what it
    does not remember. An entry exactly `spec.age` older than `time` is included.
    """
    before = [entry for entry in entries if entry.offset < offset]
    if not before:
        return ()
    first_seq = before[-1].seq - spec.events + 1
    return tuple(
        entry
        for entry in before
        if entry.seq >= first_seq and time - entry.time <= spec.age and not entry.is_of(event_id, source)
    )
