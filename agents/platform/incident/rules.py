"""Incident: much fails in one service, and a change of that service shortly before is to blame.

Each suspicion is answered at once: `unknown` while there is little to go by. The event that makes it enough brings
the answer for itself and a revised one for every error of the burst that was answered otherwise; a later answer about
an error replaces an earlier one. The same answer is not given twice: what was said before follows from the log. It
fails by silence when the change, or the start of the burst, has left the window.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from agents.model.agent import Agent
from agents.model.decision import Decision
from agents.model.event import DomainEvent
from agents.model.history import EventKey, History, Past, Trace, past_of, trace
from agents.platform.entities import service
from agents.platform.events import (
    BAD_CONFIGURATION,
    BAD_DEPLOYMENT,
    MOST_ALTERNATIVES,
    MOST_EVIDENCE,
    UNKNOWN,
    ConfigChanged,
    ErrorOccurred,
    EscalationRequested,
    RootCauseIdentified,
    RootCauseSuspected,
    ServiceDeployed,
)
from agents.platform.incident.bursts import QUIET, Burst, ErrorLog, Unexplained
from tables.window import WindowSpec

incident = Agent(
    name="incident",
    entity=service,
    reacts_to=(RootCauseSuspected, ErrorOccurred),
    remembers=(ErrorOccurred, RootCauseSuspected, ServiceDeployed, ConfigChanged),
    window=WindowSpec(events=200, age=timedelta(days=7)),
)

#: How sure it is when no change explains the error.
UNSURE: Final = 0.1


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said about one unexplained error; no burst means unknown."""

    about: Unexplained
    burst: Burst | None


@dataclass(frozen=True, slots=True)
class Said:
    """What one event makes the agent say; nothing when there are no answers."""

    #: The answer about the event itself first; all of one burst, or a single unknown.
    answers: Sequence[Answer] = ()
    #: Operators have to hear of it from here: no other agent tells them, and nobody told them before.
    escalate: bool = False


class Investigation:
    """What the agent knew and said, event by event along the log."""

    def __init__(self) -> None:
        self.log = ErrorLog()
        self.configurations: set[EventKey] = set()
        #: By id; None where several sources have it.
        self._errors: dict[str, Trace | None] = {}
        #: What asked for an answer, in the order of the log.
        self._questions: list[Unexplained] = []
        #: Where in it each error is asked about.
        self._places: dict[str, list[int]] = {}
        #: When errors of the service itself happened.
        self._own_at: list[datetime] = []
        #: The culprit named for each error, by the error's id.
        self._named: dict[str, EventKey] = {}
        #: How many of the questions have this culprit for an answer wherever its burst holds them.
        self._answered: dict[EventKey, int] = {}
        #: The changes operators were told of from here.
        self._escalated: set[EventKey] = set()

    def learn(self, past: Past[DomainEvent]) -> Said:
        """Take the next event in and say what follows from it."""
        match past.data:
            case ServiceDeployed() | ConfigChanged():
                self.log.changed(trace(past))
                if isinstance(past.data, ConfigChanged):
                    self.configurations.add(past.key)
            case ErrorOccurred(carried=carried):
                self._learn_error(trace(past))
                if not carried:
                    return self._answer(Unexplained(past.id, past.at, source=past.source))
            case RootCauseSuspected(error_event_id=error_id, carried=carried, alternatives=others):
                return self._answer(Unexplained(error_id, past.at, tuple(carried.items()), others))
        return Said()

    def _learn_error(self, error: Trace) -> None:
        """Know when an error happened; who asked about it before only knew when they asked.

        Nobody knows which of two errors with the same id, of different sources, was asked about.
        """
        known = self._errors.setdefault(error.id, error)
        if known is None or known.key != error.key:
            self._errors[error.id] = None
            return
        for place in self._places.get(error.id, ()):
            asked = self._questions[place]
            if asked.at == error.at:
                continue
            self._questions[place] = asked.moved_to(error)
            self.log.moved(asked, self._questions[place])
            if asked.is_of_service:
                self._own_at.remove(asked.at)
                insort(self._own_at, error.at)
            self._answered.clear()

    def _answer(self, question: Unexplained) -> Said:
        # A suspicion's own time is only that of a decision.
        latest = question.moved_to(self._errors.get(question.error_id))
        is_known = latest.is_of_service and self._is_troubled(latest.at)
        self._ask(latest)
        burst = self.log.blame(latest)
        if burst is None:
            return Said([Answer(latest, None)], latest.is_of_service and not is_known)
        culprit = burst.change.key
        revised = [latest, *self._answered_otherwise(burst, latest)]
        for each in revised:
            self._name(each.error_id, culprit)
        escalate = culprit not in self._escalated and any(each.is_of_service for each in revised)
        if escalate:
            self._escalated.add(culprit)
        return Said([Answer(each, burst) for each in revised], escalate)

    def _ask(self, question: Unexplained) -> None:
        self._places.setdefault(question.error_id, []).append(len(self._questions))
        self._questions.append(question)
        if not self.log.failed(question):
            self._answered.clear()
        if question.is_of_service:
            insort(self._own_at, question.at)

    def _is_troubled(self, at: datetime) -> bool:
        """Whether an error of the service itself happened within a quiet time of then, on either side."""
        return bisect_left(self._own_at, at - QUIET) < bisect_right(self._own_at, at + QUIET)

    def _answered_otherwise(self, burst: Burst, latest: Unexplained) -> Sequence[Unexplained]:
        """The earlier errors of the burst for which its change was not named, in the order of the log."""
        culprit = burst.change.key
        begin = self._answered.get(culprit, 0)
        self._answered[culprit] = len(self._questions)
        other = {
            each.error_id: each
            for each in self._questions[begin:-1]
            if each.at in burst and self._named.get(each.error_id) != culprit
        }
        other.pop(latest.error_id, None)
        return list(other.values())

    def _name(self, error_id: str, culprit: EventKey) -> None:
        before = self._named.get(error_id)
        self._named[error_id] = culprit
        if before is not None and before != culprit:
            self._answered.pop(before, None)


