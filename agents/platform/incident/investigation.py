"""Investigation: what the agent knew and said, event by event along the log.

What was said before follows from the events that are remembered; where they begin in the middle of a burst, from what
the agent said about it then and remembers apart from them.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from agents.model.event import DomainEvent
from agents.model.history import EventKey, Past, Trace, agent_source, trace
from agents.platform.events import (
    BAD_CONFIGURATION,
    BAD_DEPLOYMENT,
    INCONCLUSIVE,
    SURE_FROM,
    ConfigChanged,
    ErrorOccurred,
    EscalationRequested,
    RootCauseIdentified,
    RootCauseSuspected,
    ServiceDeployed,
)
from agents.platform.incident.bursts import QUIET, UNDECIDED, Burst, ErrorLog, Unexplained

#: What this agent publishes comes from here. What others say is no memory of ours.
OWN_SOURCE: Final = agent_source("incident")

_OF_A_CHANGE: Final = frozenset({BAD_DEPLOYMENT, BAD_CONFIGURATION})


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said about one unexplained error; no burst means unknown."""

    about: Unexplained
    burst: Burst | None


@dataclass(frozen=True, slots=True)
class Said:
    """What one event makes the agent say; nothing when there are no answers."""

    #: The answer about the event itself first, if it asks for one; all of one burst, or a single unknown.
    answers: Sequence[Answer] = ()
    #: Operators have to hear of it from here: nobody told them before.
    escalate: bool = False


@dataclass(slots=True)
class _Deed:
    """What one event must have made the agent say."""

    verdict: EventKey
    #: What had been said before of the errors it was said of.
    before: dict[str, EventKey | None]
    #: When operators were told, if they were.
    told_at: datetime | None = None


