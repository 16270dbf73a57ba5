"""History: what an agent knows when it decides, an immutable snapshot of a window as of one event.

Nothing later than the event is in it, and the event itself is not. Rules read it typed (`history.of(...)`); reading
is cheap when the same events are read again for the entity's next decision.
"""

from __future__ import annotations

import hashlib
import struct
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Generic, TypeVar

from agents.model.event import DomainEvent
from agents.model.types import Received, Types
from tables.event import Event, parse
from tables.window import UNKEPT, Entry

T = TypeVar("T", bound=DomainEvent)
M = TypeVar("M")

#: Source and id of an event.
EventKey = tuple[str, str]

#: An offset and the length of a payload, big-endian, as they stand in a digest.
_POSITION: Final = struct.Struct(">QI").pack


def agent_source(name: str) -> str:
    """The source of what the agent of this name publishes."""
    return f"urn:innervate:agent:{name}"


@dataclass(frozen=True, slots=True)
class Past(Generic[T]):
    """A remembered event: its data, and what its envelope says about it."""

    data: T
    #: When it happened, UTC.
    at: datetime
    #: What evidence is given by; another source may have the same.
    id: str
    #: The id of the event that caused it.
    causationid: str | None = None
    #: Who produced it.
    source: str = ""

    @property
    def key(self) -> EventKey:
        """Source and id: what tells it from every other."""
        return self.source, self.id


@dataclass(frozen=True, slots=True)
class Trace:
    """Where a remembered event stands, without its data."""

    id: str
    #: When it happened, UTC.
    at: datetime
    source: str

    @property
    def key(self) -> EventKey:
        """Source and id: what tells it from every other."""
        return self.source, self.id


def trace(past: Past[T]) -> Trace:
    """Where a remembered event stands."""
    return Trace(past.id, past.at, past.source)


def past_of(event: Event, data: T) -> Past[T]:
    """An event as a remembered one."""
    return Past(data, event.time, event.id, event.causationid, event.source)


def those_of(kind: type[T], pasts: Sequence[Past[Any]]) -> Sequence[Past[T]]:
    """Those of one type, in their order."""
    # Of the few types there are each is asked once: pydantic's `isinstance` takes longer than all the rest.
    fitting = {each for each in {type(past.data) for past in pasts} if issubclass(each, kind)}
    return [past for past in pasts if type(past.data) in fitting]


@dataclass(slots=True)
class Known:
    """A remembered event as it was read: kept beside its entry, so that nobody reads it again."""

    #: Who read it.
    types: Types
    key: EventKey
    #: None where nobody here knows the type.
    past: Past[DomainEvent] | None
    #: Who made something of it last (see `History.made`), and what that is.
    maker: Callable[[Past[Any]], object] | None = None
    made: object = None

    def make(self, maker: Callable[[Past[Any]], object]) -> object:
        """What this makes of the event; kept for whoever asks next."""
        self.made = None if self.past is None else maker(self.past)
        self.maker = maker
        return self.made


def keep(entry: Entry, received: Received, types: Types) -> None:
    """Keep what was received beside its entry."""
    event, data = received.event, received.data
    past = None if data is None else Past(data, entry.time, entry.event_id, event.causationid, sys.intern(event.source))
    entry.parsed = Known(types, event.key, past)


def _known(entry: Entry, types: Types) -> Known:
    kept = entry.parsed
    source, causationid, data = types.recall(entry.payload)
    # Few sources, many events.
    source = sys.intern(source)
    past = None if data is None else Past(data, entry.time, entry.event_id, causationid, source)
    known = Known(types, (source, entry.event_id), past)
    if kept is not UNKEPT:
        entry.parsed = known
    return known


