"""Links: an error that names an event of another service as its cause (`causationid`) is followed there.

The services called are asked whether the event is theirs. Whose it is answers with it: with the change, or the breach;
where it is an error that names a cause itself, those it calls are asked in turn, eight times in a row at most.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from agents.model.event import DomainEvent
from agents.model.history import Past
from agents.platform.events.calls import MOST_HOPS, CauseSought, CauseTraced, MetricBreached
from agents.platform.events.findings import (
    BAD_CONFIGURATION,
    BAD_DEPLOYMENT,
    DEGRADED,
    RootCauseIdentified,
    RootCauseSuspected,
)
from agents.platform.events.services import ConfigChanged, ErrorOccurred, ServiceDeployed

#: How sure a verdict is that follows what the error itself names. Own choice: whoever wrote it may be wrong.
LINKED: Final = 0.9
#: So many of those it calls are asked, the first by name. Own choice.
MOST_ASKED: Final = 50

_FAILURES: Final[Mapping[type[DomainEvent], str]] = {
    ServiceDeployed: BAD_DEPLOYMENT,
    ConfigChanged: BAD_CONFIGURATION,
    MetricBreached: DEGRADED,
}
#: Whom and what a question is about: the service asked, who sought it, and the error.
_Asked = tuple[str, str, str]


@dataclass(slots=True)
class Links:
    """What the errors of one service name as their cause, what it was asked, and what it was told."""

    service: str
    _events: dict[str, Past[DomainEvent]] = field(default_factory=dict)
    _errors: dict[str, tuple[datetime, str]] = field(default_factory=dict)
    _open: dict[str, dict[str, Any]] = field(default_factory=dict)
    _sought: dict[tuple[str, str], CauseSought] = field(default_factory=dict)
    #: What other services have answered, by the error.
    traced: dict[str, CauseTraced] = field(default_factory=dict)

    def learn(self, past: Past[DomainEvent]) -> None:
        """Take the next event in."""
        data = past.data
        if isinstance(data, ErrorOccurred):
            self._events.setdefault(past.id, past)
            if past.causationid is not None:
                self._errors.setdefault(past.id, (past.at, past.causationid))
                if not data.carried:
                    self._open.setdefault(past.id, {})
        elif isinstance(data, RootCauseSuspected):
            self._open[data.error_event_id] = dict(data.carried)
        elif isinstance(data, CauseSought) and data.caused_by is not None:
            self._sought[data.sought_by, data.error_event_id or ""] = data
        elif isinstance(data, CauseTraced):
            self.traced[data.error_event_id] = data
        elif type(data) in _FAILURES:
            self._events.setdefault(past.id, past)

    def questions(self, called: Iterable[str]) -> Mapping[_Asked, CauseSought]:
        """Whom it has to ask for the causes of its own errors, and of those it was asked about."""
        asked = sorted(called)[:MOST_ASKED]
        seeking = [*self._own(), *self._passed_on()]
        return {
            (name, each.sought_by, each.error_event_id or ""): each.model_copy(update={"service": name})
            for each in seeking
            for name in asked
            if name != each.sought_by
        }

    def replies(self) -> Mapping[tuple[str, str], CauseTraced]:
        """What it answers to those who asked for an event that is its own."""
        found = {}
        for key, sought in self._sought.items():
            past = self._events.get(sought.caused_by or "")
            if past is None or (isinstance(past.data, ErrorOccurred) and past.causationid is not None):
                continue
            found[key] = CauseTraced(
                service=sought.sought_by,
                error_event_id=sought.error_event_id or "",
                culprit_service=self.service,
                culprit_event_id=past.id,
                failure=_FAILURES.get(type(past.data), DEGRADED),
            )
        return found

    def verdicts(self) -> Mapping[str, RootCauseIdentified]:
        """What its own errors name, as far as it is known whose that is."""
        return {
            error_id: RootCauseIdentified(
                service=self.service,
                error_event_id=error_id,
                culprit_event_id=traced.culprit_event_id,
                failure=traced.failure,
                confidence=LINKED,
                evidence=(traced.culprit_event_id, error_id),
                alternatives=(),
                culprit_service=traced.culprit_service,
                **self._open[error_id],
            )
            for error_id, traced in self.traced.items()
            if error_id in self._open
        }

    def _own(self) -> Iterator[CauseSought]:
        for error_id in self._open:
            at, cause = self._errors.get(error_id, (None, ""))
            if at is not None and cause not in self._events:
                yield CauseSought(
                    service=self.service,
                    sought_by=self.service,
                    error_at=at,
                    error_event_id=error_id,
                    caused_by=cause,
                )

    def _passed_on(self) -> Iterator[CauseSought]:
        for sought in self._sought.values():
            past = self._events.get(sought.caused_by or "")
            if past is None or not isinstance(past.data, ErrorOccurred) or sought.hops >= MOST_HOPS:
                continue
            if past.causationid is not None:
                yield sought.model_copy(update={"caused_by": past.causationid, "hops": sought.hops + 1})
