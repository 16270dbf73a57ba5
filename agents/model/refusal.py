"""Refusal: a decision of which nothing comes, as a domain is told of it; the event it makes of it tells a person."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from agents.model.event import DomainEvent


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """Why nothing comes of a decision, and whom it was about."""

    #: In one short word.
    failure: str
    #: One sentence for a person.
    reason: str
    #: The event that was decided on.
    event_id: str
    #: On whose timeline, by the entity's name.
    entity: str
    entity_id: str
    #: Ids of the entities that open events carry, by their fields; see `agents.model.event.OpenEvent`.
    carried: Mapping[str, str]


#: Makes the event that tells a person of a refusal.
Escalates = Callable[[Refusal], DomainEvent]