@dataclass(frozen=True, slots=True)
class History:
    """The window of one entity as of the event received, oldest first."""

    #: The event decided on, with its data.
    received: Received
    entries: Sequence[Entry]
    #: What reads the entries.
    types: Types
    #: The entries as they were read, once anybody asks, and what was found of each type.
    _read: list[Sequence[Known]] = field(default_factory=list, init=False, repr=False, compare=False)
    _found: dict[type[DomainEvent], Sequence[Any]] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def event(self) -> Event:
        """The event decided on."""
        return self.received.event

    @property
    def at(self) -> datetime:
        """When the event decided on happened: the only "now" a rule may know."""
        return self.received.event.time

    def events(self) -> Sequence[Event]:
        """Every remembered event, typed or not, in log order; each is read anew."""
        return [parse(entry.payload, ()) for entry in self.entries]

    def of(self, kind: type[T]) -> Sequence[Past[T]]:
        """The remembered events of one type, in log order; `DomainEvent` gives all whose type is known."""
        found = self._found.get(kind)
        if found is None:
            found = those_of(kind, [known.past for known in self._known() if known.past is not None])
            self._found[kind] = found
        return found

    def made(self, maker: Callable[[Past[Any]], M | None]) -> Sequence[M]:
        """What a function makes of each remembered event whose type is known, in log order; None is left out.

        It is called once for each event, as long as that is in memory, and not again for each decision; so `maker` has
        to be the same function every time, what it returns must follow from the event alone, and nobody may change it.
        """
        found: list[Any] = [known.made if known.maker is maker else known.make(maker) for known in self._known()]
        return [each for each in found if each is not None]

    def placed(self, kind: type[T]) -> Iterator[tuple[int, Past[T]]]:
        """The same, each with its place among the entries."""
        for place, known in enumerate(self._known()):
            past: Any = known.past
            if past is not None and isinstance(past.data, kind):
                yield place, past

    def _known(self) -> Sequence[Known]:
        if not self._read:
            types = self.types
            # Looked at here: a call for each entry takes longer than the look.
            self._read.append(
                [
                    kept if type(kept := entry.parsed) is Known and kept.types is types else _known(entry, types)
                    for entry in self.entries
                ]
            )
        return self._read[0]

    def trusts(self, source: str, *agents: str) -> bool:
        """Whether a verdict of this source counts as one of these agents; see the setting `TRUSTED_SOURCES`."""
        return source in self.types.trusted or source in map(agent_source, agents)

    def before(self, place: int) -> History:
        """The same without the entries from this place on: what was known when the entry there came."""
        return History(self.received, self.entries[:place], self.types)

    def named(self, name: str) -> Past[DomainEvent] | None:
        """The remembered event with this name (see `names`), if its type is known; None where several have it."""
        return self.by_name().get(name)

    def by_name(self) -> Mapping[str, Past[DomainEvent]]:
        """The remembered events whose type is known, by their names; none that shares its name."""
        names = self.names()
        counts = Counter(names.values())
        return {names[past.key]: past for past in self.of(DomainEvent) if counts[names[past.key]] == 1}

    def names(self) -> Mapping[EventKey, str]:
        """How each event, the one decided on included, is named where it has to be told from the others.

        By its id, as `causationid` and evidence do; by id and source where several sources have the id. So the bare id
        is the name of none of those: what names a cause by it does not say which.
        """
        keys = dict.fromkeys([self.event.key, *self._keys()])
        ids = Counter(event_id for _, event_id in keys)
        return {
            (source, event_id): event_id if ids[event_id] == 1 else f"{event_id} of {source}"
            for source, event_id in keys
        }

    def is_ambiguous(self, event_id: str) -> bool:
        """Whether several sources have an event with this id here."""
        sources = {source for source, its_id in [self.event.key, *self._keys()] if its_id == event_id}
        return len(sources) > 1

    def _keys(self) -> Sequence[EventKey]:
        return [known.key for known in self._known()]

    def recent(self, kind: type[T], age: timedelta) -> Sequence[Past[T]]:
        """Those of one type that happened no longer than `age` before the event decided on, and not after it.

        The log may hold events that happened later than this one: it arrived late.
        """
        return [past for past in self.of(kind) if timedelta(0) <= self.at - past.at <= age]

    def digest(self) -> str:
        """SHA-256 over offsets and events: equal digests, equal histories."""
        return digest_of([(entry.offset, entry.payload) for entry in self.entries])


def digest_of(events: Iterable[tuple[int, bytes]]) -> str:
    """The digest of the history that consists of these events, given by offset and payload."""
    # In one piece: a call for each part costs more than the hash itself.
    parts = [part for offset, payload in events for part in (_POSITION(offset, len(payload)), payload)]
    return hashlib.sha256(b"".join(parts)).hexdigest()
