"""Agents and their windows. A window is answered by the worker that owns it, whoever is asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from aiohttp import web
from faust.exceptions import SameNode
from faust.types import TP
from pydantic import BaseModel

from agents.engine.routing import timeline
from app.reads.agents import Agents, Window, agents, stream_of, window
from app.reads.shapes import Query, Term
from app.views.endpoints import Asked, Endpoint
from app.worker.application import Innervate


class WindowPlace(Query):
    """An agent and an entity it remembers."""

    agent: Term
    entity_id: Term


def agent_endpoints(app: Innervate) -> Sequence[Endpoint]:
    """What this worker runs, and what it remembers."""

    async def list_agents(_asked: Asked) -> Agents:
        return agents(app.settings.agent_set, app.agent_streams)

    async def show_window(asked: Asked) -> BaseModel | web.StreamResponse:
        return await _window(app, asked)

    return [
        Endpoint(
            path="/agents", answer=list_agents, summary="The agents of the set of the worker asked.", answers=Agents
        ),
        Endpoint(
            path="/agents/{agent}/windows/{entity_id:.+}",
            place=WindowPlace,
            answer=show_window,
            summary="What an agent remembers of an entity, oldest first, from the worker that owns it.",
            answers=Window,
        ),
    ]


async def _window(app: Innervate, asked: Asked) -> BaseModel | web.StreamResponse:
    stream = stream_of(app.agent_streams, asked.place.agent)
    table, key = stream.windows.table, asked.place.entity_id.encode()
    try:
        theirs = await app.router.route_req(table.name, key, app.web, cast("Any", asked.request))
    except SameNode:
        partition = app.producer.key_partition(timeline(stream.agent.entity.name), key).partition
    else:
        return cast("web.StreamResponse", theirs)
    if TP(stream.changelog, partition) not in app.assignor.assigned_actives():
        raise web.HTTPServiceUnavailable(reason="the window is moving to another worker")
    return window(stream, partition, asked.place.entity_id)
