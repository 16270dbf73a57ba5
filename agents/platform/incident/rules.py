"""Incident: much fails in one service, and a change of that service shortly before is to blame.

Each suspicion is answered at once: `unknown` while there is little to go by. The event that makes it enough, an error
or the change itself when it comes late, brings a revised answer for every error of the burst that was answered
otherwise; a later answer about an error replaces an earlier one. The same answer is not given twice: what was said
before follows from the log.

One incident, one escalation: operators hear when the change is named, with whom it met so far, and again only when
another change is named or a new burst begins. Everyone else it meets gets a verdict that names the same change.

Changes, suspicions and what the agent said have slots of their own: errors push none of them out, and a burst that is
longer than the window goes on with the change that was named when it began. It fails by naming none of those that
failed while nothing spoke against a change yet and that have left the window since: more than `SUSPICIONS`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from agents.model.agent import Agent
from agents.model.decision import Decision
from agents.model.event import DomainEvent
from agents.model.history import History, Past, past_of
from agents.platform.entities import service
from agents.platform.events import (
    ConfigChanged,
    ErrorOccurred,
    EscalationRequested,
    RootCauseIdentified,
    RootCauseSuspected,
    ServiceDeployed,
)
from agents.platform.events.calls import CauseSuggested, DependencyDeclared, DependencyObserved, MetricBreached
from agents.platform.facts.blame import NEAR
from agents.platform.facts.standing import Standing
from agents.platform.incident.findings import UNSURE, escalation, failure_of, identified, reason_for
from agents.platform.incident.investigation import Investigation
from tables.window import WindowSpec

#: How many of each are remembered. Own choice: a service fails for hundreds of orders before anybody knows why, it is
#: changed some times a day, and of what was said the last words are enough.
ERRORS: Final = 200
SUSPICIONS: Final = 300
CHANGES: Final = 50
VERDICTS: Final = 100
ESCALATIONS: Final = 20

incident = Agent(
    name="incident",
    version="1",
    entity=service,
    reacts_to=(RootCauseSuspected, ErrorOccurred, ServiceDeployed, ConfigChanged),
    remembers=(
        ErrorOccurred,
        RootCauseSuspected,
        ServiceDeployed,
        ConfigChanged,
        RootCauseIdentified,
        EscalationRequested,
        DependencyDeclared,
        DependencyObserved,
        MetricBreached,
        CauseSuggested,
    ),
    window=WindowSpec(events=ERRORS, age=timedelta(days=7)),
    slots={
        RootCauseSuspected: SUSPICIONS,
        (ServiceDeployed, ConfigChanged): CHANGES,
        RootCauseIdentified: VERDICTS,
        EscalationRequested: ESCALATIONS,
        (DependencyDeclared, DependencyObserved): 50,
        MetricBreached: 50,
        CauseSuggested: 200,
    },
)


@incident.rules
def investigate(
    event: RootCauseSuspected | ErrorOccurred | ServiceDeployed | ConfigChanged, history: History
) -> Decision:
    """Answer a suspicion, an error of the service itself, or what a change explains that came to be known before it.

    An error of what it carries is the business of another agent first.
    """
    if isinstance(event, ErrorOccurred) and event.carried:
        return Decision(outcome="left_to_others", reason="the past of what it is about is looked through first")
    service_id = event.service
    assert service_id is not None, "the timeline of a service holds what names one"
    known = history.of(DomainEvent)
    investigation, standing = Investigation(is_cut=_is_full(known)), Standing(service_id)
    for past in known:
        standing.learn(past)
        if not _is_measured(past, standing):
            investigation.learn(past)
    received: Past[DomainEvent] = past_of(history.event, event)
    if _is_measured(received, standing):
        return Decision(
            outcome="left_to_cascade", reason="metrics tell what was lost: that speaks before a change does"
        )
    said = investigation.learn(received)
    if not said.answers:
        return Decision(outcome="explains_nothing", reason="nothing failed after this change that is not explained")
    burst = said.answers[0].burst
    emit: list[DomainEvent] = list(identified(said.answers, service_id, investigation))
    if said.escalate:
        emit.append(escalation(said.answers, service_id, investigation))
    return Decision(
        outcome=failure_of(burst, investigation),
        reason=reason_for(said.answers),
        confidence=burst.confidence if burst and not burst.rivals else UNSURE,
        emit=emit,
    )


def _is_measured(past: Past[DomainEvent], standing: Standing) -> bool:
    """Whether an error asks for an answer that losses known by then can give: `cascade` answers it."""
    is_asked = isinstance(past.data, RootCauseSuspected) or (
        isinstance(past.data, ErrorOccurred) and not past.data.carried
    )
    return is_asked and any(standing.near(past.at, NEAR))


def _is_full(known: Sequence[Past[DomainEvent]]) -> bool:
    """Whether suspicions, or errors of the service itself, may have left the window."""
    suspicions = sum(isinstance(past.data, RootCauseSuspected) for past in known)
    errors = [past.data for past in known if isinstance(past.data, ErrorOccurred)]
    return suspicions >= SUSPICIONS or (len(errors) >= ERRORS and not all(error.carried for error in errors))
