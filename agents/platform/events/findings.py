"""Events of the topic `recovery`: what caused an error, and who has to look at it.

They carry the ids of whom the error was about besides its service.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import Field

from agents.model.event import Confidence, Data, Id, Ids, Name, OpenEvent, Text, Texts
from agents.platform.entities import service as service_entity
from agents.platform.events.services import ServiceEvent

#: What every domain calls the failures it cannot explain, and those that a change of a service brings.
UNKNOWN: Final = "unknown"
#: What a verdict is called that cannot be given: something speaks for one event and something against it, or evidence
#: is missing. Unlike `UNKNOWN`, where nothing speaks for anything.
INCONCLUSIVE: Final = "inconclusive"
BAD_DEPLOYMENT: Final = "bad_deployment"
BAD_CONFIGURATION: Final = "bad_configuration"
#: A service that became slow or fails for a reason nobody told of.
DEGRADED: Final = "service_degraded"

#: How many other candidates, and how many ids of evidence, a finding gives. A person reads them: own choice.
MOST_ALTERNATIVES: Final = 5
MOST_EVIDENCE: Final = 10
#: How many events found harmless, and how many pieces of missing evidence, it names. Own choice.
MOST_RULED_OUT: Final = 10
MOST_MISSING: Final = 5
#: Below this, a finding is a guess, and a person decides. Own choice: at even odds a wrong compensation is as likely as
#: not.
SURE_FROM: Final = 0.5
#: The most that a finding may claim on which only a person shall act.
GUESS_TO: Final = 0.49


class Finding(OpenEvent, topic="recovery", about=service_entity, refers_to={"evidence": "evidence"}):
    """What every finding says; no event type itself."""

    service: Id | None = None
    failure: Text
    #: Ids of the events this rests on.
    evidence: Ids


class RuledOut(Data):
    """An event that looks like the cause of an error and is not, and why not."""

    event_id: Id
    why: Text


class BlamedService(Data):
    """A service that may be behind an error, and why or why not."""

    service: Id
    #: The breach of a metric that speaks for it.
    event_id: Id
    #: What it lost itself at that time: seconds, or failed requests.
    loss: Annotated[float, Field(ge=0)]
    why: Text


class CauseEvent(
    Finding,
    refers_to={"error_event_id": "error", "culprit_event_id": "culprit", "alternatives": "alternative"},
):
    """Which event led to which error; no event type itself."""

    error_event_id: Id
    #: Null: no event in the history explains the error, or several do and none better than the others (inconclusive).
    culprit_event_id: Id | None
    confidence: Confidence
    #: Ids of the events that could have been the culprit, the likeliest first.
    alternatives: Ids
    #: What would have to be known to be surer, a sentence each.
    missing: Texts = ()
    #: What was looked at and found harmless.
    ruled_out: Annotated[tuple[RuledOut, ...], Field(strict=False)] = ()
    #: The service behind the error; null where no metric tells.
    culprit_service: Id | None = None
    #: The services that may be behind it, the likeliest first.
    candidates: Annotated[tuple[BlamedService, ...], Field(strict=False)] = ()


class RootCauseIdentified(CauseEvent):
    """The cause of an error was found, or it was found that it cannot be told."""


class RootCauseSuspected(CauseEvent):
    """A service's timeline may hold the cause: handed over to it."""


class EscalationRequested(Finding):
    """A human has to look at a failure."""

    reason: Text
    #: The incident it begins, where there is one: the id of the error that was the first to be reported.
    incident_id: Id | None = None

    def written(self) -> dict[str, Any]:
        """The `data` that is published; as in older versions where it begins no incident."""
        data = super().written()
        return data if self.incident_id is not None else {name: data[name] for name in data if name != "incident_id"}


class ExpectationMissed(OpenEvent, topic="recovery", about=service_entity, refers_to={"begun_by": "beginning"}):
    """What an agent expects of an entity did not happen in time; it stands at the instant until which it was due."""

    service: Id | None = None
    agent: Name
    #: The expectation, as the agent calls it.
    expectation: Name
    #: On whose timeline.
    entity: Name
    entity_id: Id
    #: Id of the event it began with.
    begun_by: Id
    #: The types of events that were awaited.
    awaited: Texts


class EscalationCorrected(ServiceEvent, topic="recovery", about=service_entity, refers_to={"evidence": "evidence"}):
    """What a human was told of an incident is not so: this service is behind it. No new call, the same incident."""

    failure: Text
    reason: Text
    #: Ids of the events this rests on.
    evidence: Ids
    #: As in the `EscalationRequested` with which it began.
    incident_id: Id
