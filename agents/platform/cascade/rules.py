"""Cascade: each service works out what it lost itself, and hands the likeliest causes on to the services that call it.

No controller walks the graph of calls. A service knows what it calls, who calls it, what of its own metrics left their
normal, and what those it calls have told it. What it lost beyond them is its own; that and the best of what it was told
goes on to its callers, again only where it has changed. So the cause of a loss climbs to whoever raises an alarm, in a
few small messages, and whatever the order of arrival the last ones say the same. A service whose metrics keep to their
normal costs nothing. It fails by blaming a service for what another one lost that nobody measures or declares.

After the back-tracking of anomalies over a graph of calls, such as MonitorRank (Kim, Sumbaly and Shah, Root cause
detection in a service-oriented architecture, SIGMETRICS 2013), with losses that add up in place of correlations.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from agents.model.agent import Agent
from agents.model.decision import Decision
from agents.model.event import DomainEvent
from agents.model.history import History, Past, past_of
from agents.platform.cascade.blaming import SAME_TROUBLE, Answers, blamings, made_known
from agents.platform.cascade.incidents import Incidents
from agents.platform.cascade.links import Links
from agents.platform.cascade.unclaimed import Unclaimed
from agents.platform.cascade.verdicts import Errors, answers, verdict
from agents.platform.entities import service
from agents.platform.events.calls import (
    UNKNOWN_CALLER,
    CauseSought,
    CauseSuggested,
    CauseTraced,
    DependencyDeclared,
    DependencyObserved,
    DependentDeclared,
    EscalationDue,
    IncidentMoved,
    IncidentReported,
    IncidentResolved,
    MetricBreached,
    MetricRecovered,
)
from agents.platform.events.findings import (
    EscalationCorrected,
    EscalationRequested,
    RootCauseIdentified,
    RootCauseSuspected,
)
from agents.platform.events.services import ConfigChanged, ErrorOccurred, ServiceDeployed
from agents.platform.facts.spans import Key
from agents.platform.facts.standing import Standing
from agents.platform.facts.told import Loss
from tables.window import WindowSpec

#: What of the graph, of losses and of errors is remembered. Own choice: a handful of metrics every five minutes for
#: some hours, of a service that calls and is called by some tens.
BREACHES: Final = 100
SUGGESTIONS: Final = 300
ERRORS: Final = 200

#: All of it may change a verdict, at once or later.
_HEARD: Final = (
    DependencyDeclared,
    DependencyObserved,
    DependentDeclared,
    MetricBreached,
    MetricRecovered,
    CauseSuggested,
    ServiceDeployed,
    ConfigChanged,
    ErrorOccurred,
    RootCauseSuspected,
    IncidentReported,
    IncidentMoved,
    EscalationDue,
    EscalationRequested,
    CauseSought,
    CauseTraced,
)

cascade = Agent(
    name="cascade",
    version="1",
    entity=service,
    reacts_to=_HEARD,
    remembers=_HEARD,
    # Who calls whom: of all else the newest is enough.
    window=WindowSpec(events=200, age=timedelta(days=30)),
    slots={
        (MetricBreached, MetricRecovered): BREACHES,
        CauseSuggested: SUGGESTIONS,
        (ErrorOccurred, RootCauseSuspected): ERRORS,
        (ServiceDeployed, ConfigChanged): 50,
        (IncidentReported, IncidentMoved, EscalationDue): 100,
        EscalationRequested: 20,
        CauseSought: 50,
        CauseTraced: 50,
    },
)

#: What is told goes to so many callers, the first by name. Own choice: it bounds the messages of one breach.
MOST_DEPENDENTS: Final = 50

Losses = Mapping[Key, Loss]
_OUTCOMES: Final[Sequence[tuple[type[DomainEvent], str]]] = (
    (EscalationRequested, "incident_opened"),
    (EscalationCorrected, "incident_corrected"),
    (IncidentResolved, "incident_resolved"),
    (RootCauseIdentified, "named"),
    (EscalationDue, "incident_awaited"),
    (IncidentReported, "incident_moved"),
    (CauseSuggested, "handed_on"),
    (DependentDeclared, "declared"),
)
_NOTHING: Final = Loss(None, ())


class _Known:
    """What a service knows, event by event along the log."""

    def __init__(self, service_id: str) -> None:
        self.standing = Standing(service_id)
        self.errors = Errors()
        self.incidents = Incidents(service_id)
        self.links = Links(service_id)

    def learn(self, past: Past[DomainEvent]) -> Sequence[DomainEvent]:
        """Take the next event in; tells of an incident that begins, moves or is over with it."""
        self.standing.learn(past)
        self.errors.learn(past)
        self.links.learn(past)
        return self.incidents.learn(past)


@cascade.rules
def follow(event: DomainEvent, history: History) -> Decision:
    """Take the event in: tell the callers what of the losses has changed by it, and answer errors it changes."""
    service_id = service.id_of(event)
    assert service_id is not None, "the timeline of a service holds what names one"
    if service_id == UNKNOWN_CALLER:
        return _pass_on(event, history)
    known = _Known(service_id)
    for past in history.of(DomainEvent):
        known.learn(past)
    standing, about = known.standing, _about(event)
    told, dependents, called = standing.losses(about), standing.dependents, standing.calls
    answered, linked = _answers(known, about), _linked(known)
    incident = known.learn(past_of(history.event, event))
    losses, answers = standing.losses(about), _answers(known, about)
    emit: list[DomainEvent] = [
        *_declarations(standing, called),
        *_suggestions(standing, dependents, losses, told),
        *([] if UNKNOWN_CALLER in standing.dependents else _taken_back(standing, dependents, told)),
        *_suggestions(standing, [each for each in standing.dependents if each not in dependents], losses, {}),
        *_verdicts(service_id, answers, answered),
        *blamings(service_id, answered, answers, lambda: _answers(known, _around(about)), known.errors.told),
        *_made_known(known, event, answers),
        *(said for key, said in _linked(known).items() if linked.get(key) != said),
        *incident,
    ]
    return Decision(outcome=_outcome(emit), reason=_reason(standing, losses), emit=emit)


def _linked(known: _Known) -> Mapping[object, DomainEvent]:
    """What is asked, answered and named because errors name events of other services as their causes."""
    links = known.links
    parts: Sequence[Mapping[Any, DomainEvent]]
    parts = links.questions(known.standing.calls), links.replies(), links.verdicts()
    return {key: said for part in parts for key, said in part.items()}


def _pass_on(event: DomainEvent, history: History) -> Decision:
    """What the unknown caller does: those who seek a cause hear what nobody else does."""
    unclaimed = Unclaimed()
    for past in history.of(DomainEvent):
        unclaimed.learn(past.data)
    emit = list(unclaimed.passed_on(event))
    return Decision(outcome=_outcome(emit), reason=f"told to those who seek a cause: {len(emit)}", emit=emit)


def _answers(known: _Known, about: Key | None) -> Answers:
    """The answers about errors near what the event is about, by the error's id."""
    found = answers(known.standing, known.errors.near(about[1:] if about else None))
    # What an error itself names is told in place of what was lost.
    traced = known.links.traced
    return {asked.error_id: (asked, answer) for asked, answer in found.items() if asked.error_id not in traced}