@incident.rules
def investigate(event: RootCauseSuspected | ErrorOccurred, history: History) -> Decision:
    """Answer a suspicion or an error of the service itself; what it carries is the business of another agent first."""
    if isinstance(event, ErrorOccurred) and event.carried:
        return Decision(outcome="left_to_others", reason="the past of what it is about is looked through first")
    service_id = event.service
    assert service_id is not None, "the timeline of a service holds what names one"
    investigation = Investigation()
    for past in history.of(DomainEvent):
        investigation.learn(past)
    said = investigation.learn(past_of(history.event, event))
    burst = said.answers[0].burst
    changes = [
        change.id for change in investigation.log.nearest_changes(burst.first_at if burst else said.answers[0].about.at)
    ]
    emit: list[DomainEvent] = [_identified(each, service_id, investigation, changes) for each in said.answers]
    if said.escalate:
        emit.append(_escalation(said.answers, service_id, investigation))
    return Decision(
        outcome=_failure(burst, investigation),
        reason=_reason(said.answers),
        confidence=burst.confidence if burst else UNSURE,
        emit=emit,
    )


def _failure(burst: Burst | None, investigation: Investigation) -> str:
    if burst is None:
        return UNKNOWN
    return BAD_CONFIGURATION if burst.change.key in investigation.configurations else BAD_DEPLOYMENT


def _reason(answers: Sequence[Answer]) -> str:
    burst = answers[0].burst
    if burst is None:
        return "too few unexplained errors after a change of the service to blame it"
    counts = f"{burst.after} failed after change {burst.change.id}, {burst.before} in as long before it"
    return f"{counts}; answers revised: {len(answers) - 1}"


def _identified(
    answer: Answer, service_id: str, investigation: Investigation, changes: Sequence[str]
) -> RootCauseIdentified:
    """The answer as an event; `changes` could have led to it, the nearest first. All answers share them."""
    about, burst = answer.about, answer.burst
    culprit = burst.change.id if burst else None
    # One may be the culprit.
    likeliest = changes[: MOST_ALTERNATIVES + 1]
    others = [each for each in dict.fromkeys([*likeliest, *about.alternatives]) if each != culprit]
    return RootCauseIdentified(
        service=service_id,
        error_event_id=about.error_id,
        culprit_event_id=culprit,
        failure=_failure(burst, investigation),
        confidence=burst.confidence if burst else UNSURE,
        evidence=_evidence(answer),
        alternatives=tuple(others[:MOST_ALTERNATIVES]),
        **dict(about.carried),
    )


def _evidence(answer: Answer) -> tuple[str, ...]:
    """The change, the error itself and the first errors after the change."""
    if answer.burst is None:
        return (answer.about.error_id,)
    ids = dict.fromkeys([answer.burst.change.id, answer.about.error_id, *answer.burst.error_ids])
    return tuple(ids)[:MOST_EVIDENCE]


def _escalation(answers: Sequence[Answer], service_id: str, investigation: Investigation) -> EscalationRequested:
    return EscalationRequested(
        service=service_id,
        failure=_failure(answers[0].burst, investigation),
        reason=_reason(answers),
        evidence=_evidence(answers[0]),
    )
