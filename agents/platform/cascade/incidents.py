"""Incidents: what others blame on a service is one incident, however many they are, until its metrics are normal again.

People hear once, when it begins. It is over when every metric that left its normal was told to be back, or when the
service is heard of again and nothing was lost for a while; agents know no clock, so it takes an event to notice.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from agents.model.event import DomainEvent
from agents.model.history import Past
from agents.platform.cascade.verdicts import culprit_of, failure_of
from agents.platform.events.calls import (
    MOST_HOPS,
    IncidentReported,
    IncidentResolved,
    MetricBreached,
    MetricRecovered,
)
from agents.platform.events.findings import EscalationRequested
from agents.platform.events.services import ConfigChanged, ServiceDeployed
from agents.platform.facts.blame import blame
from agents.platform.facts.standing import Standing

#: So long after the last breach an incident is over. Own choice: three reports of five minutes.
OVER_AFTER: Final = timedelta(minutes=15)


@dataclass(slots=True)
class _Open:
    """An incident that goes on."""

    first: IncidentReported
    #: Who reported it.
    reporters: set[str]


@dataclass(slots=True)
class Incidents:
    """The incidents of one service, event by event along the log."""

    service: str
    _open: _Open | None = None
    _over_at: datetime | None = None
    #: When each metric left its normal in this incident: the first time from, the last time to.
    _breached: dict[str, tuple[datetime, datetime]] = field(default_factory=dict)
    _recovered: dict[str, datetime] = field(default_factory=dict)
    _changes: list[tuple[datetime, str]] = field(default_factory=list)

    def learn(self, past: Past[DomainEvent], standing: Standing) -> DomainEvent | None:
        """Take the next event in: an incident may begin, be passed on, or be over with it.

        A report is passed on where the service knows better: one that it calls has lost more.
        """
        match past.data:
            case MetricBreached() as breach:
                began, ended = self._breached.get(breach.metric, (breach.from_at, breach.to_at))
                self._breached[breach.metric] = min(began, breach.from_at), max(ended, breach.to_at)
            case MetricRecovered(metric=metric):
                self._recovered[metric] = max(past.at, self._recovered.get(metric, past.at))
            case ServiceDeployed() | ConfigChanged():
                self._changes.append((past.at, past.id))
            case IncidentReported() as report:
                return self._passed_on(report, past.at, standing) or self._report(report, past.at)
        return self._resolve(past.at)

    def _passed_on(self, report: IncidentReported, at: datetime, standing: Standing) -> IncidentReported | None:
        answer = blame(standing, at)
        if answer is None or not answer.is_conclusive or report.hops >= MOST_HOPS:
            return None
        first = answer.suspects[0]
        if first.service == self.service:
            return None
        return report.model_copy(
            update={
                "service": first.service,
                "failure": failure_of(answer),
                "culprit_event_id": culprit_of(first),
                "loss": first.loss,
                "hops": report.hops + 1,
            }
        )

    def _report(self, report: IncidentReported, at: datetime) -> EscalationRequested | None:
        if self._open is not None:
            self._open.reporters.add(report.reported_by)
            return None
        if self._over_at is not None and at <= self._over_at + OVER_AFTER:
            return None
        self._open = _Open(report, {report.reported_by})
        return EscalationRequested(
            service=self.service,
            failure=report.failure,
            reason=f"{self.service} is behind errors of {report.reported_by}: it lost {report.loss:.6g} itself,"
            f" event {report.culprit_event_id} is to blame; whoever else it meets is told so by a verdict",
            evidence=(report.culprit_event_id, report.error_event_id),
        )

    def _resolve(self, at: datetime) -> IncidentResolved | None:
        if self._open is None or not self._breached:
            return None
        from_at = min(began for began, _ in self._breached.values())
        to_at = max(ended for _, ended in self._breached.values())
        is_back = all(self._recovered.get(metric, from_at) >= ended for metric, (_, ended) in self._breached.items())
        if not is_back and at < to_at + OVER_AFTER:
            return None
        report, reporters = self._open.first, self._open.reporters
        self._open, self._over_at = None, to_at
        self._breached, self._recovered = {}, {}
        return IncidentResolved(
            service=self.service,
            failure=report.failure,
            culprit_event_id=report.culprit_event_id,
            from_at=from_at,
            to_at=to_at,
            stopped_by=self._stopped_by(report, from_at, to_at),
            reports=len(reporters),
        )

    def _stopped_by(self, report: IncidentReported, from_at: datetime, to_at: datetime) -> str | None:
        """The last change after it began and no later than the first moment without a breach."""
        later = [each for each in self._changes if from_at < each[0] <= to_at + OVER_AFTER]
        others = [change_id for _, change_id in sorted(later) if change_id != report.culprit_event_id]
        return others[-1] if others else None
