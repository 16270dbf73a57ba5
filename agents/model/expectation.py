"""Expectation: what has to follow an event of an entity, and until when.

    Expectation(name="tried_again", after=(BuildFailed,), until=(BuildStarted,), within=timedelta(hours=1))

Times are those of the events, so that a backlog that is read late is judged as it would have been at the time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from agents.model.errors import DecisionFailed
from agents.model.event import DomainEvent, event_types
from agents.model.history import History, Past

#: Names become part of ids and metric labels.
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """After one of some events, one of others is awaited on the same entity.

    What ends it counts when it happened no earlier than what it follows, or came after it in the timeline. Raises
    ValueError or TypeError when something of it is not usable.
    """

    #: Lower-case letters, digits and _; one of its kind in its agent.
    name: str
    #: What it begins with, once for each such event; the agent reacts to these and remembers them.
    after: Sequence[type[DomainEvent]]
    #: What is awaited; the agent remembers these.
    until: Sequence[type[DomainEvent]]
    #: How long after what it began with that has to happen.
    within: timedelta
    #: After these nothing is awaited any more; the agent remembers these.
    void: Sequence[type[DomainEvent]] = ()
    #: Whether one of these does so, by all that is remembered up to it, itself included; without it each does. Pure.
    void_if: Callable[[DomainEvent, History], bool] | None = None
    #: Outcomes of the decision on what it would begin with, after which nothing is awaited.
    settled: Collection[str] = ()

    def __post_init__(self) -> None:
        where = f"expectation {self.name!r}"
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise ValueError(f"{where}: expected a name of lower-case letters, digits and _, at most 40")
        if not isinstance(self.within, timedelta):
            raise TypeError(f"{where}: within must be a timedelta, got {type(self.within).__name__}")
        if self.within <= timedelta(0):
            raise ValueError(f"{where}: within must be longer than nothing")
        for field in ("after", "until", "void"):
            object.__setattr__(self, field, event_types(f"{where}: {field}", getattr(self, field)))
        if isinstance(self.settled, str) or not all(isinstance(each, str) for each in self.settled):
            raise TypeError(f"{where}: settled must be outcomes")
        object.__setattr__(self, "settled", frozenset(self.settled))
        if self.void_if is not None and not callable(self.void_if):
            raise TypeError(f"{where}: void_if must be a function, got {type(self.void_if).__name__}")
        if not self.after or not self.until:
            raise ValueError(f"{where}: expected events in after and in until")
        if both := [one.__name__ for one in self.until if one in self.after or one in self.void]:
            raise ValueError(f"{where}: {both[0]} is awaited and something else as well")
        if both := [one.__name__ for one in self.void if one in self.after]:
            raise ValueError(f"{where}: {both[0]} begins and ends it")

    def is_ended(self, past: Past[DomainEvent], known: History, place: int) -> bool:
        """Whether the event at this place among those known ends it, whichever way. Raises `DecisionFailed`."""
        if isinstance(past.data, tuple(self.until)):
            return True
        if not isinstance(past.data, tuple(self.void)):
            return False
        try:
            return self.void_if is None or self.void_if(past.data, known.before(place + 1))
        except Exception as error:
            # A domain's own. What it said may hold what an event says.
            raise DecisionFailed(f"expectation {self.name}: void_if: {type(error).__name__}") from error


def checked(
    agent: str, given: object, *, age: timedelta, remembers: Collection[str], reacts_to: Collection[str]
) -> tuple[Expectation, ...]:
    """The expectations of an agent whose windows hold so much. Raises TypeError or ValueError."""
    if isinstance(given, str) or not isinstance(given, Sequence) or not all(isinstance(e, Expectation) for e in given):
        raise TypeError(f"agent {agent}: expects must be a sequence of expectations")
    names = [one.name for one in given]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"agent {agent}: two expectations are called {twice[0]}")
    for one in given:
        where = f"agent {agent}: expectation {one.name}"
        if others := [kind.__name__ for kind in one.after if kind.__name__ not in reacts_to]:
            raise ValueError(f"{where}: it begins with {others[0]}, which the agent does not react to")
        needed = (*one.after, *one.until, *one.void)
        if others := [kind.__name__ for kind in needed if kind.__name__ not in remembers]:
            raise ValueError(f"{where}: the agent does not remember {others[0]}")
        if one.within >= age:
            raise ValueError(f"{where}: its window must be older than {one.within}")
    return tuple(given)