def _made_known(known: _Known, event: DomainEvent, answers: Answers) -> Iterator[DomainEvent]:
    """What follows from a call of another agent for an error that is answered here."""
    if isinstance(event, EscalationRequested) and event.incident_id in known.errors.told:
        yield from made_known(known.standing.service, event.incident_id, answers)


def _around(about: Key | None) -> Key | None:
    """The moments of the same trouble."""
    return about and (about[0], about[1] - SAME_TROUBLE, about[2] + SAME_TROUBLE)


def _verdicts(service_id: str, now: Answers, before: Answers) -> Iterator[DomainEvent]:
    """Every answer that is another one than before."""
    for error_id, (asked, answer) in now.items():
        if answer.is_doubtful and not (error_id in before and before[error_id][1].is_doubtful):
            yield CauseSought(service=UNKNOWN_CALLER, sought_by=service_id, error_at=asked.at)
        said = verdict(service_id, asked, answer)
        if error_id not in before or verdict(service_id, *before[error_id]) != said:
            yield said


def _outcome(emit: Sequence[DomainEvent]) -> str:
    """By the most that is said."""
    for kind, outcome in _OUTCOMES:
        if any(isinstance(each, kind) for each in emit):
            return outcome
    return "kept"


def _about(event: DomainEvent) -> Key | None:
    """The metric and moment that the event says something about; None: about any."""
    if isinstance(event, MetricBreached | CauseSuggested):
        return event.metric, event.from_at, event.to_at
    return None


def _declarations(standing: Standing, called: frozenset[str]) -> Iterator[DomainEvent]:
    """Tell the services called, and those called no longer, who calls them."""
    for name in sorted(standing.calls ^ called):
        assert standing.heard_at is not None, "calls change by an event about them"
        yield DependentDeclared(
            service=name,
            dependent=standing.service,
            holds=name in standing.calls,
            declared_at=standing.heard_at,
        )


def _suggestions(
    standing: Standing, dependents: Sequence[str], losses: Losses, told: Losses
) -> Iterator[CauseSuggested]:
    """What has changed of what was told, to those who still call."""
    changed = [key for key in sorted({*losses, *told}) if losses.get(key, _NOTHING) != told.get(key, _NOTHING)]
    for dependent in [each for each in dependents if each in standing.dependents][:MOST_DEPENDENTS]:
        for key in changed:
            yield _suggestion(standing, dependent, key, losses.get(key, _NOTHING))


def _suggestion(standing: Standing, dependent: str, key: Key, loss: Loss) -> CauseSuggested:
    metric, from_at, to_at = key
    return CauseSuggested(
        service=dependent,
        suggested_by=standing.service,
        metric=metric,
        from_at=from_at,
        to_at=to_at,
        loss=loss.total,
        candidates=loss.candidates,
    )


def _taken_back(standing: Standing, dependents: Sequence[str], told: Losses) -> Iterator[CauseSuggested]:
    """What was said to the unknown caller, once a caller is known."""
    if UNKNOWN_CALLER in dependents:
        yield from (_suggestion(standing, UNKNOWN_CALLER, key, _NOTHING) for key in sorted(told))


def _reason(standing: Standing, losses: Losses) -> str:
    likeliest = [loss.candidates[0].service for loss in losses.values() if loss.candidates]
    calls, callers = len(standing.calls), len(standing.dependents)
    return f"calls {calls}, called by {callers}; likeliest: {', '.join(dict.fromkeys(likeliest)) or 'nobody'}"
