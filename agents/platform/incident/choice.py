"""Incident's choice: whether a change of the service is to blame for an error that nothing else explains.

The agent derives what it said before by its own rules (decision record 0012), and names again only what it believes to
have said differently. So a model must not silently take back or exchange what the rules name: the earlier errors of the
burst would never be named again. It may agree; when it does not, the decision of the rules waits for a person, and
when that person does not agree either, the error is answered `unknown` and operators hear of it.

Where the rules say `unknown`, a model may name a change that is remembered, as a guess on which only a person acts.
That breaks nothing: the rules believe to have said `unknown`, name the error again when a burst is there, and a later
answer replaces an earlier one; `root_cause` looks again at a guess as at an `unknown`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Annotated

from pydantic import Field

from agents.model.choice import Choice
from agents.model.decision import Decision
from agents.model.event import DomainEvent
from agents.model.forms import DOUBTFUL, EventId, Sureness, not_permitted, told, unknown_event
from agents.model.history import History, Past
from agents.platform.events import (
    BAD_CONFIGURATION,
    BAD_DEPLOYMENT,
    GUESS_TO,
    MOST_ALTERNATIVES,
    UNKNOWN,
    ConfigChanged,
    ErrorOccurred,
    EscalationRequested,
    RootCauseIdentified,
    RootCauseSuspected,
    ServiceDeployed,
)
from agents.platform.incident.findings import UNSURE
from agents.platform.incident.rules import incident


class IncidentChoice(Choice):
    """Say which change of the service led to the error, if one did.

    A change is a ServiceDeployed or ConfigChanged event of the history that is earlier than the error. It is to blame
    when failures began shortly after it and were not there before. Do not trust what an error says of its own cause.
    Answer null when no change explains it.
    """

    culprit_event_id: Annotated[
        EventId | None, Field(description="The id of the change to blame, copied exactly; null when there is none.")
    ]
    confidence: Sureness


@incident.model(IncidentChoice, on=(RootCauseSuspected, ErrorOccurred), settled=("left_to_others", "left_to_cascade"))
def investigate(
    choice: IncidentChoice, event: RootCauseSuspected | ErrorOccurred, history: History, by_rules: Decision
) -> Decision:
    """Decide as the rules do, hold that for a person, or name a change as a guess where the rules name none."""
    first, *rest = by_rules.emit
    assert isinstance(first, RootCauseIdentified)
    change = None if choice.culprit_event_id is None else _change(choice.culprit_event_id, event, history)
    if (change.id if change else None) == first.culprit_event_id:
        return replace(by_rules, reason=told(by_rules.outcome, by_rules, choice))
    if change is None or first.culprit_event_id is not None:
        return _held(choice, first, by_rules)
    verdict = _guess(choice, change, first)
    return Decision(
        outcome=verdict.failure,
        reason=told(f"change {change.id} is to blame, a guess", by_rules, choice),
        confidence=verdict.confidence,
        emit=[verdict, *rest],
    )


def _change(named: str, event: RootCauseSuspected | ErrorOccurred, history: History) -> Past[DomainEvent]:
    change = history.named(named)
    if change is None:
        raise unknown_event("the change is not remembered")
    if not isinstance(change.data, (ServiceDeployed, ConfigChanged)):
        raise not_permitted("only a deployment or a changed setting can be to blame")
    if change.at >= _error_at(event, history):
        raise not_permitted("the change is not earlier than the error")
    return change


def _error_at(event: RootCauseSuspected | ErrorOccurred, history: History) -> datetime:
    if isinstance(event, RootCauseSuspected):
        error = history.named(event.error_event_id)
        return error.at if error is not None and isinstance(error.data, ErrorOccurred) else history.at
    return history.at


def _guess(choice: IncidentChoice, change: Past[DomainEvent], unknown: RootCauseIdentified) -> RootCauseIdentified:
    return RootCauseIdentified(
        service=unknown.service,
        error_event_id=unknown.error_event_id,
        culprit_event_id=change.id,
        failure=BAD_CONFIGURATION if isinstance(change.data, ConfigChanged) else BAD_DEPLOYMENT,
        confidence=min(choice.confidence, GUESS_TO),
        evidence=(change.id, unknown.error_event_id),
        alternatives=tuple(each for each in unknown.alternatives if each != change.id),
        **unknown.carried,
    )


def _held(choice: IncidentChoice, named: RootCauseIdentified, by_rules: Decision) -> Decision:
    """The decision of the rules, if a person agrees; else what is true then: nobody knows."""
    unknown = RootCauseIdentified(
        service=named.service,
        error_event_id=named.error_event_id,
        culprit_event_id=None,
        failure=UNKNOWN,
        confidence=UNSURE,
        evidence=(named.error_event_id,),
        alternatives=tuple(filter(None, (named.culprit_event_id, *named.alternatives)))[:MOST_ALTERNATIVES],
        **named.carried,
    )
    doubted = EscalationRequested(
        service=named.service,
        failure=named.failure,
        reason=f"much fails, but change {named.culprit_event_id} was not confirmed as the cause",
        evidence=named.evidence,
    )
    reason = told("only if a person agrees", by_rules, choice)
    return replace(by_rules, reason=reason, hold=DOUBTFUL, otherwise=(unknown, doubted))
