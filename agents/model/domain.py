"""Domain: what a team brings, as one value: entities, event types, agents, effects and migrations.

    ci = Domain(name="ci", entities=[repository], events=[BuildFailed], agents=[flaky], effects=[Quarantine])

A package hands it over (`DOMAINS=myci.agents:ci`); nothing is registered by importing. What does not fit together is
refused by `agents.model.catalogue`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agents.model.agent import Agent
from agents.model.effect import Effect
from agents.model.entity import Entity
from agents.model.event import DomainEvent
from tables.errors import Fatal


class DomainInvalid(Fatal):
    """What a domain declares does not fit together; the message is one line that says what."""


@dataclass(frozen=True, kw_only=True)
class Domain:
    """One domain. Another one that it builds on stands in `uses`, and is loaded with it."""

    #: Lower-case letters, digits and _; names its migrations in the database.
    name: str
    entities: Sequence[Entity] = ()
    #: Every event type its agents react to, remember or emit, but those of the domains it uses.
    events: Sequence[type[DomainEvent]] = ()
    agents: Sequence[Agent] = ()
    effects: Sequence[type[Effect]] = ()
    #: `package:folder` with its migrations (`0001_name.sql`, `0002_…`); None where it needs no table.
    migrations: str | None = None
    uses: Sequence[Domain] = ()
    #: Entities whose ids the open events of other domains carry (`agents.model.event.OpenEvent`). An agent of the
    #: entity explains the errors that name it; the platform's agents leave those to it.
    carries: Sequence[Entity] = ()
