"""Blaming: who hears that errors of a service are blamed on it, and that they are blamed on another one instead.

A service is told once, however many errors there are at about that time. When the blame moves, the one blamed before
hears of it, and hands the report on: only that one knows whether people were called.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import timedelta
from typing import Any, Final

from agents.model.event import DomainEvent
from agents.platform.cascade.verdicts import Asked, culprit_of, failure_of
from agents.platform.events.calls import IncidentMoved, IncidentReported
from agents.platform.facts.blame import Blame

#: So far apart errors may be for one report to be enough, and for one of them to keep a service in blame for all. Own
#: choice: as long as an incident goes on without a breach, and as long as most troubles take.
SAME_REPORT: Final = timedelta(minutes=15)
SAME_TROUBLE: Final = timedelta(hours=1)
#: Answers about errors, by the error's id.
Answers = Mapping[str, tuple[Asked, Blame]]


def blamed_by(service: str, answer: Blame) -> str:
    """Who hears of an answer: the service it blames, or the one that asks where it blames none."""
    return answer.suspects[0].service if answer.is_conclusive else service


def blamings(
    service: str, before: Answers, now: Answers, others: Callable[[], Answers], told: Collection[str]
) -> Iterator[DomainEvent]:
    """What those who are blamed have to hear now.

    `before` and `now` are the answers near the event; `others` gives those to all errors of the same trouble: who is
    blamed for one of them is blamed still. Of the errors `told` people know already.
    """
    heard = [(blamed_by(service, answer), asked.at) for asked, answer in before.values()]
    for name, error_id in _moved(service, before, now, others).items():
        asked, answer = now[error_id]
        blamed = blamed_by(service, answer)
        heard.append((blamed, asked.at))
        yield IncidentMoved(service=name, moved_to=blamed, **_fields(service, asked, answer))
    known_as = next((error_id for error_id in now if error_id in told), None)
    for asked, answer in now.values():
        name = blamed_by(service, answer)
        if not any(name == other and abs(asked.at - at) <= SAME_REPORT for other, at in heard):
            heard.append((name, asked.at))
            yield IncidentReported(service=name, incident_id=known_as, **_fields(service, asked, answer))


def made_known(service: str, error_id: str, now: Answers) -> Iterator[IncidentReported]:
    """People were told of an error that is answered already: whoever is blamed hears of it, and calls nobody again."""
    if error_id in now:
        name = blamed_by(service, now[error_id][1])
        yield IncidentReported(service=name, incident_id=error_id, **_fields(service, *now[error_id]))


def _moved(service: str, before: Answers, now: Answers, others: Callable[[], Answers]) -> Mapping[str, str]:
    """Of each service that is blamed no longer an error, the first, for which another one is."""
    moved: dict[str, str] = {}
    for error_id, (_, answer) in before.items():
        was = blamed_by(service, answer)
        if error_id in now and blamed_by(service, now[error_id][1]) != was:
            moved.setdefault(was, error_id)
    if not moved:
        return {}
    still = [(blamed_by(service, answer), asked.at) for asked, answer in others().values()]
    return {
        name: error_id
        for name, error_id in moved.items()
        if not any(name == other and abs(now[error_id][0].at - at) <= SAME_TROUBLE for other, at in still)
    }


def _fields(service: str, asked: Asked, answer: Blame) -> dict[str, Any]:
    first = answer.suspects[0]
    return {
        "reported_by": service,
        "error_event_id": asked.error_id,
        "error_at": asked.at,
        "failure": failure_of(answer),
        "culprit_event_id": culprit_of(first),
        "loss": first.loss,
    }
