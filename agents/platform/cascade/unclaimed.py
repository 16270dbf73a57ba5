"""Unclaimed: what services lost that nobody is known to call, told to those who seek a cause for what they lost.

A call that nobody declared keeps a loss from its callers. It is said to the service `UNKNOWN_CALLER` in their place,
whose timeline is where the two meet: it tells whoever seeks a cause what others lost at about that time. That says no
more than that both happened at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from agents.model.event import DomainEvent
from agents.platform.events.calls import CauseSought, CauseSuggested
from agents.platform.facts.blame import NEAR
from agents.platform.facts.spans import Key


@dataclass(slots=True)
class Unclaimed:
    """What was said to the unknown caller, and who asked."""

    _told: dict[tuple[str, Key], CauseSuggested] = field(default_factory=dict)
    _sought: dict[tuple[str, datetime], None] = field(default_factory=dict)

    def learn(self, event: DomainEvent) -> None:
        """Take the next event in."""
        if isinstance(event, CauseSuggested):
            self._told[event.suggested_by, (event.metric, event.from_at, event.to_at)] = event
        elif isinstance(event, CauseSought) and event.caused_by is None:
            self._sought[event.sought_by, event.error_at] = None

    def passed_on(self, event: DomainEvent) -> Iterator[CauseSuggested]:
        """Whom the event, not yet taken in, makes hear of what; a loss taken back is passed on as well."""
        if isinstance(event, CauseSuggested):
            seekers = dict.fromkeys(name for name, at in self._sought if _is_near(event, at))
            yield from (_to(name, event) for name in seekers if name != event.suggested_by)
        elif isinstance(event, CauseSought) and (event.sought_by, event.error_at) not in self._sought:
            for told in self._told.values():
                if told.candidates and told.suggested_by != event.sought_by and _is_near(told, event.error_at):
                    yield _to(event.sought_by, told)


def _is_near(told: CauseSuggested, at: datetime) -> bool:
    return told.from_at - NEAR <= at <= told.to_at + NEAR


def _to(seeker: str, told: CauseSuggested) -> CauseSuggested:
    return told.model_copy(update={"service": seeker, "inferred": True})
