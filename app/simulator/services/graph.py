"""Graph: services in layers, each calling some of the deeper layers, with what is normal for each.

Whoever looks from outside calls the first layer; the last are databases and other people's endpoints. No name says
where a service stands.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

#: What the services of each layer are called by their teams, from outside in, and how many there are, from and below.
_LAYERS: Final = (
    ("service", (1, 4)),
    ("gateway", (2, 5)),
    ("container", (4, 13)),
    ("function", (3, 12)),
    ("sql", (2, 9)),
)
#: How many others one of each layer calls, from and below: most where the pages are put together, as in the shops
#: whose graphs are public (PetShop's site calls 13, the services behind it 1 to 6).
_CALLS: Final = ((4, 9), (2, 6), (1, 5), (1, 4))
#: How often for one request of the caller's own; some are called for few customers only.
_OFTEN: Final = (0.005, 0.2, 0.5, 1.0, 1.0, 2.0)
_WORDS: Final = (
    "basket", "billing", "catalogue", "claims", "coupons", "customs", "fleet", "gifts", "ledger", "loyalty", "mail",
    "maps", "media", "offers", "photos", "prices", "profile", "quotes", "returns", "search", "sessions", "stock", "tax",
    "tickets", "vault",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """One service: what it is, and how it does on an ordinary day."""

    #: The word of its team for what it is.
    kind: str
    #: 0 for those that are called from outside.
    layer: int
    #: Seconds of one request, and requests in a minute.
    latency: float
    requests: float


@dataclass(frozen=True, slots=True)
class Graph:
    """Services by name, every one before those it calls; and whom each calls, how often for one request of its own."""

    nodes: Mapping[str, Node]
    calls: Mapping[str, Mapping[str, float]]

    def deepest_first(self) -> Sequence[str]:
        """Every service after all those it calls."""
        return list(self.nodes)[::-1]

    def reached_from(self, name: str) -> frozenset[str]:
        """The service, those it calls, and those they call."""
        found = [name]
        for each in found:
            found += [called for called in self.calls[each] if called not in found]
        return frozenset(found)


def graph(chance: random.Random, place: str = "") -> Graph:
    """Make one of 12 to 40 services, whose names begin with the place."""
    names = _names(chance, place)
    layers = [[next(names) for _ in range(chance.randrange(*many))] for _, many in _LAYERS]
    calls: dict[str, dict[str, float]] = {name: {} for layer in layers for name in layer}
    for depth, layer in enumerate(layers[:-1]):
        deeper = [name for below in layers[depth + 1 : depth + 3] for name in below]
        for name in layer:
            for called in chance.sample(deeper, min(len(deeper), chance.randrange(*_CALLS[depth]))):
                calls[name][called] = chance.choice(_OFTEN)
    for depth, layer in enumerate(layers[1:], 1):
        above = [name for over in layers[:depth] for name in over]
        for name in layer:
            if not any(name in called for called in calls.values()):
                calls[chance.choice(above)][name] = 1.0
    return Graph(_nodes(chance, layers, calls), calls)


def _names(chance: random.Random, place: str) -> Iterator[str]:
    named = [f"{place}{word}-{number}" for word in _WORDS for number in (1, 2)]
    yield from chance.sample(named, len(named))


def _nodes(
    chance: random.Random, layers: Sequence[Sequence[str]], calls: Mapping[str, Mapping[str, float]]
) -> Mapping[str, Node]:
    requests = {name: float(chance.randrange(60, 600) if name in layers[0] else chance.randrange(20)) for name in calls}
    for name, called in calls.items():
        for each, often in called.items():
            requests[each] += often * requests[name]
    latency: dict[str, float] = {}
    for name in list(calls)[::-1]:
        waits = sum(often * latency[called] for called, often in calls[name].items())
        latency[name] = chance.uniform(0.002, 0.05) + waits
    return {
        name: Node(kind=_LAYERS[depth][0], layer=depth, latency=latency[name], requests=max(0.2, requests[name]))
        for depth, layer in enumerate(layers)
        for name in layer
    }
