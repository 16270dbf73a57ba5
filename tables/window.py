"""Window: one agent's rolling memory of one entity, as pure functions over rings of entries.

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
* Types that have a ring of their own are counted there, so that many of one cannot push another out: of each ring the
  last, together in log order.
* A copy (an event whose id and source are in any of the rings) is not added. The same id from another source is another
  event.
* A redelivered offset never moves a ring; if its entry is there, the same entry is written again, because
  the first write may have reached the local disk but not the changelog.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from datetime import UTC, datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Final
from zlib import crc32

from tables.event import source_of, type_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

#: Largest window. A fold and a decision read the whole ring, so this also bounds the cost of one event: with every rule
#: linear, a decision on a full one takes some tens of milliseconds (own choice).
MAX_EVENTS: Final = 1_000
#: The ring of all types that have none of their own.
SHARED: Final = 0
#: Numbers of rings are below this: a slot's key has two bytes for them.
MAX_RINGS: Final = 1 << 16
#: Smallest capacity of a ring of its own: of a tiny one so many entries are slack that it does not hold an entity up
#: (own choice).
_MIN_CAPACITY: Final = 32

#: Stands where nothing may be kept beside an entry.
UNKEPT: Final = object()
#: What stands before the type of an event in JSON without spaces.
_TYPE: Final = b'"type":"'

_offset: Final = attrgetter("offset")


@dataclass(frozen=True, slots=True)
class TypeRing:
    """A ring that only these event types share: the last `events` of them.

    Raises ValueError when `events` is not within 1..MAX_EVENTS.
    """

    types: tuple[str, ...]
    events: int
    #: Where it lies among the rings of an entity. It follows from the types alone, so that other rings may come and go.
    number: int = field(init=False)

    def __post_init__(self) -> None:
        if not 1 <= self.events <= MAX_EVENTS:
            raise ValueError(f"slots of {', '.join(self.types)} must be within 1..{MAX_EVENTS}, got {self.events}")
        number = 1 + crc32(" ".join(sorted(self.types)).encode()) % (MAX_RINGS - 1)
        object.__setattr__(self, "number", number)

    @property
    def capacity(self) -> int:
        """Slots of the ring."""
        return max(_MIN_CAPACITY, _capacity(self.events))


@dataclass(frozen=True, slots=True)
class WindowSpec:
    """How much an agent remembers of one entity: the last `events` events, none older than `age`.

    The types of `rings` are not among these events; each ring has its own last ones.

    Raises ValueError when `events` is not within 1..MAX_EVENTS, `age` is not positive, or the rings have more than
    MAX_EVENTS together, a type in common or the same number.
    """

    events: int
    age: timedelta
    rings: tuple[TypeRing, ...] = ()
    #: The ring of each type that has one of its own.
    _numbers: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 1 <= self.events <= MAX_EVENTS:
            raise ValueError(f"window events must be within 1..{MAX_EVENTS}, got {self.events}")
        if self.age.total_seconds() <= 0:
            raise ValueError(f"window age must be positive, got {self.age}")
        total = sum(ring.events for ring in self.rings)
        if total > MAX_EVENTS:
            raise ValueError(f"slots must be at most {MAX_EVENTS} together, got {total}")
        types = [kind for ring in self.rings for kind in ring.types]
        twice = sorted({kind for kind in types if types.count(kind) > 1})
        if twice:
            raise ValueError(f"slots of {', '.join(twice)} are given twice")
        if len({ring.number for ring in self.rings}) < len(self.rings):
            raise ValueError("two of the slots would lie in one place: group their types otherwise")
        object.__setattr__(self, "_numbers", {kind: ring.number for ring in self.rings for kind in ring.types})

    @property
    def capacity(self) -> int:
        """Slots of the shared ring: the smallest power of two that is at least twice `events`.

        Twice, so that the history of an undecided event survives newer ones (see `slack`). A power of two, so
        that the slots of a smaller and a larger ring nest and a changed setting keeps what is remembered.
        """
        return _capacity(self.events)

    @property
    def slack(self) -> int:
        """How many newer events of an entity may be folded while an older one waits for its decision.

        They may all be of one ring: the ring with the least room says.
        """
        return min([self.capacity - self.events, *(ring.capacity - ring.events for ring in self.rings)]) - 1

    def ring_of(self, payload: bytes) -> int:
        """The number of the ring that an event belongs to."""
        if not self._numbers:
            return SHARED
        # As timelines have it: before anything nested, and nothing escaped in it. All else is read.
        begin = payload.find(_TYPE, 0, payload.find(b"{", 1)) + len(_TYPE)
        if begin < len(_TYPE) or b"\\" in payload:
            return self._numbers.get(type_of(payload) or "", SHARED)
        kind = payload[begin : payload.find(b'"', begin)]
        return self._numbers.get(kind.decode(), SHARED)

    def ring(self, number: int) -> WindowSpec | TypeRing:
        """What has this number: `events` and `capacity` are those of the ring.

        A ring that the window does not have any more is the shared one: there is where its types belong now.
        """
        return next((ring for ring in self.rings if ring.number == number), self)


def _capacity(events: int) -> int:
    return 1 << (2 * events - 1).bit_length()


@dataclass(slots=True)
class Entry:
    """One remembered event. A value: nobody changes it, but for `parsed`.

    It is not frozen for what that costs: a ring that is read makes all of its entries, each four times as dear.
    """

    #: Position in the ring's own count, without gaps: copies do not count. From 0, or from where a rebuild begins.
    seq: int
    #: Offset in the timeline partition of the entity.
    offset: int
    #: When the event says it happened, UTC.
    time: datetime
    event_id: str
    #: The event as it stands in the timeline; looked into for its source alone, and only where ids are equal.
    payload: bytes
    #: The number of the ring it belongs to by its type.
    ring: int = SHARED
    #: What somebody read of the payload and does not want to read again; nothing here looks into it. `UNKEPT` where
    #: nothing may be kept: no history to come holds the entry, and nobody counts what it would take.
    parsed: object = field(default=None, repr=False, compare=False)

    def is_of(self, event_id: str, source: str | None) -> bool:
        """Whether this is the event with this id and source, under whatever offset."""
        return self.event_id == event_id and source_of(self.payload) == source


def fold(
    entries: Sequence[Entry], *, offset: int, time: datetime, event_id: str, payload: bytes, ring: int = SHARED
) -> Entry | None:
    """Return the entry that has to be written for this event, or None when there is nothing to write.

    `entries` are the rings of the entity in log order, before the event, and `ring` is the one it belongs to. An offset
    beyond the newest entry is a new event: the answer is its entry, or None for a copy. Any other offset is a
    redelivery: the answer is the entry it has already, or None when it never got one or has been overwritten since.
    """
    if entries and offset <= entries[-1].offset:
        place = bisect_left(entries, offset, key=_offset)
        return entries[place] if entries[place].offset == offset else None
    same_id = [entry for entry in entries if entry.event_id == event_id]
    if same_id:
        source = source_of(payload)
        if any(entry.is_of(event_id, source) for entry in same_id):
            return None
    newest_seq = next((entry.seq for entry in reversed(entries) if entry.ring == ring), -1)
    return Entry(newest_seq + 1, offset, time, event_id, payload, ring)


def push(entries: list[Entry], entry: Entry, spec: WindowSpec) -> Entry | None:
    """Lay a new entry behind the others, in place; returns the one that leaves the same ring for it, if one does."""
    entries.append(entry)
    place = next(place for place, each in enumerate(entries) if each.ring == entry.ring)
    return entries.pop(place) if entries[place].seq <= entry.seq - spec.ring(entry.ring).capacity else None


def latest(entries: Sequence[Entry], spec: WindowSpec) -> Sequence[Entry]:
    """Return the last `events` entries of each ring, in log order."""
    if len({entry.ring for entry in entries}) == 1:
        newest, events = entries[-1].seq, spec.ring(entries[-1].ring).events
        # One count: the last lie at the end, behind older ones where some were lost.
        last = entries[-events:]
        return last if last[0].seq > newest - events else [entry for entry in last if entry.seq > newest - events]
    newest_seq = {entry.ring: entry.seq for entry in entries}
    first_seq = {ring: seq - spec.ring(ring).events + 1 for ring, seq in newest_seq.items()}
    return [entry for entry in entries if entry.seq >= first_seq[entry.ring]]


def history(
    entries: Sequence[Entry], spec: WindowSpec, *, offset: int, time: datetime, event_id: str, source: str | None
) -> tuple[Entry, ...]:
    """Return what was remembered when the event at `offset` arrived, oldest first.

    `entries` are the rings in log order, at any moment since, as long as at most `spec.slack` newer events
    were folded. The event itself is left out, also where it was remembered under an earlier offset (a copy,
    such as a replayed dead letter). The event does not have to be in the ring: an agent may react to what it
    does not remember. An entry exactly `spec.age` older than `time` is included.
    """
    before = entries[: bisect_left(entries, offset, key=_offset)]
    try:
        oldest = time - spec.age
    except OverflowError:  # older than the calendar: nothing is
        oldest = datetime.min.replace(tzinfo=UTC)
    return tuple(
        [
            entry
            for entry in latest(before, spec)
            if entry.time >= oldest and not (entry.event_id == event_id and entry.is_of(event_id, source))
        ]
    )
