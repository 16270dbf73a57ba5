"""Events of the topic `platform` across services: who calls whom, what left its normal, and what may be behind it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final

from pydantic import Field

from agents.model.event import Count, Data, Id, Ids, Name, Time
from agents.platform.events.services import ServiceEvent

LATENCY: Final = "latency"
AVAILABILITY: Final = "availability"
#: Kinds of components that only their callers measure: an endpoint as it is seen from outside, and who calls from
#: there.
CLIENT: Final = "client"
OUTSIDE: Final = frozenset({"remote", CLIENT})

#: Of one service so many calls are known. Own choice: beyond, a graph of calls says nothing.
MOST_CALLS: Final = 200
#: A suggestion hands on so many candidates, each over so many calls at most. Own choice: a person reads them, and a
#: chain of calls that is longer is a circle.
MOST_CANDIDATES: Final = 5
MOST_HOPS: Final = 8

#: The service that stands for whoever calls one that nobody is known to call. It hears what those lost, and tells it to
#: those who seek a cause.
UNKNOWN_CALLER: Final = "unknown-caller"

#: A measured value, 0 or more.
Measure = Annotated[float, Field(ge=0)]


class DependencyDeclared(ServiceEvent):
    """Which services this one calls, all of them; the newest by its time holds."""

    #: What kind of component it is, in the team's own words; `remote` and `client` are seen from outside only.
    kind: Name | None = None
    calls: Annotated[Ids, Field(max_length=MOST_CALLS)]


class DependencyObserved(ServiceEvent):
    """The service called another one: seen in a trace."""

    calls: Id


class DependentDeclared(ServiceEvent):
    """Another service calls this one, or does so no longer: said to the service that is called."""

    dependent: Id
    #: Whether it calls it.
    holds: bool
    #: When that was declared; the newest holds.
    declared_at: Time


class MetricBreached(ServiceEvent):
    """A metric of the service left its normal between two times."""

    #: `latency` in seconds or `availability` in percent; others are kept as context.
    metric: Name
    value: Measure
    normal: Measure
    requests: Count
    from_at: Time
    to_at: Time


class MetricRecovered(ServiceEvent):
    """A metric of the service is back at its normal."""

    metric: Name


class CauseCandidate(Data):
    """A service that may be behind a loss, and how the loss reached whoever is told."""

    service: Id
    #: The breach that speaks for it.
    event_id: Id
    #: What it lost itself, beyond what the services it calls have lost: seconds, or failed requests.
    loss: Measure
    #: Whether it was measured itself, not only by its callers.
    measured: bool
    #: Whether it calls others: what it lost may be what one of those lost that nobody declared, or measured.
    calls_others: bool = False
    #: How many requests of its callers may have failed since it was too slow for their time limits.
    timed_out: Count = 0
    #: The change of it before the breach, and the failure that is called.
    change_id: Id | None = None
    change_failure: Name | None = None
    #: The services in between, from its caller on.
    path: Annotated[Ids, Field(max_length=MOST_HOPS)]


class CauseSuggested(ServiceEvent):
    """What a service that this one calls has lost between two times, and whose loss that may be.

    A later one of the same service, metric and times replaces it; one without candidates takes it back.
    """

    suggested_by: Id
    metric: Name
    from_at: Time
    to_at: Time
    #: All it lost: seconds, or failed requests; null when it was not measured.
    loss: Measure | None = None
    #: Whether nobody told of a call between the two: they lost at the same time, no more.
    inferred: bool = False
    candidates: Annotated[tuple[CauseCandidate, ...], Field(strict=False, max_length=MOST_CANDIDATES)]


class CauseSought(ServiceEvent):
    """Nothing that a service calls explains well what it lost: said to `UNKNOWN_CALLER`, who hears of others.

    With `caused_by`, said to those it calls: whose event did its error name as the cause?
    """

    sought_by: Id
    #: When the error happened that asks for an answer.
    error_at: Time
    error_event_id: Id | None = None
    caused_by: Id | None = None
    #: How often it was passed on, by a service whose own error named another event.
    hops: Count = 0


class CauseTraced(ServiceEvent, refers_to={"error_event_id": "error", "culprit_event_id": "culprit"}):
    """The event that an error of the service named as its cause is one of another service."""

    error_event_id: Id
    culprit_service: Id
    culprit_event_id: Id
    #: As in the verdict on the error.
    failure: Name


class IncidentEvent(ServiceEvent, refers_to={"error_event_id": "error", "culprit_event_id": "culprit"}):
    """Whom errors of a service are blamed on; no event type itself."""

    reported_by: Id
    error_event_id: Id
    error_at: Time
    #: As in the verdict on the error.
    failure: Name
    culprit_event_id: Id
    loss: Measure


class IncidentReported(IncidentEvent):
    """Errors of another service, or its own, are blamed on this one: said to the service that is blamed."""

    #: The incident that people were told of while another service was blamed; null when nobody was told.
    incident_id: Id | None = None


class IncidentMoved(IncidentEvent):
    """Errors that were blamed on this service are blamed on another one now: said to the one blamed before.

    It hands the report on to that one, and whether people were told.
    """

    moved_to: Id


class EscalationDue(ServiceEvent):
    """The service is blamed, and a person is called unless that turns out otherwise: said to itself.

    Until it has come round a few times, what was on its way when the blame was laid has arrived.
    """

    #: How often it has been said.
    rounds: Count


class IncidentResolved(ServiceEvent, refers_to={"culprit_event_id": "culprit", "stopped_by": "end"}):
    """What the service lost, and others with it, is over; or others are not to be blamed on it after all."""

    #: The incident that is over: the id of the error that was the first to be reported.
    incident_id: Id | None = None
    failure: Name
    culprit_event_id: Id
    #: From the first breach to the last.
    from_at: Time
    to_at: Time
    #: The change after which nothing was lost any more; null when nobody told of one.
    stopped_by: Id | None = None
    #: The service that is blamed in its place, by whom the incident goes on; null when it is over.
    moved_to: Id | None = None
    #: How many services reported it.
    reports: Count


#: From and to.
Span = tuple[datetime, datetime]
