"""Events of the topic `recovery`: what caused an error, and who has to look at it."""

from typing import ClassVar

from agents.model.event import Confidence, DomainEvent, Id, Ids, Text


class RecoveryEvent(DomainEvent):
    """What every event of a recovery says; no event type itself."""

    topic: ClassVar[str] = "recovery"

    order_id: Id | None = None
    service: Id | None = None
    failure: Text
    #: Ids of the events this rests on.
    evidence: Ids


class CauseEvent(RecoveryEvent):
    """Which event led to which error; no event type itself."""

    error_event_id: Id
    #: Null: no event in the history explains the error.
    culprit_event_id: Id | None
    confidence: Confidence
    #: Ids of the events that could have been the culprit, the likeliest first.
    alternatives: Ids


class RootCauseIdentified(CauseEvent):
    """The cause of an error was found."""


class RootCauseSuspected(CauseEvent):
    """A service's timeline may hold the cause: handed over to it."""


class EscalationRequested(RecoveryEvent):
    """A human has to look at a failure."""

    reason: Text