class Investigation:
    """What the agent knew and said. `is_cut`: errors before those that will be learnt are not remembered any more."""

    def __init__(self, *, is_cut: bool = False) -> None:
        self.log = ErrorLog(is_cut=is_cut)
        self.configurations: set[EventKey] = set()
        #: Changes as they were told of, to know a report that comes again under another id.
        self._changes: set[tuple[datetime, str]] = set()
        #: By id; None where several sources have it.
        self._errors: dict[str, Trace | None] = {}
        #: What asked for an answer, in the order of the log.
        self._questions: list[Unexplained] = []
        #: Where in it each error is asked about.
        self._places: dict[str, list[int]] = {}
        #: When errors of the service itself happened.
        self._own_at: list[datetime] = []
        #: What was said of each error, by the error's id: the culprit, or that there is no telling.
        self._named: dict[str, EventKey] = {}
        #: How many of the questions have this for an answer wherever its burst holds them.
        self._answered: dict[EventKey, int] = {}
        #: By the id of the event that led to it: what was said, until the verdicts themselves are there.
        self._deeds: dict[str, _Deed] = {}
        #: When operators were told of an incident with this verdict.
        self._told: dict[EventKey, list[datetime]] = {}
        #: The same as far as it is remembered, by the id of the change; "" for errors without one.
        self._escalated: dict[str, list[datetime]] = {}

    def learn(self, past: Past[DomainEvent]) -> Said:
        """Take the next event in and say what follows from it."""
        match past.data:
            case ServiceDeployed() | ConfigChanged():
                return self._learn_change(past)
            case ErrorOccurred(carried=carried):
                self._learn_error(trace(past))
                if not carried:
                    return self._answer(Unexplained(past.id, past.at, source=past.source), past.id)
            case RootCauseSuspected(error_event_id=error_id, carried=carried, alternatives=others):
                return self._answer(Unexplained(error_id, past.at, tuple(carried.items()), others), past.id)
            case RootCauseIdentified(culprit_event_id=str(culprit), confidence=confidence):
                if past.source == OWN_SOURCE and confidence >= SURE_FROM:
                    self.log.named(culprit, past.at)
                    self._compare(past.causationid or "", culprit)
            case EscalationRequested() as escalation if past.source == OWN_SOURCE:
                self._learn_escalation(escalation, past.at)
        return Said()

    def _learn_change(self, past: Past[DomainEvent]) -> Said:
        """A change may come to be known after what it led to: then those errors are answered now."""
        told = (past.at, repr(past.data))
        if told in self._changes:
            return Said()
        self._changes.add(told)
        change = trace(past)
        self.log.changed(change)
        if isinstance(past.data, ConfigChanged):
            self.configurations.add(past.key)
        last = self.log.last_after(change)
        return Said() if last is None else self._revise(self.log.blame(last), (), past.id)

    def _learn_escalation(self, escalation: EscalationRequested, at: datetime) -> None:
        change_id = escalation.evidence[0] if escalation.failure in _OF_A_CHANGE and escalation.evidence else ""
        if escalation.failure == INCONCLUSIVE:
            self._told.setdefault(UNDECIDED, []).append(at)
            return
        self._escalated.setdefault(change_id, []).append(at)
        if change_id:
            self.log.named(change_id, at)

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

    def _compare(self, event_id: str, culprit: str) -> None:
        """Take back what an event must have led to where the verdict shows that it led to another.

        So it is where more was remembered then than is now. What follows from it is made good with the next answer.
        """
        deed = self._deeds.get(event_id)
        if deed is None or deed.verdict[1] == culprit:
            return
        del self._deeds[event_id]
        for error_id, before in deed.before.items():
            if self._named.get(error_id) == deed.verdict:
                self._restore(error_id, before)
        if deed.told_at is not None:
            self._told[deed.verdict].remove(deed.told_at)
        self._answered.clear()

    def _restore(self, error_id: str, before: EventKey | None) -> None:
        if before is None:
            del self._named[error_id]
        else:
            self._named[error_id] = before

    def _answer(self, question: Unexplained, event_id: str) -> Said:
        # A suspicion's own time is only that of a decision.
        latest = question.moved_to(self._errors.get(question.error_id))
        is_known = latest.is_of_service and self._is_troubled(latest.at)
        self._ask(latest)
        burst = self.log.blame(latest)
        if burst is None:
            return Said([Answer(latest, None)], latest.is_of_service and not is_known)
        return self._revise(burst, (latest,), event_id)

    def _revise(self, burst: Burst | None, latest: Sequence[Unexplained], event_id: str) -> Said:
        """Answer these, and every earlier error of the burst that was answered otherwise."""
        if burst is None:
            return Said()
        revised = [*latest, *self._answered_otherwise(burst, latest)]
        if not revised:
            return Said()
        deed = self._deeds[event_id] = _Deed(burst.verdict, {e.error_id: self._named.get(e.error_id) for e in revised})
        for each in revised:
            self._name(each.error_id, burst.verdict)
        escalate = not self._is_told(burst)
        if escalate:
            deed.told_at = burst.last_at
            self._told.setdefault(burst.verdict, []).append(burst.last_at)
        return Said([Answer(each, burst) for each in revised], escalate)

    def _is_told(self, burst: Burst) -> bool:
        """Whether operators were told of this incident, with the same verdict.

        When its beginning is forgotten, whatever they were told of the change was of it.
        """
        told = self._told.get(burst.verdict, [])
        if not burst.rivals:
            told = [*told, *self._escalated.get(burst.change.id, ())]
        if burst.is_cut:
            return bool(told)
        return any(at >= burst.first_at - QUIET for at in told)

    def _ask(self, question: Unexplained) -> None:
        self._places.setdefault(question.error_id, []).append(len(self._questions))
        self._questions.append(question)
        if not self.log.failed(question):
            self._answered.clear()
        if question.is_of_service:
            insort(self._own_at, question.at)

    def _is_troubled(self, at: datetime) -> bool:
        """Whether an error of the service itself happened within a quiet time of then, or people heard of one."""
        if bisect_left(self._own_at, at - QUIET) < bisect_right(self._own_at, at + QUIET):
            return True
        return any(at - QUIET <= told_at <= at + QUIET for told_at in self._escalated.get("", ()))

    def _answered_otherwise(self, burst: Burst, latest: Sequence[Unexplained]) -> Sequence[Unexplained]:
        """The earlier errors of the burst of which something else was said, in the order of the log."""
        begin = self._answered.get(burst.verdict, 0)
        self._answered[burst.verdict] = len(self._questions)
        other = {
            each.error_id: each
            for each in self._questions[begin : len(self._questions) - len(latest)]
            if each.at in burst and self._named.get(each.error_id) != burst.verdict
        }
        for each in latest:
            other.pop(each.error_id, None)
        return list(other.values())

    def _name(self, error_id: str, verdict: EventKey) -> None:
        before = self._named.get(error_id)
        self._named[error_id] = verdict
        if before is not None and before != verdict:
            self._answered.pop(before, None)
