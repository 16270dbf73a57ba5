"""Playing: a story through the platform's agents in memory, and what their last words on its alarms say."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Self

import orjson

from agents.model.catalogue import Catalogue
from agents.platform.domain import platform
from app.testing.choreography import Choreography, Sending

Happened = Mapping[str, Any]
#: How the events of a story arrive: as they happened; in any order; some twice; the graph and half the reports late.
Arrival = Literal["in order", "shuffled", "duplicated", "late"]
ARRIVALS: Final[Sequence[Arrival]] = ("in order", "shuffled", "duplicated", "late")

_CATALOGUE: Final = Catalogue([platform])


@dataclass(frozen=True, kw_only=True, slots=True)
class Played:
    """What came of a story."""

    #: The last verdict on each alarm, by the alarm's id.
    verdicts: Mapping[str, Happened]
    #: How many messages of each type the agents published.
    said: Mapping[str, int]
    #: The largest of them, in bytes of JSON.
    largest: int

    @classmethod
    def of(cls, published: Iterable[Happened]) -> Self:
        """What the agents published, the events of one service in the order of its decisions."""
        events = list(published)
        return cls(
            verdicts={e["data"]["error_event_id"]: e["data"] for e in events if e["type"] == "RootCauseIdentified"},
            said=Counter(event["type"] for event in events),
            largest=max((len(orjson.dumps(event)) for event in events), default=0),
        )

    @property
    def messages(self) -> int:
        """How many there are, verdicts and calls for people included."""
        return sum(self.said.values())

    def named(self, alarm_id: str) -> Sequence[str]:
        """The services named, the likeliest first."""
        verdict = self.verdicts.get(alarm_id)
        return [each["service"] for each in verdict["candidates"]] if verdict else []


def play(events: Sequence[Happened], arrival: Arrival = "in order", seed: int = 0) -> Played:
    """Play a story; `seed` decides what arrives when."""
    chance = random.Random(f"{arrival} {seed}")
    told = Choreography(catalogue=_CATALOGUE).run(
        Sending(orjson.dumps(event)) for event in arriving(events, arrival, chance)
    )
    return Played.of(told.published)


def arriving(events: Sequence[Happened], arrival: Arrival, chance: random.Random) -> Sequence[Happened]:
    """The events as they arrive."""
    if arrival == "shuffled":
        return chance.sample(events, len(events))
    if arrival == "duplicated":
        return [event for event in events for _ in range(chance.choice((1, 1, 2)))]
    if arrival == "late":
        late = [chance.random() < (1.0 if event["type"] == "DependencyDeclared" else 0.5) for event in events]
        return [
            *(event for event, is_late in zip(events, late, strict=True) if not is_late),
            *(event for event, is_late in zip(events, late, strict=True) if is_late),
        ]
    return events
