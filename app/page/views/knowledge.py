"""What an agent knew when it decided: read from Kafka again, event by event, and verified by the recorded hash."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web
from aiokafka.errors import KafkaError

from agents.engine.routing import timeline
from app.kafka.timelines import TimelineUnreadable, timeline_reader
from app.page.view import Shown, View, Visit, uuid_of
from app.timemachine.knowledge import Knowledge, event_json, knowledge_of
from app.timemachine.recorded import RecordedDecisions

log = logging.getLogger(__name__)

#: How long a request may read Kafka, in seconds.
READ_SECONDS: Final = 30.0


async def show(visit: Visit) -> Shown:
    """The history of a decision."""
    decision_id = uuid_of(visit.place["decision_id"])
    settings = visit.parts.settings
    decision = await RecordedDecisions(visit.parts.database, settings.catalogue.types).of(decision_id)
    if decision is None:
        raise web.HTTPNotFound(reason=f"no decision {decision_id}")
    reader = timeline_reader(settings, decision.topic.removeprefix(timeline("")))
    try:
        async with asyncio.timeout(READ_SECONDS), visit.parts.reading:
            knowledge = await knowledge_of(decision, reader)
    except TimeoutError as error:
        raise web.HTTPGatewayTimeout(reason=f"not read within {READ_SECONDS:.0f} s: use the command `knew`") from error
    except (TimelineUnreadable, KafkaError) as error:
        log.warning("a timeline cannot be read: %r", error)
        raise web.HTTPServiceUnavailable(reason="Kafka does not answer") from error
    return Shown(template="knowledge.html", context={"decision_id": decision_id, **knowledge_context(knowledge)})


def knowledge_context(knowledge: Knowledge) -> Mapping[str, Any]:
    """What the template names."""
    return {
        "knowledge": knowledge,
        "decided_on": None if knowledge.event is None else event_json(knowledge.event),
        "events": [event_json(record) for record in reversed(knowledge.history)],
    }


VIEW: Final = View(
    path="/ui/decisions/{decision_id}/knew", title="What the agent knew", answer=show, section="/ui/decisions"
)
