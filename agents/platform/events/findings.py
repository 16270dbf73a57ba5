"""Events of the topic `recovery`: what caused an error, and who has to look at it.

They carry the ids of whom the error was about besides its service.
"""

from __future__ import annotations

from typing import Final

from agents.model.event import Confidence, Id, Ids, OpenEvent, Text
from agents.platform.entities import service as service_entity

#: What every domain calls the failures it cannot explain, and those that a change of a service brings.
UNKNOWN: Final = "unknown"
BAD_DEPLOYMENT: Final = "bad_deployment"
BAD_CONFIGURATION: Final = "bad_configuration"

#: How many other candidates, and how many ids of evidence, a finding gives. A person reads them: own choice.
MOST_ALTERNATIVES: Final = 5
MOST_EVIDENCE: Final = 10
#: Below this, a finding is a guess, and a person decides. Own choice: at even odds a wrong compensation is as likely as
#: not.
SURE_FROM: Final = 0.5
#: The most that a finding may claim on which only a person shall act.
GUESS_TO: Final = 0.49


class Finding(OpenEvent, topic="recovery", about=service_entity):
    """What every finding says; no event type itself."""

    service: Id | None = None
    failure: Text
    #: Ids of the events this rests on.
    evidence: Ids


class CauseEvent(Finding):
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


class EscalationRequested(Finding):
    """A human has to look at a failure."""

    reason: Text
