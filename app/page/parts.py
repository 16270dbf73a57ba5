"""Parts: what views of the page are made from. Composed once, handed to each view."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from app.page.series import OutboxSeries
from app.settings import Settings
from app.story import Sources
from app.worker.application import Innervate
from app.worker.checks import known_checks, last_outbox_check
from app.worker.runtime import Runtime
from app.worker.stream import AgentStream
from outbox.database import Database


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """What a view may use."""

    app: Innervate
    #: Where stories come from.
    stories: Sources
    #: Of those who read Kafka for one decision, one at a time.
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)
    #: What was seen of the outbox lately.
    series: OutboxSeries = field(default_factory=OutboxSeries)

    @property
    def settings(self) -> Settings:
        """The worker's settings, with the catalogue of its domains."""
        return self.app.settings

    @property
    def runtime(self) -> Runtime:
        """Approvals, redrives, relay, watch."""
        return self.app.runtime

    @property
    def database(self) -> Database:
        """Where reads read."""
        return self.app.runtime.database

    @property
    def streams(self) -> Sequence[AgentStream]:
        """The agents of this worker's set."""
        return self.app.agent_streams

    def checks(self) -> Mapping[str, str]:
        """What this worker knows of itself without asking anybody: "ok", or what does not get done."""
        known = known_checks(self.runtime, self.settings, is_rebalancing=self.app.is_rebalancing())
        return {"outbox": last_outbox_check(self.runtime, self.settings), **known}
