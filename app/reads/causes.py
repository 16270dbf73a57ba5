"""Causes across services: which service was said to be behind whose alarm, and over which calls the loss came."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from pydantic import AwareDatetime

from agents.model.catalogue import Catalogue
from agents.platform.events import RootCauseIdentified
from agents.platform.events.calls import CauseSuggested
from app.reads.shapes import Shape
from outbox.database import Database, queries

_SQL: Final = queries("causes.sql")

#: Decisions of each agent that are looked at, the newest ones, and verdicts that are shown.
LOOKED_AT: Final = 500
MOST_VERDICTS: Final = 12


class Suspect(Shape):
    """A service that may be behind an alarm, and why or why not."""

    service: str
    loss: float | None
    why: str


class Verdict(Shape):
    """The newest verdict on an alarm of a service that names another one."""

    decision_id: str
    decided_at: AwareDatetime
    #: Whose alarm it was.
    service: str
    culprit_service: str
    culprit_event_id: str | None
    failure: str
    confidence: float
    #: From the alarm to the cause, both included, each one calling the next; only these two where the calls between
    #: them were not told lately.
    path: Sequence[str]
    #: The likeliest first.
    candidates: Sequence[Suspect]


async def verdicts(database: Database, catalogue: Catalogue) -> Sequence[Verdict]:
    """The newest verdicts across services, each alarm and culprit once. Raises `DatabaseUnavailable`."""
    told, identified = CauseSuggested.__name__, RootCauseIdentified.__name__
    agents = [agent.name for agent in catalogue.agents.values() if told in agent.reacts_to]
    if not agents:
        return []
    parameters = {"agents": agents, "types": [told, identified], "looked_at": LOOKED_AT}
    rows = await database.run(_SQL["told"], parameters)
    calls = calls_of(row.data for row in rows if row.type == told)
    found: dict[tuple[str, str], Verdict] = {}
    for row in rows:
        verdict = _verdict(row.decision_id, row.decided_at, row.data, calls) if row.type == identified else None
        if verdict is not None:
            found.setdefault((verdict.service, verdict.culprit_service), verdict)
    return list(found.values())[:MOST_VERDICTS]


def calls_of(suggestions: Iterable[Mapping[str, Any]]) -> Mapping[str, Sequence[str]]:
    """Who calls whom: each suggestion was handed from a service to one that calls it."""
    calls: dict[str, dict[str, None]] = {}
    for each in suggestions:
        caller, called = each.get("service"), each.get("suggested_by")
        if isinstance(caller, str) and isinstance(called, str):
            calls.setdefault(caller, {})[called] = None
    return {caller: list(called) for caller, called in calls.items()}


def path_between(start: str, end: str, calls: Mapping[str, Sequence[str]]) -> Sequence[str]:
    """The shortest way along calls, both ends included; the ends alone where none is known."""
    came_from: dict[str, str] = {start: start}
    waiting = deque([start])
    while waiting and end not in came_from:
        here = waiting.popleft()
        for called in calls.get(here, ()):
            if called not in came_from:
                came_from[called] = here
                waiting.append(called)
    if end not in came_from:
        return [start, end]
    path = [end]
    while path[-1] != start:
        path.append(came_from[path[-1]])
    return path[::-1]


def _verdict(
    decision_id: str, decided_at: Any, data: Mapping[str, Any], calls: Mapping[str, Sequence[str]]
) -> Verdict | None:
    service, culprit = data.get("service"), data.get("culprit_service")
    if not isinstance(service, str) or not isinstance(culprit, str):
        return None
    return Verdict(
        decision_id=decision_id,
        decided_at=decided_at,
        service=service,
        culprit_service=culprit,
        culprit_event_id=data.get("culprit_event_id"),
        failure=data["failure"],
        confidence=data["confidence"],
        path=path_between(service, culprit, calls),
        candidates=[
            Suspect(service=each["service"], loss=each.get("loss"), why=each["why"])
            for each in data.get("candidates") or ()
        ],
    )
