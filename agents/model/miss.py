"""Miss: an expectation that was not met in time, and what makes of it an event that tells others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from agents.model.event import DomainEvent


@dataclass(frozen=True, kw_only=True, slots=True)
class Miss:
    """An expectation that was not met, as a domain is told of it; the event it makes of it tells others."""

    agent: str
    #: The expectation's.
    name: str
    #: On whose timeline, by the entity's name.
    entity: str
    entity_id: str
    #: What it began with.
    event_id: str
    #: Until when it was to be met.
    due_at: datetime
    #: The types that were awaited.
    awaited: Sequence[str]
    #: Ids of the entities that open events carry, by their fields; see `agents.model.event.OpenEvent`.
    carried: Mapping[str, str]


#: Makes the event that tells of a miss.
Misses = Callable[[Miss], DomainEvent]
