"""Cases: a fault at a random place of a graph, everything told of it, and who is behind each alarm.

The fault lasts from a few minutes to most of an hour. Some services alarm while it does. Around it services change that
have nothing to do with it, and others that nobody alarmed about are slow for reasons of their own.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from app.simulator.services.faults import Fault, Harm, Network
from app.simulator.services.graph import graph
from app.simulator.services.telling import Log, Monitors

#: A service becomes slow, or fails, by itself; after a deployment; after a change of configuration; so deep that its
#: callers' callers alarm; so slow that its callers run into their time limits and fail; two services at once.
Kind = Literal["latency", "errors", "deployment", "configuration", "cascade", "timeouts", "two_at_once"]
KINDS: Final[Sequence[Kind]] = (
    "latency", "errors", "deployment", "configuration", "cascade", "timeouts", "two_at_once",
)  # fmt: skip

_START: Final = datetime(2026, 3, 2, 6, tzinfo=UTC)
_MINUTE: Final = timedelta(minutes=1)
#: A service alarms when it is hurt (see `Network.hurt`) this much.
_ALARMED_FROM: Final = 0.2
#: Of two faults the one behind an alarm hurts that service at least so many times as much as the other.
_CLEARLY: Final = 3
_MOST_ALARMS: Final = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """Who is behind an alarm."""

    alarm_id: str
    alarmed: str
    culprit: str
    #: The deployment or the change of configuration that broke it, if one did.
    change_id: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """How the trouble of one service ended."""

    service: str
    at: datetime
    #: The change that ended it, if one did.
    stopped_by: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """What was told, CloudEvents in the order they happened, and what is behind it."""

    kind: Kind
    events: Sequence[Mapping[str, Any]]
    answers: Sequence[Answer]
    ended: Sequence[Ended]


def case(
    seed: int, kind: Kind, *, missing: float = 0.0, unmeasured: float = 0.0, start: datetime = _START, place: str = ""
) -> Case:
    """Play a fault on the day that begins at `start` (UTC), among services whose names begin with the place.

    `missing` is the share of reports, and of calls, that nobody tells of; `unmeasured` the share of metrics that nobody
    measures at all.
    """
    chance = random.Random(f"services {seed} {kind}")  # noqa: S311 - a simulation
    while True:
        log = Log(f"{kind}-{seed}-")
        network = Network(chance, graph(chance, place))
        played = _Telling(chance, kind, network, log, start, missing=missing, unmeasured=unmeasured).played()
        # Nobody alarms about a fault that hardly hurts, nor about one that answers did without.
        if played.answers:
            return played


class _Telling:
    """One case while it is told."""

    def __init__(
        self,
        chance: random.Random,
        kind: Kind,
        network: Network,
        log: Log,
        start: datetime,
        *,
        missing: float,
        unmeasured: float,
    ) -> None:
        self._chance, self._kind, self._start = chance, kind, start
        self._network, self._log = network, log
        self._nodes = self._network.graph.nodes
        self._calls = self._network.graph.calls
        self._is_slow = self._slow()
        self._traced = {name for name in self._nodes if chance.random() < 0.2}
        self._known = {
            name: [called for called in those if chance.random() >= missing] for name, those in self._calls.items()
        }
        self._began_at = self._start + chance.randrange(180, 600) * _MINUTE + timedelta(seconds=chance.randrange(60))
        self._span = chance.choice((1, 5, 5)) * _MINUTE
        self._monitors = Monitors(
            chance=chance,
            network=network,
            log=log,
            span=self._span,
            shifts=self._shifts(),
            unmeasured=frozenset(
                (name, metric)
                for name in self._nodes
                for metric in ("latency", "availability")
                if chance.random() < unmeasured
            ),
            lost=missing,
        )

    def played(self) -> Case:
        """All of it, told; without answers where nobody alarms."""
        faults = [self._fault(name) for name in self._culprits()]
        answers = [self._answer(name, faults) for name in self._alarmed(faults)]
        self._innocent_changes(faults)
        self._graph_is_told(self._start)
        last_at = max(fault.to_at for fault in faults)
        others = self._others(answers)
        begin_at = self._start + (self._began_at - self._start) // self._span * self._span - 2 * self._span
        self._monitors.report([*faults, *others], begin_at, last_at + 2 * self._span)
        if self._chance.random() < 0.5:
            self._monitors.recovered(last_at + 3 * self._span)
        self._graph_is_told(last_at + 60 * _MINUTE)
        return Case(
            kind=self._kind,
            events=self._log.in_order(),
            answers=answers,
            ended=[Ended(service=each.service, at=each.to_at, stopped_by=each.stopped_by) for each in faults],
        )

    def _slow(self) -> bool:
        """Whether what is wrong takes time, rather than failing."""
        if self._kind in ("latency", "timeouts"):
            return True
        return self._kind != "errors" and self._chance.random() < 0.5

    def _shifts(self) -> Mapping[str, timedelta]:
        """Most teams' monitors keep the clock's rhythm; in some places each has its own."""
        if self._chance.random() < 0.75:
            return dict.fromkeys(self._nodes, timedelta())
        return {name: self._chance.choice((0, 0, 0.2, 0.4)) * self._span for name in self._nodes}

    def _culprits(self) -> Sequence[str]:
        if self._kind == "cascade":
            return [self._chance.choice([name for name, node in self._nodes.items() if node.layer >= 3])]
        called = [name for name, node in self._nodes.items() if node.layer or self._kind != "timeouts"]
        return self._chance.sample(called, 2 if self._kind == "two_at_once" else 1)

    def _fault(self, name: str) -> Fault:
        node = self._nodes[name]
        from_at = self._began_at
        to_at = from_at + self._chance.uniform(12, 40) * _MINUTE
        slower = node.latency * self._chance.uniform(1, 6) + 0.05
        harm = Harm(slower, 0.0) if self._is_slow else Harm(0.0, self._chance.uniform(0.05, 0.6))
        timed_out = 0.0
        if self._kind == "timeouts":
            harm, timed_out = Harm(40 * node.latency + 5, 0.0), self._chance.uniform(0.3, 0.9)
        change_id, stopped_by = self._own_changes(name, from_at, to_at)
        return Fault(
            service=name, harm=harm, from_at=from_at, to_at=to_at, timed_out=timed_out,
            change_id=change_id, stopped_by=stopped_by,
        )  # fmt: skip

    def _own_changes(self, name: str, from_at: datetime, to_at: datetime) -> tuple[str | None, str | None]:
        """The change that broke it and the one that ended it; one hours before has nothing to do with it."""
        self._change(name, from_at - self._chance.uniform(120, 170) * _MINUTE)
        if self._kind == "configuration":
            before = self._chance.uniform(0.1, 20)
            return self._configured(name, from_at - before * _MINUTE), self._configured(name, to_at, back=True)
        if self._kind in ("deployment", "cascade"):
            before = self._chance.uniform(0.1, 12)
            return self._deployed(name, from_at - before * _MINUTE), self._deployed(name, to_at)
        return None, self._deployed(name, to_at) if self._chance.random() < 0.3 else None

    def _alarmed(self, faults: Sequence[Fault]) -> Sequence[str]:
        """Who alarms: one that is called from outside, and some of the others that are hurt."""
        alone = [self._network.harm([(fault, 1.0)]) for fault in faults]
        hurt = {name: sorted(self._network.hurt(name, harm[name]) for harm in alone) for name in self._nodes}
        clear = [
            name
            for name, each in hurt.items()
            if each[-1] >= _ALARMED_FROM and (len(each) == 1 or each[-1] >= _CLEARLY * each[0])
        ]
        if self._kind in ("cascade", "timeouts"):
            clear = [name for name in clear if self._nodes[name].layer < 2]
        outer = [name for name in clear if not self._nodes[name].layer]
        if not outer:
            return ()
        first = self._chance.choice(outer)
        others = [name for name in clear if name != first]
        return [first, *self._chance.sample(others, min(len(others), self._chance.randrange(_MOST_ALARMS)))]

    def _answer(self, alarmed: str, faults: Sequence[Fault]) -> Answer:
        behind = max(faults, key=lambda each: self._network.hurt(alarmed, self._network.harm([(each, 1.0)])[alarmed]))
        spans = (self._began_at - self._start) // self._span + self._chance.choice((1, 2))
        measured_at = self._start + spans * self._span + self._monitors.shifts[alarmed]
        alarm_id = self._log.tell(
            "ErrorOccurred",
            alarmed,
            max(measured_at, self._began_at + _MINUTE) + timedelta(seconds=self._chance.randrange(1, 50)),
            step="objective",
            error="ObjectiveMissed",
            message=f"{alarmed} is out of its objective",
        )
        return Answer(alarm_id=alarm_id, alarmed=alarmed, culprit=behind.service, change_id=behind.change_id)

    def _others(self, answers: Sequence[Answer]) -> Sequence[Fault]:
        """Trouble of a service that none of those alarmed calls, at the same time."""
        reached = {name for each in answers for name in self._network.graph.reached_from(each.alarmed)}
        aside = [name for name in self._nodes if name not in reached]
        if not aside or self._chance.random() < 0.5:
            return ()
        name = self._chance.choice(aside)
        begin = self._began_at - self._chance.uniform(0, 10) * _MINUTE
        harm = Harm(self._nodes[name].latency * 5, 0.3)
        return [Fault(service=name, harm=harm, from_at=begin, to_at=begin + 30 * _MINUTE)]

    def _innocent_changes(self, faults: Sequence[Fault]) -> None:
        """Changes of services that are not to blame, one of them often of a caller right before."""
        culprits = {fault.service for fault in faults}
        others = [name for name in self._nodes if name not in culprits]
        for name in self._chance.sample(others, self._chance.randrange(4)):
            self._change(name, self._began_at + self._chance.uniform(-40, 40) * _MINUTE)
        callers = [name for name in others if culprits & self._calls[name].keys()]
        if callers and self._chance.random() < 0.5:
            self._change(self._chance.choice(callers), self._began_at - self._chance.uniform(0, 10) * _MINUTE)

    def _change(self, name: str, at: datetime) -> str:
        return self._chance.choice((self._deployed, self._configured))(name, at)

    def _deployed(self, name: str, at: datetime) -> str:
        return self._log.tell("ServiceDeployed", name, at, version=f"1.{self._chance.randrange(90)}")

    def _configured(self, name: str, at: datetime, *, back: bool = False) -> str:
        old, new = (50, 10) if back else (10, 50)
        return self._log.tell("ConfigChanged", name, at, key="pool_size", old=old, new=new)

    def _graph_is_told(self, at: datetime) -> None:
        """Who calls whom: declared by the teams, for some services seen in traces; some of it by nobody."""
        for name, node in self._nodes.items():
            if name not in self._traced:
                self._log.tell("DependencyDeclared", name, at, kind=node.kind, calls=self._known[name])
                continue
            for called in self._known[name]:
                seen_at = at + self._chance.uniform(1, 30) * _MINUTE
                self._log.tell("DependencyObserved", name, seen_at, calls=called)
