"""Parts: what views of the page are made from. Composed once, handed to each view."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.settings import Settings
from app.worker.application import Innervate
from app.worker.runtime import Runtime
from app.worker.stream import AgentStream
from outbox.database import Database


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """What a view may use."""

    app: Innervate

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
