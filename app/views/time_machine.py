"""Looking back: what an agent knew when it decided, and what happened to an entity before an event.

Both read Kafka past the worker's own streams, which may take a while where an event has to be looked for; a worker
does one at a time, and gives up in the end: the commands `knew` and `window` do not.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any, Final

from aiohttp import web
from aiokafka.errors import KafkaError
from pydantic import AwareDatetime, Field

from agents.model.text import escaped
from agents.replay.comparison import HistoryKind
from app.kafka.timelines import TimelineUnreadable, timeline_reader
from app.reads.shapes import NotFound, Query, Shape, Term, digits
from app.settings import Settings
from app.timemachine.knowledge import as_json, identity, knowledge_of
from app.timemachine.lookback import DEFAULT_EVENTS, MAX_EVENTS, AmbiguousEvent, UnknownEvent, look_back, lookback_json
from app.timemachine.recorded import RecordedDecisions
from app.views.decisions import DecisionPlace
from app.views.endpoints import Asked, Endpoint
from app.worker.application import Innervate
from outbox.database import Database

log = logging.getLogger(__name__)

#: How long a request may read Kafka, in seconds.
READ_SECONDS: Final = 30.0


class TimelinePlace(Query):
    """An entity."""

    entity: Term
    entity_id: Term


class TimelineQuery(Query):
    """How much of a timeline."""

    before: Term | None = None
    """The id of an event: what was before it. The newest events without."""
    source: Term | None = None
    """The source of that event, where several have its id (409 without)."""
    events: Annotated[int, Field(ge=1, le=MAX_EVENTS), digits(1, MAX_EVENTS)] = DEFAULT_EVENTS
    """Events at most."""


class TimelineEvent(Shape):
    """A record of a timeline."""

    offset: int
    recorded_at: AwareDatetime
    event: dict[str, Any] | str
    """The event; a text where the record is none."""


class Timeline(Shape):
    """The last events of an entity, oldest first."""

    entity: str
    entity_id: str
    partition: int
    before: TimelineEvent | None
    """The event looked back from."""
    events: Sequence[TimelineEvent]
    next: str | None
    """What to give as `before` and `source` for the events before these."""
    next_source: str | None


class DecisionHistory(Shape):
    """What an agent knew when it decided."""

    agent: str
    event_source: str
    event_id: str
    topic: str
    partition: int
    offset: int
    outcome: str
    reason: str
    history_kind: HistoryKind
    """Whether this is what was recorded: `same` by its hash, to the byte."""
    history_sha256: str
    dropped_offsets: Sequence[int]
    """Offsets of the history that Kafka no longer has."""
    event: TimelineEvent | None
    """The event that was decided on; null when Kafka no longer has it."""
    history: Sequence[TimelineEvent]


def time_machine_endpoints(app: Innervate) -> Sequence[Endpoint]:
    """What looks back."""
    views = LookBackViews(app.settings, app.runtime.database)
    return [
        Endpoint(
            path="/decisions/{decision_id}/history",
            place=DecisionPlace,
            answer=views.show_history,
            summary="What the agent knew, from Kafka, and whether it is what was recorded.",
            answers=DecisionHistory,
        ),
        Endpoint(
            path="/timelines/{entity}/{entity_id:.+}",
            place=TimelinePlace,
            query=TimelineQuery,
            answer=views.show_timeline,
            summary="The last events of an entity, oldest first.",
            answers=Timeline,
        ),
    ]


class LookBackViews:
    """What looks back, one request of this worker after the other."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings = settings
        self._recorded = RecordedDecisions(database, settings.catalogue.types)
        self._turn = asyncio.Lock()

    async def show_history(self, asked: Asked) -> DecisionHistory:
        """What the agent knew, from Kafka, and whether it is what was recorded."""
        decision_id = asked.place.decision_id
        decision = await self._recorded.of(decision_id)
        if decision is None:
            raise NotFound(f"no decision {decision_id}")
        entity = decision.topic.removeprefix("timeline-")
        async with _reading(self._turn):
            knowledge = await knowledge_of(decision, timeline_reader(self._settings, entity))
        return DecisionHistory.model_validate(as_json(knowledge))

    async def show_timeline(self, asked: Asked) -> Timeline:
        """The last events of an entity, oldest first."""
        entity, query = asked.place.entity, asked.query
        known = self._settings.catalogue.entities
        if entity not in known:
            raise NotFound(f"an entity is one of {', '.join(known)}")
        async with _reading(self._turn):
            found = await look_back(
                timeline_reader(self._settings, entity),
                self._recorded,
                entity,
                asked.place.entity_id,
                before=query.before,
                source=query.source,
                events=query.events + 1,
            )
        newest = dataclasses.replace(found, events=found.events[-query.events :])
        following, of = identity(newest.events[0]) if len(found.events) > query.events else (None, None)
        return Timeline.model_validate({**lookback_json(newest), "next": following, "next_source": of})


@asynccontextmanager
async def _reading(turn: asyncio.Lock) -> AsyncIterator[None]:
    """Wait for one's turn to read Kafka; what fails there is said in the response."""
    try:
        async with asyncio.timeout(READ_SECONDS), turn:
            yield
    except UnknownEvent as error:
        raise web.HTTPNotFound(reason=escaped(str(error))) from error
    except AmbiguousEvent as error:
        raise web.HTTPConflict(reason=escaped(str(error))) from error
    except TimeoutError as error:
        raise web.HTTPGatewayTimeout(reason=f"not found within {READ_SECONDS:.0f} s: use the command") from error
    except (TimelineUnreadable, KafkaError) as error:
        log.warning("a timeline cannot be read: %r", error)
        raise web.HTTPServiceUnavailable(reason="Kafka does not answer") from error
