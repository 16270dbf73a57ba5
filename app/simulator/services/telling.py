"""Telling: what monitors, traces, pipelines and alarms tell of the services, as CloudEvents for anybody to read."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from app.simulator.services.faults import NO_HARM, Fault, Harm, Network

#: What a latency varies by from one span to the next, as a share of it (standard deviation); a monitor reports what
#: leaves the normal by more than three times that. The same for the share of requests that fail.
_JITTER: Final = 0.04
_FAILING_JITTER: Final = 0.002
#: With so few requests in a span the average is many times the usual in a third of the spans, and means nothing: so it
#: is with PetShop's functions, of some ten requests in five minutes.
_FEW: Final = 40
_OUTLIERS: Final = 0.3
_SOURCE: Final = "urn:simulator:monitor"


@dataclass(slots=True)
class Log:
    """The events told so far."""

    #: What every id begins with.
    prefix: str
    events: list[dict[str, Any]] = field(default_factory=list)

    def tell(self, event_type: str, service: str, at: datetime, *, cause: str | None = None, **data: Any) -> str:
        """Add an event of a service; returns its id."""
        event_id = f"{self.prefix}{len(self.events)}"
        attributes = {"specversion": "1.0", "id": event_id, "source": _SOURCE, "type": event_type, "time": _text(at)}
        caused = {"causationid": cause} if cause else {}
        self.events.append({**attributes, **caused, "data": {"service": service, **data}})
        return event_id

    def in_order(self) -> Sequence[Mapping[str, Any]]:
        """All of them as they happened."""
        return sorted(self.events, key=lambda event: str(event["time"]))


@dataclass(kw_only=True, slots=True)
class Monitors:
    """What watches the services; a part of it is missing."""

    chance: random.Random
    network: Network
    log: Log
    #: How long a monitor measures before it tells, and how much later each service's begins to.
    span: timedelta
    shifts: Mapping[str, timedelta]
    #: Which metrics of which services nobody measures, and which share of the reports of all others gets lost.
    unmeasured: frozenset[tuple[str, str]]
    lost: float

    def report(self, faults: Sequence[Fault], from_at: datetime, to_at: datetime) -> None:
        """Everything that is out of its normal in the spans that begin between these times."""
        for name in self.network.graph.nodes:
            began = from_at + self.shifts[name]
            while began < to_at:
                shares = [(fault, fault.share_of(began, began + self.span)) for fault in faults]
                present = [(fault, share) for fault, share in shares if share]
                harm = self.network.harm(present)[name] if present else NO_HARM
                usual = self.network.graph.nodes[name].requests * (self.span / timedelta(minutes=1))
                requests = round(usual * self.chance.uniform(0.8, 1.2))
                for metric, value, normal in self._measured(name, harm, requests):
                    self._tell(name, metric, began, requests, value=value, normal=normal)
                began += self.span

    def _measured(self, name: str, harm: Harm, requests: int) -> Iterator[tuple[str, float, float]]:
        normal = self.network.graph.nodes[name].latency
        latency = (normal + harm.seconds) * (1 + self.chance.gauss(0, _JITTER))
        if requests < _FEW and self.chance.random() < _OUTLIERS:
            latency *= self.chance.uniform(2, 12)
        if latency > normal * (1 + 3 * _JITTER):
            yield "latency", latency, normal
        failing = min(1.0, abs(self.chance.gauss(0, _FAILING_JITTER)) + harm.failing)
        if failing > 3 * _FAILING_JITTER:
            yield "availability", 100 * (1 - failing), 100.0

    def _tell(self, name: str, metric: str, began: datetime, requests: int, *, value: float, normal: float) -> None:
        is_lost = self.chance.random() < self.lost
        if requests and not is_lost and (name, metric) not in self.unmeasured:
            self.log.tell(
                "MetricBreached",
                name,
                began + self.span,
                metric=metric,
                value=value,
                normal=normal,
                requests=requests,
                from_at=_text(began),
                to_at=_text(began + self.span),
            )

    def recovered(self, at: datetime) -> None:
        """Tell of every metric reported so far that it is normal again."""
        reported = {
            (event["data"]["service"], event["data"]["metric"]): None
            for event in self.log.events
            if event["type"] == "MetricBreached"
        }
        for name, metric in reported:
            self.log.tell("MetricRecovered", name, at + self.shifts[name], metric=metric)


def _text(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
