"""Expectations: which ones begin with an event, and what became of one, by what the agent remembers of its entity.

What it remembers tells more than a note that somebody would have to take of each event that ends one: it is the same
after a crash, a rebalance and an upgrade, whatever comes twice or late. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from agents.engine.record import missed_message
from agents.model.agent import Agent
from agents.model.event import DomainEvent
from agents.model.expectation import Expectation
from agents.model.history import History, Past
from agents.model.miss import Miss
from agents.model.types import Types
from outbox.records import Expected, Message
from tables.event import Event, parse
from tables.window import Entry

#: met: something ended it in time, be it what was awaited or what makes it void. The others came after it was due.
#: unknown: what it began with is remembered no more, so neither is all that came since.
State = Literal["met", "missed", "met_late", "void_late", "unknown"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Begun:
    """An expectation that began, on one entity."""

    entity_id: str
    event_source: str
    event_id: str
    event_at: datetime
    due_at: datetime


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one."""

    state: State
    #: What ended it after it was due.
    ended_by: Past[DomainEvent] | None = None
    #: What it began with, where that matters: it was missed.
    begun_by: Event | None = None


#: What was due so long before it is decided is not expected any more (own choice: longer than an outage of ours).
HISTORY: Final = timedelta(days=7)

UNKNOWN: Final = Outcome("unknown")


def expected(agent: Agent, history: History, outcome: str, *, decided_at: datetime) -> tuple[Expected, ...]:
    """What has to follow the event decided on, when the decision has this outcome.

    Nothing that was due long before it is decided: a log that is read for the first time is history, and nobody is to
    be told of all that did not happen in it.
    """
    event = history.event
    return tuple(
        [
            Expected(name=one.name, due_at=event.time + one.within)
            for one in agent.expects
            if event.type in {kind.__name__ for kind in one.after}
            and outcome not in one.settled
            and decided_at - event.time <= one.within + HISTORY
        ]
    )


def outcome_of(expectation: Expectation, begun: Begun, entries: Sequence[Entry], types: Types) -> Outcome:
    """What became of an expectation, by everything that is remembered of its entity.

    Raises `InvalidEvent` or `DecisionFailed`.
    """
    place = next((at for at, entry in enumerate(entries) if entry.is_of(begun.event_id, begun.event_source)), None)
    if not entries:
        return UNKNOWN
    shown = parse(entries[place or 0].payload, ())
    late: list[Past[DomainEvent]] = []
    known = History(types.receive(shown), entries, types)
    for at, past in known.placed(DomainEvent):
        comes_after = past.at >= begun.event_at or (place is not None and at > place)
        if not comes_after or not expectation.is_ended(past, known, at):
            continue
        if past.at <= begun.due_at:
            return Outcome("met", past)
        late.append(past)
    if place is None:
        return UNKNOWN
    if not late:
        return Outcome("missed", None, shown)
    awaited = [past for past in late if isinstance(past.data, tuple(expectation.until))]
    ended_by = min(awaited or late, key=lambda past: past.at)
    return Outcome("met_late" if awaited else "void_late", ended_by, shown)


def told_of(agent: Agent, expectation: Expectation, begun: Begun, begun_by: Event, types: Types) -> Message | None:
    """What tells of a miss; None where no loaded domain can. Raises `InvalidEvent` or `DecisionFailed`."""
    miss = Miss(
        agent=agent.name,
        name=expectation.name,
        entity=agent.entity.name,
        entity_id=begun.entity_id,
        event_id=begun_by.id,
        due_at=begun.due_at,
        awaited=tuple(kind.__name__ for kind in expectation.until),
        carried=types.carried(begun_by.data),
    )
    told = types.miss(miss)
    if told is None:
        return None
    return missed_message(agent, begun_by, told, name=expectation.name, due_at=begun.due_at)
