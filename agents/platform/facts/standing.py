"""Standing: what one service knows of its calls, breaches and changes, and what it makes of them.

Everything follows from what is remembered, whatever the order it arrived in: of the same thing the newest holds. So
two services that know the same say the same, and saying it again changes nothing.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from agents.model.event import DomainEvent
from agents.model.history import Past
from agents.platform.events.calls import (
    AVAILABILITY,
    CLIENT,
    LATENCY,
    MOST_HOPS,
    OUTSIDE,
    UNKNOWN_CALLER,
    CauseCandidate,
    CauseSuggested,
    DependencyDeclared,
    DependencyObserved,
    DependentDeclared,
    MetricBreached,
    Span,
)
from agents.platform.events.findings import BAD_CONFIGURATION, BAD_DEPLOYMENT
from agents.platform.events.services import ConfigChanged, ErrorOccurred, ServiceDeployed
from agents.platform.facts.losses import is_same, loss_of, span_of, timed_out_by
from agents.platform.facts.spans import Key, Spans
from agents.platform.facts.told import Loss, likeliest

#: How long before a breach a change may have led to it. Own choice: what a change breaks is measured within the hour.
CHANGED_WITHIN: Final = timedelta(hours=1)

#: How far away what a service said still stands for a moment of which it said nothing. Own choice: a report or two of
#: five minutes may be missing.
NEARBY: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class _Change:
    at: datetime
    id: str
    failure: str


@dataclass(slots=True)
class Standing:
    """One service as of the event decided on."""

    service: str
    kind: str | None = None
    #: The time of the newest event about its calls.
    heard_at: datetime | None = None
    _declared: tuple[datetime, str, frozenset[str]] | None = None
    _observed: set[str] = field(default_factory=set)
    _dependents: dict[str, tuple[datetime, bool]] = field(default_factory=dict)
    _breaches: dict[Key, Past[MetricBreached]] = field(default_factory=dict)
    _suggested: dict[tuple[str, Key], CauseSuggested] = field(default_factory=dict)
    _inferred: dict[tuple[str, Key], CauseSuggested] = field(default_factory=dict)
    #: The last two by time.
    _own: Spans[None] = field(default_factory=Spans)
    _by_time: Spans[CauseSuggested] = field(default_factory=Spans)
    _changes: list[_Change] = field(default_factory=list)
    #: What was worked out since the last event that may change it.
    _worked_out: dict[Key, Loss] = field(default_factory=dict)

    def learn(self, past: Past[DomainEvent]) -> None:
        """Take the next event in."""
        if not isinstance(past.data, ErrorOccurred):
            self._worked_out.clear()
        self._take(past)

    def _take(self, past: Past[DomainEvent]) -> None:
        match past.data:
            case DependencyDeclared(kind=kind, calls=calls):
                self.heard_at = max(past.at, self.heard_at or past.at)
                declared = past.at, past.id, frozenset(calls) - {self.service}
                if self._declared is None or declared[:2] >= self._declared[:2]:
                    self._declared, self.kind = declared, kind
            case DependencyObserved(calls=called):
                self.heard_at = max(past.at, self.heard_at or past.at)
                self._observed.add(called)
            case DependentDeclared(dependent=dependent, holds=holds, declared_at=at):
                known = self._dependents.get(dependent)
                if known is None or at >= known[0]:
                    self._dependents[dependent] = at, holds
            case MetricBreached() as breach:
                self._measure((breach.metric, *span_of(breach)), Past(breach, past.at, past.id))
            case CauseSuggested() as suggested:
                self._hear((suggested.metric, suggested.from_at, suggested.to_at), suggested)
            case ServiceDeployed():
                self._changes.append(_Change(past.at, past.id, BAD_DEPLOYMENT))
            case ConfigChanged():
                self._changes.append(_Change(past.at, past.id, BAD_CONFIGURATION))

    def _hear(self, key: Key, suggested: CauseSuggested) -> None:
        if suggested.inferred:
            self._inferred[suggested.suggested_by, key] = suggested
        else:
            self._suggested[suggested.suggested_by, key] = suggested
            self._by_time.put(suggested.suggested_by, key, suggested)

    def _measure(self, key: Key, breach: Past[MetricBreached]) -> None:
        """The newest report of a span holds; of one reported again, under another id, always the same."""
        known = self._breaches.get(key)
        if known is None or breach.at > known.at or (breach.at == known.at and breach.id < known.id):
            self._breaches[key] = breach
            self._own.put(self.service, key, None)

    @property
    def calls(self) -> frozenset[str]:
        """Which services this one calls: those declared, and those seen."""
        declared = self._declared[2] if self._declared else frozenset[str]()
        return declared | (self._observed - {self.service})

    @property
    def dependents(self) -> Sequence[str]:
        """Which services call this one, by name; nobody known, the one that stands for them. Nobody calls a client."""
        known = sorted(name for name, (_, holds) in self._dependents.items() if holds)
        return known or (() if self.kind == CLIENT else (UNKNOWN_CALLER,))

    def losses(self, about: Key | None = None) -> Mapping[Key, Loss]:
        """What it tells its callers: of its own breaches, and of what it hears from those it calls where it has none.

        With `about`, only of the metric and the moments near that.
        """
        keys = dict.fromkeys([*self._breaches, *(key for _, key in self._suggested)])
        told = {}
        for key in keys:
            if about is not None and not _is_near(key, about):
                continue
            if key in self._breaches or self._breach(key) is None:
                told[key] = self._loss(key)
        return told

    def loss(self, key: Key) -> Loss:
        """What was lost in a moment, and who may be behind it, the likeliest first."""
        return self._loss(key)

    def inferred(self, key: Key) -> tuple[CauseCandidate, ...]:
        """Who lost at that moment as well, of those that nobody is known to call."""
        told = [each for (_, other), each in self._inferred.items() if _is_about(other, key)]
        slow = [each for (_, other), each in self._inferred.items() if _is_about(other, (LATENCY, *key[1:]))]
        waited = (each for each in self._handed(slow) if key[0] == AVAILABILITY and each.timed_out)
        failed = (each.model_copy(update={"loss": float(each.timed_out)}) for each in waited)
        return likeliest([*self._handed(told), *failed])

    def inferred_of(self, service: str, metric: str, span: Span) -> float:
        """What a service that nobody is known to call lost itself in a span of time."""
        return sum(
            max((each.loss for each in told.candidates if each.service == service), default=0.0)
            for (_, key), told in self._inferred.items()
            if key[0] == metric and key[1] <= span[1] and key[2] >= span[0]
        )

    def lost_by(self, service: str, metric: str, span: Span) -> float:
        """What a service that this one is, or calls, lost itself in a span of time, as far as is known."""
        known = dict.fromkeys([*self._breaches, *(key for _, key in self._suggested)])
        keys = [key for key in known if key[0] == metric and key[1] <= span[1] and key[2] >= span[0]]
        return sum(each.loss for key in keys for each in self._loss(key).candidates if each.service == service)

    def names(self, service: str, other: str) -> bool:
        """Whether a service that nobody is known to call was told that another one is behind what it lost."""
        return any(
            by == service and any(each.service == other for each in told.candidates)
            for (by, _), told in self._inferred.items()
        )

    def near(self, at: datetime, within: timedelta) -> tuple[tuple[Key, ...], tuple[Key, ...]]:
        """The moments no farther than this, ten minutes at most, from a time: its own breaches, and those heard of."""
        moments, calls = [(metric, at, at) for metric in (AVAILABILITY, LATENCY)], self.calls
        own = {key for moment in moments for _, key, _ in self._own.near(moment)}
        heard = {
            key
            for moment in moments
            for name, key, told in self._by_time.near(moment)
            if told.candidates and name in calls
        }
        return (
            tuple(sorted(key for key in own if key[1] - within <= at <= key[2] + within)),
            tuple(sorted(key for key in heard if key[1] - within <= at <= key[2] + within)),
        )

    def share(self, key: Key) -> float:
        """What a breach of its own cost, as a share of what is normal for as many requests."""
        breach = self._breaches[key].data
        lost = loss_of(breach) or 0.0
        usual = breach.requests * (breach.normal if breach.metric == LATENCY else 1)
        return lost / usual if usual else 0.0

    def _loss(self, key: Key) -> Loss:
        known = self._worked_out.get(key)
        if known is None:
            known = self._worked_out[key] = self._work_out(key)
        return known

    def _work_out(self, key: Key) -> Loss:
        breach = self._breach(key)
        heard, nearby = self._heard(key)
        total = loss_of(breach.data) if breach else None
        handed = list(self._handed(heard))
        if breach is not None and total is not None:
            rest = total - self._lost_by((*heard, *nearby), total)
            for slow in self._too_slow(key, {each.suggested_by for each in (*heard, *nearby)}):
                explained = min(rest, slow.timed_out)
                if explained > 0:
                    handed.append(slow.model_copy(update={"loss": round(explained, 6)}))
                    rest -= explained
            if rest > 0:
                handed.append(self._candidate(breach, rest))
        return Loss(total, likeliest(handed or self._handed(nearby)))

    def _too_slow(self, key: Key, failed: Container[str]) -> Sequence[CauseCandidate]:
        """Those called that did not fail but were so slow that requests of this one did, the greatest loss first."""
        if key[0] != AVAILABILITY:
            return ()
        now, nearby = self._heard((LATENCY, *key[1:]))
        slow = [
            each
            for told in (*now, *nearby)
            for each in self._handed([told])
            if each.service == told.suggested_by not in failed and each.timed_out
        ]
        return sorted(slow, key=lambda each: (-each.loss, each.service))

    def _breach(self, key: Key) -> Past[MetricBreached] | None:
        exact = self._breaches.get(key)
        if exact is not None:
            return exact
        same = [own for _, own, _ in self._own.near(key) if _is_about(own, key)]
        return self._breaches[min(same)] if same else None

    def _heard(self, key: Key) -> tuple[Sequence[CauseSuggested], Sequence[CauseSuggested]]:
        """The newest of each service that this one calls; and of those that are silent what they said of a time nearby.

        A report that is missing must not make its caller the culprit, nor count twice.
        """
        heard: dict[str, tuple[timedelta, Key, CauseSuggested]] = {}
        calls = self.calls
        for name, told, suggested in self._by_time.near(key):
            if name not in calls or not suggested.candidates:
                continue
            away = timedelta(0) if is_same(told[1:], key[1:]) else abs(told[2] - key[2])
            if away <= NEARBY and (name not in heard or (away, _last(told)) < (heard[name][0], _last(heard[name][1]))):
                heard[name] = away, told, suggested
        by_name = [heard[name] for name in sorted(heard)]
        now = [suggested for away, _, suggested in by_name if not away]
        return now, [suggested for away, _, suggested in by_name if away]

    def _handed(self, heard: Iterable[CauseSuggested]) -> Iterator[CauseCandidate]:
        for suggested in heard:
            for each in suggested.candidates:
                path = (*each.path, suggested.suggested_by) if each.service != suggested.suggested_by else each.path
                if self.service not in (each.service, *path) and len(path) <= MOST_HOPS:
                    yield each.model_copy(update={"path": path})

    def _lost_by(self, told: Iterable[CauseSuggested], total: float) -> float:
        """What of the total the services called have lost; what silent ones hand on counts once, not for each."""
        measured, unmeasured = 0.0, dict[str, float]()
        for each in told:
            if each.loss is not None:
                measured += each.loss if self._is_behind(each, each.loss, total) else 0
                continue
            for candidate in each.candidates:
                if candidate.service != self.service and self._is_behind(each, candidate.loss, total):
                    unmeasured[candidate.service] = max(candidate.loss, unmeasured.get(candidate.service, 0.0))
        return min(measured + sum(unmeasured.values()), total)

    def _is_behind(self, told: CauseSuggested, lost: float, total: float) -> bool:
        """Whether what a service called has lost counts: of two that call each other only where it has lost more."""
        if all(each.service == self.service for each in told.candidates):
            return False
        is_mutual = self._dependents.get(told.suggested_by, (None, False))[1]
        return not is_mutual or (lost, told.suggested_by) > (total, self.service)

    def _candidate(self, breach: Past[MetricBreached], loss: float) -> CauseCandidate:
        began = breach.data.from_at
        # What changed while it was measured may have led to it as well.
        changes = [each for each in self._changes if began - CHANGED_WITHIN <= each.at < breach.data.to_at]
        change = max(changes, key=lambda each: (each.at, each.id), default=None)
        return CauseCandidate(
            service=self.service,
            event_id=breach.id,
            loss=round(loss, 6),
            # Who never told whom it calls may call others.
            calls_others=bool(self.calls) or self.heard_at is None,
            timed_out=timed_out_by(breach.data),
            measured=self.kind not in OUTSIDE,
            change_id=change.id if change else None,
            change_failure=change.failure if change else None,
            path=(),
        )


def _last(key: Key) -> tuple[datetime, Key]:
    return key[2], key


def _is_about(one: Key, other: Key) -> bool:
    return one[0] == other[0] and is_same(one[1:], other[1:])


def _is_near(one: Key, other: Key) -> bool:
    """Whether what is known of the other moment may change what was lost in this one: who is slow makes others fail."""
    return (one[0] == other[0] or (one[0], other[0]) == (AVAILABILITY, LATENCY)) and (
        is_same(one[1:], other[1:]) or abs(one[2] - other[2]) <= NEARBY
    )
