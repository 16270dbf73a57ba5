"""Wanted: which event types are written to which timelines. Pure.

A record in a timeline costs a write, its place in Kafka and a read by every agent of the entity. So one is written only
where an agent of the loaded domains reacts to the type or remembers it, whichever set of agents it runs in, and where
an operator asks for more (`TIMELINES`). The event itself stays in its domain topic either way.

What is asked for is `all`, the name of an entity for every type in its timeline, types nobody declares included, or
`entity:Type` for one more type.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from agents.model.agent import Agent
from agents.model.catalogue import Catalogue

#: Asks for every type in every timeline.
ALL: Final = "all"


class Wanted:
    """The types that are written. What is asked for has been checked (`problem_of`)."""

    def __init__(self, catalogue: Catalogue, asked: Collection[str] = ()) -> None:
        everything = catalogue.entities.keys() if ALL in asked else catalogue.entities.keys() & asked
        self._everything = frozenset(everything)
        types: dict[str, set[str]] = {entity: set() for entity in catalogue.entities}
        for agent in catalogue.agents.values():
            types[agent.entity.name] |= agent.reacts_to | agent.remembers
        for one in asked:
            entity, colon, event_type = one.partition(":")
            if colon:
                types[entity].add(event_type)
        self._types: Mapping[str, Collection[str]] = types

    def has(self, entity: str, event_type: str) -> bool:
        """Whether events of this type are written to the timeline of this entity."""
        return entity in self._everything or event_type in self._types[entity]

    def missing(self, agent: Agent) -> Collection[str]:
        """The types that an agent reacts to or remembers and never sees, by name."""
        return sorted(kind for kind in agent.reacts_to | agent.remembers if not self.has(agent.entity.name, kind))


def problem_of(asked: str, catalogue: Catalogue) -> str | None:
    """Why this cannot be asked for; None when it can."""
    entity, colon, event_type = asked.partition(":")
    if asked == ALL or (entity in catalogue.entities and bool(colon) == bool(event_type)):
        return None
    known = ", ".join(catalogue.entities)
    return f"{asked!r} is neither {ALL} nor an entity nor entity:Type; the entities are {known}"
