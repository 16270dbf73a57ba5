"""Short ways to write what monitors tell of services that call each other, and to play it through the platform."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from agents.model.catalogue import Catalogue
from agents.platform.domain import platform
from app.testing.choreography import Choreography, Sending
from tables.event import Event, to_json

TEN = datetime(2026, 11, 27, 10, tzinfo=UTC)
CATALOGUE = Catalogue([platform])
_DAY_BEFORE = -24 * 60.0


def told(event_type: str, event_id: str, minute: float, *, by: str | None = None, **data: Any) -> Event:
    """An event so many minutes after ten o'clock."""
    at = TEN + timedelta(minutes=minute)
    return Event(id=event_id, source="urn:test:monitor", type=event_type, time=at, data=data, causationid=by)


def calls(service: str, *called: str, kind: str | None = None, minute: float = _DAY_BEFORE) -> Event:
    rest = {"kind": kind} if kind else {}
    return told("DependencyDeclared", f"calls-{service}-{minute}", minute, service=service, calls=list(called), **rest)


def slow(service: str, seconds: float, minute: float = 0, *, requests: int = 100) -> Event:
    """All requests of the five minutes from then on took together so many seconds longer than usual."""
    return _breached(service, minute, "latency", value=1 + seconds / requests, normal=1.0, requests=requests)


def failing(service: str, failed: int, minute: float = 0, *, requests: int = 1_000) -> Event:
    """So many requests of the five minutes from then on failed."""
    return _breached(
        service, minute, "availability", value=100 - 100 * failed / requests, normal=100.0, requests=requests
    )


def _breached(service: str, minute: float, metric: str, **data: Any) -> Event:
    from_at, to_at = (TEN + timedelta(minutes=each) for each in (minute, minute + 5))
    return told(
        "MetricBreached",
        f"{service}-{metric}-{minute:g}",
        minute + 5,
        service=service,
        metric=metric,
        from_at=from_at.isoformat(),
        to_at=to_at.isoformat(),
        **data,
    )


def suggested(service: str, by: str, seconds: float, minute: float = 0, **candidate: Any) -> Event:
    """What a service that this one calls lost itself in the five minutes from then on, as it tells it."""
    from_at, to_at = (TEN + timedelta(minutes=each) for each in (minute, minute + 5))
    own = {"service": by, "event_id": f"{by}-latency-{minute:g}", "loss": seconds, "measured": True, "path": []}
    return told(
        "CauseSuggested",
        f"suggested-{by}-{minute:g}",
        minute + 5,
        service=service,
        suggested_by=by,
        metric="latency",
        from_at=from_at.isoformat(),
        to_at=to_at.isoformat(),
        loss=seconds,
        candidates=[own | candidate],
    )


def deployed(service: str, minute: float) -> Event:
    return told("ServiceDeployed", f"deployed-{service}", minute, service=service, version="2")


def alarm(service: str, minute: float = 5, event_id: str = "alarm") -> Event:
    return told("ErrorOccurred", event_id, minute, service=service, step="objective", error="Missed", message="")


def play(events: Iterable[Event], latency: int = 3) -> Choreography:
    """Play them through the agents of the platform; what they say arrives so many events later."""
    sendings = [Sending(to_json(event)) for event in events]
    return Choreography(catalogue=CATALOGUE, latency=lambda _: latency).run(sendings)
