"""Verdicts: which service is behind each error of this one, by what was lost; the last answer about an error holds.

An error is answered as soon as anything was lost near it, by the service itself or by those it calls, and again when
what becomes known later changes the answer. What was answered before follows from the events before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from agents.model.event import DomainEvent
from agents.model.history import Past, agent_source
from agents.platform.events.calls import Span
from agents.platform.events.findings import (
    DEGRADED,
    GUESS_TO,
    INCONCLUSIVE,
    MOST_EVIDENCE,
    BlamedService,
    EscalationRequested,
    RootCauseIdentified,
    RootCauseSuspected,
)
from agents.platform.events.services import ErrorOccurred
from agents.platform.facts.blame import NEAR, Blame, Suspect, blame
from agents.platform.facts.standing import Standing

#: So many services are named in a verdict. A person reads them: own choice.
MOST_NAMED: Final = 5

_CALLER: Final = agent_source("incident")
#: What is missing where no service can be named.
NOT_ADDING_UP: Final = "what tells the candidates apart: their losses do not add up to one of them"


@dataclass(frozen=True, slots=True)
class Asked:
    """An error that asks for an answer."""

    error_id: str
    at: datetime
    #: Whom it is about besides the service, by field and id.
    carried: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class Errors:
    """The errors of a service that nothing of the entities they carry explains."""

    _asked: dict[str, Asked] = field(default_factory=dict)
    #: When each error happened, by its id; a suspicion tells only when it was suspected.
    _times: dict[str, datetime] = field(default_factory=dict)
    #: Those of which people were told before anything was known to be lost: `incident` called them.
    told: set[str] = field(default_factory=set)

    def learn(self, past: Past[DomainEvent]) -> None:
        """Take the next event in."""
        if isinstance(past.data, ErrorOccurred):
            self._times.setdefault(past.id, past.at)
            if not past.data.carried:
                self._asked.setdefault(past.id, Asked(past.id, past.at))
        elif isinstance(past.data, RootCauseSuspected):
            error_id = past.data.error_event_id
            self._asked.setdefault(error_id, Asked(error_id, past.at, tuple(past.data.carried.items())))
        elif isinstance(past.data, EscalationRequested) and past.data.incident_id and past.source == _CALLER:
            self.told.add(past.data.incident_id)

    def near(self, span: Span | None) -> Iterator[Asked]:
        """Those near a span of time, or all, each at the time it happened."""
        for asked in self._asked.values():
            at = self._times.get(asked.error_id, asked.at)
            if span is None or span[0] - 2 * NEAR <= at <= span[1] + 2 * NEAR:
                yield Asked(asked.error_id, at, asked.carried)


def answers(standing: Standing, errors: Iterable[Asked]) -> Mapping[Asked, Blame]:
    """Who is behind each of these errors; those near which nothing was lost have no answer."""
    known: dict[object, Blame | None] = {}
    found = {}
    for asked in errors:
        moments = standing.near(asked.at, NEAR)
        if moments not in known:
            known[moments] = blame(standing, asked.at)
        answer = known[moments]
        if answer is not None:
            found[asked] = answer
    return found


def verdict(service: str, asked: Asked, answer: Blame) -> RootCauseIdentified:
    """The answer as an event."""
    first = answer.suspects[0]
    culprit = culprit_of(first)
    is_conclusive = answer.is_conclusive
    carried: Mapping[str, Any] = dict(asked.carried)
    evidence = dict.fromkeys([culprit, first.event_id, asked.error_id, *(each.event_id for each in answer.suspects)])
    others = answer.suspects[1 if is_conclusive else 0 : MOST_NAMED]
    return RootCauseIdentified(
        service=service,
        error_event_id=asked.error_id,
        culprit_event_id=culprit if is_conclusive else None,
        failure=failure_of(answer),
        confidence=answer.confidence if is_conclusive else min(answer.confidence, GUESS_TO),
        evidence=tuple(evidence)[:MOST_EVIDENCE],
        alternatives=tuple(culprit_of(each) for each in others),
        missing=() if is_conclusive else (NOT_ADDING_UP,),
        culprit_service=first.service if is_conclusive else None,
        candidates=tuple(_named(each, answer) for each in answer.suspects[:MOST_NAMED]),
        **carried,
    )


def culprit_of(suspect: Suspect) -> str:
    """The event to blame: the change of the service if there is one, else the breach of its metric."""
    return suspect.change_id or suspect.event_id


def failure_of(answer: Blame) -> str:
    """What the failure is called."""
    return (answer.suspects[0].change_failure or DEGRADED) if answer.is_conclusive else INCONCLUSIVE


def _named(suspect: Suspect, answer: Blame) -> BlamedService:
    return BlamedService(service=suspect.service, event_id=suspect.event_id, loss=suspect.loss, why=answer.why(suspect))
