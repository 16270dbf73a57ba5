"""The platform as a domain. Others build on it: `Domain(uses=[platform])`."""

from __future__ import annotations

from typing import Final

from agents.model.domain import Domain
from agents.model.miss import Miss
from agents.model.refusal import Refusal
from agents.platform.cascade import cascade
from agents.platform.entities import service
from agents.platform.events import (
    ConfigChanged,
    ErrorOccurred,
    EscalationCorrected,
    EscalationRequested,
    ExpectationMissed,
    RootCauseIdentified,
    RootCauseSuspected,
    ServiceDeployed,
)
from agents.platform.events.calls import (
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
from agents.platform.incident import incident


def escalation(refusal: Refusal) -> EscalationRequested:
    """Nothing came of a decision: a person decides."""
    return EscalationRequested(
        service=refusal.entity_id if refusal.entity == service.name else None,
        failure=refusal.failure,
        reason=refusal.reason,
        evidence=(refusal.event_id,),
        **refusal.carried,
    )


def missed(miss: Miss) -> ExpectationMissed:
    """What was to happen did not happen in time."""
    return ExpectationMissed(
        service=miss.entity_id if miss.entity == service.name else None,
        agent=miss.agent,
        expectation=miss.name,
        entity=miss.entity,
        entity_id=miss.entity_id,
        begun_by=miss.event_id,
        awaited=tuple(miss.awaited),
        **miss.carried,
    )


platform: Final = Domain(
    name="platform",
    entities=(service,),
    events=(
        ErrorOccurred,
        ServiceDeployed,
        ConfigChanged,
        RootCauseIdentified,
        RootCauseSuspected,
        EscalationRequested,
        EscalationCorrected,
        DependencyDeclared,
        DependencyObserved,
        DependentDeclared,
        MetricBreached,
        MetricRecovered,
        CauseSuggested,
        CauseSought,
        CauseTraced,
        IncidentReported,
        IncidentMoved,
        EscalationDue,
        IncidentResolved,
        ExpectationMissed,
    ),
    agents=(cascade, incident),
    escalates=escalation,
    misses=missed,
)
