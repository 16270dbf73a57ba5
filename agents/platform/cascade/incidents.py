"""Incidents: what others blame on a service is one incident, however many they are, until its metrics are normal again.

People are called once, when it begins, and not at once: the first verdicts on an alarm are given while what others lost
is still on its way. So the service that is blamed says to itself that a call is due, a few times, and calls when it is
still blamed then. Whoever comes to blame another one tells this one, which hands the report on with what people know of
it: there the incident goes on, people get a correction, and here it ends as moved.

It is over when every metric that left its normal was told to be back, or when the service is heard of again and nothing
was lost for a while; agents know no clock, so it takes an event to notice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from agents.model.event import DomainEvent
from agents.model.history import Past
from agents.platform.events.calls import (
    EscalationDue,
    IncidentMoved,
    IncidentReported,
    IncidentResolved,
    MetricBreached,
    MetricRecovered,
)
from agents.platform.events.findings import INCONCLUSIVE, EscalationCorrected, EscalationRequested
from agents.platform.events.services import ConfigChanged, ServiceDeployed

#: So long after the last breach an incident is over. Own choice: three reports of five minutes.
OVER_AFTER: Final = timedelta(minutes=15)
#: So often a call says that it is due before it is made. Own choice: a loss climbs over two or three calls in the time,
#: and decisions that follow from each other are bounded (`outbox.chains`).
ROUNDS: Final = 3


@dataclass(slots=True)
class _Current:
    """An incident that goes on, or may begin."""

    #: The first report that was not moved away again.
    first: IncidentReported
    #: The newest time of anything heard of the service since then.
    heard_at: datetime
    #: The incident that people were told of, at this service or at one that was blamed before it.
    known_as: str | None = None
    is_called: bool = False
    #: Who reported it at any time.
    reporters: set[str] = field(default_factory=set)

    @property
    def id(self) -> str:
        """How people know it, or will."""
        return self.known_as or self.first.error_event_id


@dataclass(slots=True)
class Incidents:
    """The incidents of one service, event by event along the log."""

    service: str
    #: The reports that stand, by who reported.
    _blames: dict[str, IncidentReported] = field(default_factory=dict)
    #: The reports of an incident that is over, and how people know it.
    _ended: dict[str, str] = field(default_factory=dict)
    #: Who blames another one already, for which error, while the report is on its way from the one blamed before: all
    #: of those moves, for the blame may come back and move again.
    _ahead: dict[tuple[str, str], list[IncidentMoved]] = field(default_factory=dict)
    _current: _Current | None = None
    _over_at: datetime | None = None
    #: When each metric left its normal in this incident: the first time from, the last time to.
    _breached: dict[str, tuple[datetime, datetime]] = field(default_factory=dict)
    _recovered: dict[str, datetime] = field(default_factory=dict)
    _changes: list[tuple[datetime, str]] = field(default_factory=list)

    def learn(self, past: Past[DomainEvent]) -> Sequence[DomainEvent]:
        """Take the next event in: an incident may begin, move, or be over with it; returns what is said of that."""
        if self._current is not None:
            self._current.heard_at = max(self._current.heard_at, past.at)
        match past.data:
            case MetricBreached() as breach:
                self._measure(breach)
            case MetricRecovered(metric=metric):
                self._recovered[metric] = max(past.at, self._recovered.get(metric, past.at))
            case ServiceDeployed() | ConfigChanged():
                self._changes.append((past.at, past.id))
            case IncidentReported() as report:
                return self._report(report)
            case IncidentMoved() as moved:
                return self._move(moved, past.at)
            case EscalationDue(rounds=rounds):
                return [*self._call(rounds), *self._resolve()]
        return self._resolve()

    def _measure(self, breach: MetricBreached) -> None:
        ended_at = max((ended for _, ended in self._breached.values()), default=breach.from_at)
        if self._current is None and breach.from_at > ended_at + OVER_AFTER:
            self._breached, self._recovered = {}, {}
        began, ended = self._breached.get(breach.metric, (breach.from_at, breach.to_at))
        self._breached[breach.metric] = min(began, breach.from_at), max(ended, breach.to_at)

    def _report(self, report: IncidentReported) -> Sequence[DomainEvent]:
        ahead = self._ahead.get((report.reported_by, report.error_event_id))
        if ahead:
            return [_handed_on(ahead.pop(0), report.incident_id)]
        self._blames[report.reported_by] = report
        known_as = self._ended.pop(report.reported_by, None)
        if self._current is not None:
            self._current.reporters.add(report.reported_by)
            self._current.known_as = self._current.known_as or report.incident_id
            return ()
        is_late = self._over_at is not None and report.error_at <= self._over_at + OVER_AFTER
        if is_late and report.incident_id in (None, known_as):
            del self._blames[report.reported_by]
            self._ended[report.reported_by] = known_as or report.error_event_id
            return ()
        self._current = _Current(report, report.error_at, report.incident_id, reporters={report.reported_by})
        return [EscalationDue(service=self.service, rounds=1)]

    def _move(self, moved: IncidentMoved, at: datetime) -> Sequence[DomainEvent]:
        known_as = self._ended.pop(moved.reported_by, None)
        if known_as is not None:
            return [_handed_on(moved, known_as)]
        if self._blames.pop(moved.reported_by, None) is None:
            self._ahead.setdefault((moved.reported_by, moved.error_event_id), []).append(moved)
            return ()
        current = self._current
        assert current is not None, "a report stands as long as its incident goes on"
        said: list[DomainEvent] = [_handed_on(moved, current.known_as)]
        if self._blames:
            current.first = next(iter(self._blames.values()))
        else:
            self._current = None
            if current.is_called:
                said.append(self._ended_with(current, at, moved_to=moved.moved_to))
        return said

    def _call(self, rounds: int) -> Sequence[DomainEvent]:
        current = self._current
        if current is None or current.is_called:
            return ()
        if rounds < ROUNDS:
            return [EscalationDue(service=self.service, rounds=rounds + 1)]
        known_as, current.is_called, current.known_as = current.known_as, True, current.id
        report = current.first
        evidence = report.culprit_event_id, report.error_event_id
        reason = f"{self._reason(report)}; whoever else it meets is told so by a verdict"
        if known_as is not None:
            reason = f"not as was said before: {reason}"
            return [
                EscalationCorrected(
                    service=self.service, failure=report.failure, reason=reason, evidence=evidence, incident_id=known_as
                )
            ]
        return [
            EscalationRequested(
                service=self.service, failure=report.failure, reason=reason, evidence=evidence, incident_id=current.id
            )
        ]

    def _reason(self, report: IncidentReported) -> str:
        if report.failure == INCONCLUSIVE:
            return f"errors of {self.service}: what was lost does not add up to one service"
        return (
            f"{self.service} is behind errors of {', '.join(sorted(self._blames))}: it lost {report.loss:.6g} itself,"
            f" event {report.culprit_event_id} is to blame"
        )

    def _resolve(self) -> Sequence[DomainEvent]:
        current = self._current
        if current is None or not current.is_called or not self._breached:
            return ()
        from_at = min(began for began, _ in self._breached.values())
        to_at = max(ended for _, ended in self._breached.values())
        is_back = all(self._recovered.get(metric, from_at) >= ended for metric, (_, ended) in self._breached.items())
        if not is_back and current.heard_at < to_at + OVER_AFTER:
            return ()
        over = self._ended_with(current, current.heard_at)
        self._ended |= dict.fromkeys(self._blames, current.id)
        self._current, self._over_at, self._blames = None, to_at, {}
        self._breached, self._recovered = {}, {}
        return [over]

    def _ended_with(self, current: _Current, at: datetime, moved_to: str | None = None) -> IncidentResolved:
        """What is said of an incident that is over, or goes on elsewhere; at that time where nothing was measured."""
        from_at = min((began for began, _ in self._breached.values()), default=at)
        to_at = max((ended for _, ended in self._breached.values()), default=at)
        return IncidentResolved(
            service=self.service,
            incident_id=current.id,
            failure=current.first.failure,
            culprit_event_id=current.first.culprit_event_id,
            from_at=from_at,
            to_at=to_at,
            stopped_by=None if moved_to else self._stopped_by(current.first, from_at, to_at),
            moved_to=moved_to,
            reports=len(current.reporters),
        )

    def _stopped_by(self, report: IncidentReported, from_at: datetime, to_at: datetime) -> str | None:
        """The last change after it began and no later than the first moment without a breach."""
        later = [each for each in self._changes if from_at < each[0] <= to_at + OVER_AFTER]
        others = [change_id for _, change_id in sorted(later) if change_id != report.culprit_event_id]
        return others[-1] if others else None


def _handed_on(moved: IncidentMoved, known_as: str | None) -> IncidentReported:
    """The report for the service that is blamed now."""
    return IncidentReported(
        service=moved.moved_to,
        reported_by=moved.reported_by,
        error_event_id=moved.error_event_id,
        error_at=moved.error_at,
        failure=moved.failure,
        culprit_event_id=moved.culprit_event_id,
        loss=moved.loss,
        incident_id=known_as,
    )
