"""Agents and their windows. A window is answered by the worker that owns it, whoever is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import faust
import orjson
from aiohttp import web
from faust.exceptions import SameNode
from faust.types import TP

from agents.engine.routing import timeline
from app.views.pages import json_response
from app.worker.stream import AgentStream
from tables.window import Entry, latest


async def list_agents(agent_set: str, streams: Sequence[AgentStream], _request: web.Request) -> web.Response:
    """The agents of this worker's set."""
    return json_response({"set": agent_set, "agents": list(map(_agent, streams)), "next": None})


async def show_window(
    app: faust.App, streams: Sequence[AgentStream], request: web.Request, agent: str, entity_id: str
) -> web.StreamResponse:
    """What the agent remembers of one entity, oldest first."""
    stream = next((stream for stream in streams if stream.agent.name == agent), None)
    if stream is None:
        raise web.HTTPNotFound(reason=f"this worker's set has no agent {agent}")
    table = stream.windows.table
    key = entity_id.encode()
    try:
        theirs = await app.router.route_req(table.name, key, app.web, cast("Any", request))
    except SameNode:
        partition = app.producer.key_partition(timeline(stream.agent.entity.name), key).partition
    else:
        return cast("web.StreamResponse", theirs)
    if TP(stream.changelog, partition) not in app.assignor.assigned_actives():
        raise web.HTTPServiceUnavailable(reason="the window is moving to another worker")
    entries = latest(stream.windows.read(partition, entity_id), stream.windows.spec)
    return json_response(
        {"agent": agent, "entity": stream.agent.entity.name, "entity_id": entity_id, "partition": partition}
        | {"events": [_entry(entry) for entry in entries], "next": None}
    )


def _agent(stream: AgentStream) -> Mapping[str, Any]:
    agent, spec = stream.agent, stream.windows.spec
    return {
        "name": agent.name,
        "entity": agent.entity.name,
        "reacts_to": sorted(agent.reacts_to),
        "remembers": sorted(agent.remembers),
        "window": {
            "events": spec.events,
            "age_seconds": spec.age.total_seconds(),
            "slots": [{"types": sorted(ring.types), "events": ring.events} for ring in spec.rings],
        },
        "timeline": timeline(agent.entity.name),
        "changelog": stream.changelog,
        "in_flight": 0 if stream.loop is None else len(stream.loop.acks),
    }


def _entry(entry: Entry) -> Mapping[str, Any]:
    return {"offset": entry.offset, "event": orjson.loads(entry.payload)}
