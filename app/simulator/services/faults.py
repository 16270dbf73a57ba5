"""Faults: one service becomes slow or fails for a time, and what of it reaches those that call it.

Callers wait as long as whom they call, and fail where these fail, less what they catch: a cache, a retry, an answer
without it. A caller with a time limit does not wait on: it fails instead.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from app.simulator.services.graph import Graph

#: How much of what a called service does wrong its callers catch. Most catch nothing.
_CATCHES: Final = (0.0, 0.0, 0.0, 0.1, 0.3)
#: So many times the usual latency of whom it calls a caller waits, where it has a time limit.
_PATIENCE: Final = 3


class Harm(NamedTuple):
    """How much worse than usual one request of a service is."""

    #: How much longer it takes.
    seconds: float
    #: Which share of them fails, 0 to 1.
    failing: float


NO_HARM: Final = Harm(0.0, 0.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """What is wrong with one service, by itself, and when."""

    service: str
    harm: Harm
    from_at: datetime
    to_at: datetime
    #: Which of its callers' calls run into their time limit, 0 to 1.
    timed_out: float = 0.0
    #: The event after which it went wrong: a deployment, a setting; and the one after which it was well again.
    change_id: str | None = None
    stopped_by: str | None = None

    def share_of(self, from_at: datetime, to_at: datetime) -> float:
        """For which share of a time it was there, 0 to 1."""
        both = min(to_at, self.to_at) - max(from_at, self.from_at)
        return max(0.0, both / (to_at - from_at))


class Network:
    """The graph with what its callers catch."""

    def __init__(self, chance: random.Random, graph: Graph) -> None:
        self.graph = graph
        #: By caller and called: which share of what goes wrong the caller catches, 0 to 1.
        self.caught = {
            (caller, called): chance.choice(_CATCHES) for caller, those in graph.calls.items() for called in those
        }

    def harm(self, faults: Iterable[tuple[Fault, float]]) -> Mapping[str, Harm]:
        """How every service does while these faults are there, each for a share of the time, 0 to 1."""
        own = {fault.service: (fault, share) for fault, share in faults}
        harm: dict[str, Harm] = {}
        for name in self.graph.deepest_first():
            seconds, working = 0.0, 1.0
            for called, often in self.graph.calls[name].items():
                passed_on = 1 - self.caught[name, called]
                waits, fails = harm[called]
                fault, share = own.get(called, (None, 0.0))
                if fault is not None and fault.timed_out:
                    waits = min(waits, _PATIENCE * self.graph.nodes[called].latency * share)
                    fails = max(fails, fault.timed_out * share)
                seconds += often * waits * passed_on
                working *= 1 - min(1.0, often) * fails * passed_on
            if name in own:
                fault, share = own[name]
                seconds += fault.harm.seconds * share
                working *= 1 - fault.harm.failing * share
            harm[name] = Harm(seconds, 1 - working)
        return harm

    def hurt(self, name: str, harm: Harm) -> float:
        """How bad that is for whoever waits for the service: 1 is twice as slow, or one request in ten failed."""
        return max(harm.seconds / self.graph.nodes[name].latency, 10 * harm.failing)
