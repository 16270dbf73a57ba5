"""Incident: many orders fail in one service, and a change of that service shortly before is to blame.

Each suspicion is answered at once: `unknown` while there is little to go by. The event that makes it enough brings
the answer for itself and a revised one for every error of the burst that was answered otherwise; a later answer about
an error replaces an earlier one. The same answer is not given twice: what was said before follows from the log. It
fails by silence when the change, or the start of the burst, has left the window.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from agents.agent import Agent
from agents.bursts import QUIET, Burst, Unexplained, blame, nearest_changes
from agents.causes import MOST_ALTERNATIVES, MOST_EVIDENCE, Failure
from agents.decision import Decision
from agents.events import (
    ConfigChanged,
    DomainEvent,
    ErrorOccurred,
    EscalationRequested,
    RootCauseIdentified,
    RootCauseSuspected,
    ServiceDeployed,
)
from agents.history import History, Past
from agents.normal import Trace, trace
from tables.window import WindowSpec

incident = Agent(
    name="incident",
    entity="service",
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
    #: Operators have to hear of it from here: no order's agent tells them, and nobody told them before.
    escalate: bool = False


@dataclass(slots=True)
class Record:
    """What the agent knew and said, event by event in log order."""

    changes: list[Trace] = field(default_factory=list)
    configurations: set[str] = field(default_factory=set)
    errors: dict[str, Trace] = field(default_factory=dict)
    #: What asked for an answer.
    questions: list[Unexplained] = field(default_factory=list)
    #: The culprit named for each error, by the error's id.
    named: dict[str, str] = field(default_factory=dict)
    #: Ids of the changes operators were told of from here.
    escalated: set[str] = field(default_factory=set)

    def learn(self, past: Past[DomainEvent]) -> Said:
        """Take the next event in and say what follows from it."""
        match past.data:
            case ServiceDeployed() | ConfigChanged():
                self.changes.append(trace(past))
                if isinstance(past.data, ConfigChanged):
                    self.configurations.add(past.id)
            case ErrorOccurred(order_id=order_id):
                self.errors[past.id] = trace(past)
                if not order_id:
                    return self._answer(Unexplained(past.id, past.at))
            case RootCauseSuspected(error_event_id=error_id, order_id=order_id, alternatives=others):
                return self._answer(Unexplained(error_id, past.at, order_id, others))
        return Said()

    def _answer(self, question: Unexplained) -> Said:
        self.questions.append(question)
        # A suspicion's own time is only that of a decision.
        *earlier, latest = (each.moved_to(self.errors.get(each.error_id)) for each in self.questions)
        burst = blame(self.changes, [*earlier, latest], latest.at)
        if burst is None:
            known = any(each.order_id is None and abs(each.at - latest.at) <= QUIET for each in earlier)
            return Said([Answer(latest, None)], latest.order_id is None and not known)
        culprit = burst.change.id
        other = {
            each.error_id: each for each in earlier if each.at in burst and self.named.get(each.error_id) != culprit
        }
        other.pop(latest.error_id, None)
        revised = [latest, *other.values()]
        self.named.update((each.error_id, culprit) for each in revised)
        escalate = culprit not in self.escalated and any(each.order_id is None for each in revised)
        if escalate:
            self.escalated.add(culprit)
        return Said([Answer(each, burst) for each in revised], escalate)


@incident.rules
def investigate(event: RootCauseSuspected | ErrorOccurred, history: History) -> Decision:
    """Answer a suspicion or an error of the service itself; errors of an order are its own agent's business."""
    if isinstance(event, ErrorOccurred) and event.order_id:
        return Decision(outcome="left_to_order", reason="the order's own past is looked through first")
    service = event.service
    assert service is not None, "the timeline of a service holds what names one"
    record = Record()
    for past in history.of(DomainEvent):
        record.learn(past)
    now = history.event
    said = record.learn(Past(event, now.time, now.id, now.causationid, now.source))
    emit: list[DomainEvent] = [_identified(each, service, record) for each in said.answers]
    if said.escalate:
        emit.append(_escalation(said.answers, service, record))
    burst = said.answers[0].burst
    return Decision(
        outcome=_failure(burst, record).value,
        reason=_reason(said.answers),
        confidence=burst.confidence if burst else UNSURE,
        emit=emit,
    )


def _failure(burst: Burst | None, record: Record) -> Failure:
    if burst is None:
        return Failure.UNKNOWN
    return Failure.BAD_CONFIGURATION if burst.change.id in record.configurations else Failure.BAD_DEPLOYMENT


def _reason(answers: Sequence[Answer]) -> str:
    burst = answers[0].burst
    if burst is None:
        return "too few unexplained errors after a change of the service to blame it"
    counts = f"{burst.after} orders failed after change {burst.change.id}, {burst.before} in as long before it"
    return f"{counts}; answers revised: {len(answers) - 1}"


def _identified(answer: Answer, service: str, record: Record) -> RootCauseIdentified:
    about, burst = answer.about, answer.burst
    changes = [change.id for change in nearest_changes(record.changes, burst.first_at if burst else about.at)]
    culprit = burst.change.id if burst else None
    others = [each for each in dict.fromkeys([*changes, *about.alternatives]) if each != culprit]
    return RootCauseIdentified(
        order_id=about.order_id,
        service=service,
        error_event_id=about.error_id,
        culprit_event_id=culprit,
        failure=_failure(burst, record).value,
        confidence=burst.confidence if burst else UNSURE,
        evidence=_evidence(answer),
        alternatives=tuple(others[:MOST_ALTERNATIVES]),
    )


def _evidence(answer: Answer) -> tuple[str, ...]:
    """The change, the error itself and the first errors after the change."""
    if answer.burst is None:
        return (answer.about.error_id,)
    ids = dict.fromkeys([answer.burst.change.id, answer.about.error_id, *answer.burst.error_ids])
    return tuple(ids)[:MOST_EVIDENCE]


def _escalation(answers: Sequence[Answer], service: str, record: Record) -> EscalationRequested:
    return EscalationRequested(
        service=service,
        failure=_failure(answers[0].burst, record).value,
        reason=_reason(answers),
        evidence=_evidence(answers[0]),
    )
