"""Sources: where stories come from, and how long each may take."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from agents.model.catalogue import Catalogue
from app.kafka.timelines import TimelineReader, timeline_reader
from app.story.belonging import Naming
from outbox.database import Database

if TYPE_CHECKING:
    from app.settings import Settings

#: How long Kafka is read, and PostgreSQL is asked, in seconds.
KAFKA_SECONDS: Final = 10.0
DATABASE_SECONDS: Final = 10.0
#: Stories that may read Kafka at the same time in one worker; others wait, within their own time.
_READERS: Final = 2


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Where stories come from; one for each worker."""

    database: Database
    catalogue: Catalogue
    #: The reader of a kind's timeline.
    reader_of: Callable[[str], TimelineReader]
    kafka_seconds: float = KAFKA_SECONDS
    database_seconds: float = DATABASE_SECONDS
    turn: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_READERS))

    @property
    def naming(self) -> Naming:
        """What the types of the loaded domains name other events by."""
        return {name: model.refers_to for name, model in self.catalogue.types.events.items() if model.refers_to}


def sources_of(settings: Settings, database: Database) -> Sources:
    """The sources that the settings speak of."""
    return Sources(
        database=database,
        catalogue=settings.catalogue,
        reader_of=lambda entity: timeline_reader(settings, entity),
    )
