"""Domain: what a team brings, as one value: entities, event types, agents, effects and migrations.

    ci = Domain(name="ci", entities=[repository], events=[BuildFailed], agents=[flaky], effects=[Quarantine])

A package hands it over (`DOMAINS=myci.agents:ci`); nothing is registered by importing. What does not fit together is
refused by `agents.model.catalogue`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from agents.model.agent import Agent
from agents.model.effect import Effect
from agents.model.entity import Entity
from agents.model.event import DomainEvent
from agents.model.listing import Listing
from agents.model.measure import Measure
from agents.model.miss import Misses
from agents.model.refusal import Escalates
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
    #: `package:folder` with its migrations (`0001_name.sql`, `0002_…`); None where it needs no table. Workers of a
    #: release without it start and work on beside one whose first line is `-- innervate: only adds`.
    migrations: str | None = None
    #: Rows of its tables that people may look at.
    listings: Sequence[Listing] = ()
    #: Numbers that operators watch.
    measures: Sequence[Measure] = ()
    uses: Sequence[Domain] = ()
    #: Entities whose ids the open events of other domains carry (`agents.model.event.OpenEvent`). An agent of the
    #: entity explains the errors that name it; the platform's agents leave those to it.
    carries: Sequence[Entity] = ()
    #: Makes the event that tells a person when nothing comes of a decision: it was refused, failed, or nobody agreed to
    #: it, and its agent has nothing for that case. Of several domains the one that uses the others comes first.
    escalates: Escalates | None = None
    #: Makes the event that tells of an expectation that was not met; of several domains as `escalates`.
    misses: Misses | None = None

    def __post_init__(self) -> None:
        where = f"domain {self.name}"
        if not isinstance(self.name, str):
            raise DomainInvalid(f"{where}: name must be a text, got {type(self.name).__name__}")
        if self.migrations is not None and not isinstance(self.migrations, str):
            raise DomainInvalid(f"{where}: migrations must be a text, got {type(self.migrations).__name__}")
        for name in ("escalates", "misses"):
            told = getattr(self, name)
            if told is not None and not callable(told):
                raise DomainInvalid(f"{where}: {name} must be a function, got {type(told).__name__}")
        values = (
            ("entities", Entity),
            ("agents", Agent),
            ("uses", Domain),
            ("carries", Entity),
            ("listings", Listing),
            ("measures", Measure),
        )
        for name, kind in values:
            members = self._members(name)
            if strange := [type(member).__name__ for member in members if not isinstance(member, kind)]:
                raise DomainInvalid(f"{where}: {name} must be a sequence of {kind.__name__}, got {strange[0]} in it")
        for name, base in (("events", DomainEvent), ("effects", Effect)):
            members = self._members(name)
            if not all(isinstance(member, type) and issubclass(member, base) for member in members):
                raise DomainInvalid(f"{where}: {name} must be a sequence of classes of {base.__name__}")

    def _members(self, name: str) -> tuple[Any, ...]:
        given = getattr(self, name)
        if isinstance(given, str | type) or not isinstance(given, Iterable):
            raise DomainInvalid(f"domain {self.name}: {name} must be a sequence, got {_named(given)}")
        members = tuple(given)
        object.__setattr__(self, name, members)
        return members


def _named(given: object) -> str:
    return given.__name__ if isinstance(given, type) else type(given).__name__
