"""Platform: what is deployed and configured, by whom nobody remembers. One change in many breaks its service.

An incident is a change after which a service fails for several orders within an hour. Other changes are harmless:
those of other services, those of the same service days before, and those after the first error.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from app.simulator import journey, words
from app.simulator.records import Happening
from app.simulator.story import OrderStory

#: A service with an error that only a change could explain is left in peace for so long before it.
_QUIET: Final = timedelta(hours=48)
_SETTINGS: Final = {
    "pool_size": (10, 20, 50),
    "timeout_ms": (500, 3_000, 30_000),
    "endpoint": ("https://api.internal/v1", "https://api.internal/v2"),
    "retries": (0, 3, 5),
    "feature.batching": (True, False),
}


@dataclass(frozen=True, slots=True)
class _Error:
    service: str
    at: datetime


class Platform:
    """The services of the shop and what changed in them."""

    def __init__(self, chance: random.Random) -> None:
        self.happenings: list[Happening] = []
        self._chance = chance
        self._told: Counter[tuple[str, str]] = Counter()
        self._suspicious: list[_Error] = []

    def deploy(self, service: str, at: datetime) -> str:
        """A version of the service goes live; returns the event's id."""
        version = f"{self._chance.randrange(2, 9)}.{self._chance.randrange(30)}.{self._chance.randrange(10)}"
        return self._tell("ServiceDeployed", service, at, {"version": version})

    def configure(self, service: str, at: datetime) -> str:
        """A setting of the service changes; returns the event's id."""
        key = self._chance.choice(tuple(_SETTINGS))
        old, new = self._chance.sample(_SETTINGS[key], 2)
        return self._tell("ConfigChanged", service, at, {"key": key, "old": old, "new": new})

    def suspect(self, service: str, at: datetime) -> None:
        """Remember an error that a harmless change shortly before it would seem to explain."""
        self._suspicious.append(_Error(service, at))

    def incident(self, stories: Sequence[OrderStory], service: str, failure: str, *, noise: bool) -> None:
        """Let the service fail for all these orders, which wait for it, and then go on with them."""
        at = max(story.at for story in stories) + timedelta(minutes=self._chance.randrange(20, 120))
        change = self.deploy if failure == "bad_deployment" else self.configure
        culprit = change(service, at)
        delays = sorted(self._chance.uniform(3, 45) for _ in stories)
        for story, delay in zip(stories, delays, strict=True):
            story.at = at + timedelta(seconds=round(delay * 60))
            story.incident_service = service
            complaint = words.outcry(self._chance, service)
            story.error(complaint, failure=failure, culprit=culprit, after=(0.01, 0.2))
            self.suspect(service, story.at)
        first, last = stories[0].at, stories[-1].at
        if noise and self._chance.random() < 0.4:
            self.configure(service, first + (last - first) / 2)
        repaired_at = last + timedelta(minutes=self._chance.randrange(40, 150))
        change(service, repaired_at)
        for story in stories:
            self._go_on(story, service, repaired_at)

    def harmless_changes(self, start: datetime, end: datetime) -> None:
        """Let about two things a day change that break nothing, and some right before the incidents of others."""
        at = start
        while (at := at + timedelta(hours=self._chance.uniform(4, 20))) < end:
            self._change_somewhere(at)
        for error in self._suspicious[::4]:
            self._change_somewhere(max(start, error.at - timedelta(minutes=self._chance.randrange(2, 9))))
            days = timedelta(hours=self._chance.randrange(49, 100))
            if error.at - days > start and self._is_quiet(error.service, error.at - days):
                self.deploy(error.service, error.at - days)

    def _change_somewhere(self, at: datetime) -> None:
        quiet = [service for service in words.STEPS if self._is_quiet(service, at)]
        if quiet:
            self._chance.choice((self.deploy, self.configure))(self._chance.choice(quiet), at)

    def _is_quiet(self, service: str, at: datetime) -> bool:
        return not any(each.service == service and at <= each.at <= at + _QUIET for each in self._suspicious)

    def _go_on(self, story: OrderStory, service: str, at: datetime) -> None:
        """Most orders are finished when the service works again."""
        story.at = at
        if self._chance.random() < 0.7:
            if service == "payments":
                journey.pay(story)
            if not story.shipped:
                story.ship()
        journey.judge(story, failed=True)

    def _tell(self, kind: str, service: str, at: datetime, data: dict[str, Any]) -> str:
        self._told[service, kind] += 1
        event_id = f"{service}-{kind}-{self._told[service, kind]}"
        self.happenings.append(
            Happening(id=event_id, type=kind, service=service, at=at, data={"service": service, **data})
        )
        return event_id
