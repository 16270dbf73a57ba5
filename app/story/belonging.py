"""Belonging: which events and decisions are part of a story, and why. Pure.

Around an entity's own events belong what led to them (upwards: the decision that published an event, the event it was
made on, what an event says caused it), what followed from them (downwards: decisions on them, what those published),
what they name, and whatever is of the same correlation. Other consequences of a cause are another story. An id without
its source says which event is meant only where no other event here has it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from app.story.material import EventKey, KeptDecision, Told
from app.story.model import Belonging

#: The fields of a type's data that hold ids of other events, and what those are to it.
Naming = Mapping[str, Mapping[str, str]]


class Belongings:
    """What is known to belong; events and decisions are added as they are found."""

    def __init__(self, naming: Naming) -> None:
        self._naming = naming
        self.events: dict[EventKey, Belonging] = {}
        self.decisions: dict[str, KeptDecision] = {}
        #: Correlations whose members belong, beyond what is linked.
        self.correlations: set[str] = set()
        #: Ids of events that led here or are named, of whatever source.
        self.causes: set[str] = set()
        self.named: set[str] = set()
        #: Events whose consequences belong.
        self._leading: set[EventKey] = set()
        self._leading_ids: set[str] = set()

    @property
    def terms(self) -> set[str]:
        """Every id by which more may be found."""
        return self._leading_ids | self.causes | self.named | {key[1] for key in self.events} | self.shared

    @property
    def shared(self) -> set[str]:
        """Correlations that somebody chose: one that is an event's own id is told by the links from that event."""
        return self.correlations - {event_id for _, event_id in self.events}

    def own(self, event: Told) -> None:
        """An event of the entity itself."""
        self._add(event, "own", leads=True)

    def own_decision(self, decision: KeptDecision) -> None:
        """A decision about the entity itself."""
        self._decided(decision, "own", leads=True)

    def event(self, event: Told) -> bool:
        """Add the event if it belongs; returns whether it does, by more than the time."""
        if event.key in self.events:
            self._add(event, self.events[event.key], leads=event.key in self._leading)
            return True
        if event.causation_id in self._leading_ids:
            self._add(event, "linked", leads=True)
        elif event.correlation_id in self.shared:
            self._add(event, "correlation", leads=False)
        elif event.key[1] in self.causes:
            self._add(event, "linked", leads=False)
        elif event.key[1] in self.named:
            self._add(event, "named", leads=False)
        else:
            return False
        return True

    def decision(self, decision: KeptDecision) -> bool:
        """Add the decision if it belongs, with its event and its messages; returns whether it does."""
        if decision.id in self.decisions:
            return True
        if decision.event in self._leading:
            self._decided(decision, "linked", leads=True)
        elif any((decision.source, message.id) in self.events for message in decision.messages):
            self._decided(decision, "linked", leads=False)
        elif decision.correlation_id in self.shared:
            self._decided(decision, "correlation", leads=False)
        else:
            return False
        return True

    def _decided(self, decision: KeptDecision, belongs: Belonging, *, leads: bool) -> None:
        self.decisions[decision.id] = decision
        self._note(decision.event, belongs, leads=leads)
        if decision.correlation_id is not None and belongs != "linked":
            self.correlations.add(decision.correlation_id)
        for message in decision.messages:
            if message.event is not None and (leads or message.event.key in self.events):
                self._add(message.event, self.events.get(message.event.key, "linked"), leads=leads)

    def _add(self, event: Told, belongs: Belonging, *, leads: bool) -> None:
        self._note(event.key, belongs, leads=leads)
        if event.causation_id is not None:
            self.causes.add(event.causation_id)
        if belongs == "own" and event.correlation_id is not None:
            self.correlations.add(event.correlation_id)
        self.named.update(event_id for _, event_id in named_in(event, self._naming))

    def _note(self, key: EventKey, belongs: Belonging, *, leads: bool) -> None:
        if self.events.get(key) != "own":
            self.events[key] = belongs
        if leads:
            self._leading.add(key)
            self._leading_ids.add(key[1])


def named_in(event: Told, naming: Naming) -> Iterable[tuple[str, str]]:
    """What the event calls others, and their ids."""
    for field, role in naming.get(event.type, {}).items():
        value = (event.data or {}).get(field)
        for each in value if isinstance(value, list) else (value,):
            if isinstance(each, str) and each:
                yield role, each


def by_id(keys: Iterable[EventKey]) -> Mapping[str, Sequence[EventKey]]:
    """Events by their id alone."""
    found: defaultdict[str, list[EventKey]] = defaultdict(list)
    for key in keys:
        found[key[1]].append(key)
    return found
