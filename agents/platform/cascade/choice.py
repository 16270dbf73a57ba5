"""Cascade's choice: which of the services that may be behind an error come first.

A model orders the candidates the rules found, and says why; it adds none. Where it would put another one first, that is
a guess, on which only a person acts. What goes on to the callers, and who hears of an incident, stays as the rules say:
the agent derives from its rules what it said before (decision record 0012).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Final

from pydantic import Field

from agents.model.choice import Choice
from agents.model.decision import Decision
from agents.model.event import DomainEvent
from agents.model.forms import EventId, Sureness, not_permitted, told, unknown_event
from agents.model.history import History
from agents.platform.cascade.rules import cascade
from agents.platform.events.calls import CauseSuggested, MetricBreached
from agents.platform.events.findings import DEGRADED, GUESS_TO, RootCauseIdentified, RootCauseSuspected
from agents.platform.events.services import ErrorOccurred

#: So many services may be ordered: more than a verdict names, and what it does not name is refused.
MOST_ORDERED: Final = 10
#: The id of a service, as long as ids may be.
ServiceId = Annotated[str, Field(min_length=1, max_length=256)]


class CascadeChoice(Choice):
    """Say which service is behind the errors of this one: the likeliest first.

    Each CauseSuggested names candidates: services that lost time or requests themselves, what they lost, and the change
    before it. A service that lost more of its own, or that was changed shortly before, is likelier. One that calls
    others may have lost what one of those lost. Name only candidates. Answer an empty list when you cannot tell.
    """

    services: Annotated[
        tuple[ServiceId, ...],
        Field(max_length=MOST_ORDERED, description="Ids of services, copied exactly, the likeliest first."),
    ]
    culprit_event_id: Annotated[
        EventId | None,
        Field(description="The id of the event to blame, a candidate's breach or change; null when you cannot tell."),
    ]
    confidence: Sureness


@cascade.model(
    CascadeChoice,
    on=(ErrorOccurred, RootCauseSuspected, MetricBreached, CauseSuggested),
    settled=(
        "kept",
        "handed_on",
        "declared",
        "incident_awaited",
        "incident_opened",
        "incident_corrected",
        "incident_moved",
        "incident_resolved",
    ),
)
def follow(choice: CascadeChoice, event: DomainEvent, history: History, by_rules: Decision) -> Decision:  # noqa: ARG001
    """Order the candidates of every verdict as the model does; the rest is as the rules decide."""
    verdicts = [each for each in by_rules.emit if isinstance(each, RootCauseIdentified)]
    known = {each.service for found in verdicts for each in found.candidates}
    if any(name not in known for name in choice.services):
        raise unknown_event("a service is not among the candidates")
    if len(set(choice.services)) != len(choice.services):
        raise not_permitted("a service is named twice")
    possible = {each for found in verdicts for each in _events_of(found, choice.services[:1])}
    if choice.culprit_event_id is not None and choice.culprit_event_id not in possible:
        raise unknown_event("the event is not one that speaks for the first service")
    emit = [_ordered(each, choice) if isinstance(each, RootCauseIdentified) else each for each in by_rules.emit]
    named = ", ".join(choice.services) or "nobody"
    return replace(by_rules, reason=told(f"likeliest: {named}", by_rules, choice), emit=emit)


def _events_of(found: RootCauseIdentified, services: Sequence[str]) -> Sequence[str]:
    breaches = [each.event_id for each in found.candidates if each.service in services]
    is_first = found.culprit_event_id is not None and found.culprit_service in services
    return [*breaches, found.culprit_event_id] if is_first and found.culprit_event_id else breaches


def _ordered(found: RootCauseIdentified, choice: CascadeChoice) -> RootCauseIdentified:
    """The verdict with the candidates in the order of the model; another first one is a guess."""
    places = {name: place for place, name in enumerate(choice.services)}
    candidates = tuple(sorted(found.candidates, key=lambda each: places.get(each.service, len(places))))
    ordered = found.model_copy(update={"candidates": candidates})
    first = candidates[0]
    if not places or first.service not in places or first.service == found.culprit_service:
        return ordered
    others = [each for each in (found.culprit_event_id, *found.alternatives) if each not in (None, first.event_id)]
    return ordered.model_copy(
        update={
            "culprit_service": first.service,
            "culprit_event_id": first.event_id,
            "failure": DEGRADED,
            "confidence": min(choice.confidence, GUESS_TO),
            "alternatives": tuple(others),
            "missing": (),
        }
    )
