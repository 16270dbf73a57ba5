"""Looking back: what an agent knew when it decided, and what happened to an entity before an event.

Both read Kafka past the worker's own streams, which may take a while where an event has to be looked for; a worker
does one at a time, and gives up in the end: the commands `knew` and `window` do not.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web
from aiokafka.errors import KafkaError

from agents.model.text import escaped
from app.kafka.timelines import TimelineUnreadable, timeline_reader
from app.settings import Settings
from app.timemachine.knowledge import as_json, identity, knowledge_of
from app.timemachine.lookback import DEFAULT_EVENTS, MAX_EVENTS, AmbiguousEvent, UnknownEvent, look_back, lookback_json
from app.timemachine.recorded import RecordedDecisions
from app.views.pages import json_response, uuid_of
from outbox.database import Database

log = logging.getLogger(__name__)

#: How long a request may read Kafka, in seconds.
READ_SECONDS: Final = 30.0

#: Parameters of the query.
TIMELINE_QUERY: Final = ("before", "source", "events")


class LookBackViews:
    """What looks back, one request of this worker after the other."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings = settings
        self._recorded = RecordedDecisions(database, settings.catalogue.types)
        self._turn = asyncio.Lock()

    async def show_history(self, _request: web.Request, decision_id: str) -> web.Response:
        """What the agent knew, from Kafka, and whether it is what was recorded."""
        decision = await self._recorded.of(uuid_of(decision_id))
        if decision is None:
            raise web.HTTPNotFound(reason=f"no decision {decision_id}")
        entity = decision.topic.removeprefix("timeline-")
        async with _reading(self._turn):
            knowledge = await knowledge_of(decision, timeline_reader(self._settings, entity))
        return json_response(as_json(knowledge))

    async def show_timeline(self, request: web.Request, entity: str, entity_id: str) -> web.Response:
        """The last events of an entity, oldest first; `?before=EVENT_ID source= events=50`.

        `source` is that of the event, where several have its id (409 without). `next` and `next_source` are what to
        give for the events before these.
        """
        known = self._settings.catalogue.entities
        if entity not in known:
            raise web.HTTPNotFound(reason=f"an entity is one of {', '.join(known)}")
        before, source, events = request.query.get("before"), request.query.get("source"), _events_of(request)
        async with _reading(self._turn):
            found = await look_back(
                timeline_reader(self._settings, entity),
                self._recorded,
                entity,
                entity_id,
                before=before,
                source=source,
                events=events + 1,
            )
        newest = dataclasses.replace(found, events=found.events[-events:])
        following, of = identity(newest.events[0]) if len(found.events) > events else (None, None)
        return json_response({**lookback_json(newest), "next": following, "next_source": of})


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


def _events_of(request: web.Request) -> int:
    text = request.query.get("events", str(DEFAULT_EVENTS))
    if not text.isascii() or not text.isdecimal() or len(text) > 3 or not 1 <= int(text) <= MAX_EVENTS:
        raise web.HTTPBadRequest(reason=f"events must be a number from 1 to {MAX_EVENTS}")
    return int(text)
