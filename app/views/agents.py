"""Agents and their windows. A window is answered by the worker that owns it, whoever is asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson
from aiohttp import web
from faust.exceptions import SameNode
from faust.types import TP
from faust.web import Request, Response, View

from agents.engine.routing import timeline
from app.views.pages import page
from tables.window import Entry

if TYPE_CHECKING:
    from app.worker.application import Innervate
    from app.worker.stream import AgentStream


def register_agent_views(app: Innervate) -> None:
    """Add `/agents` and `/agents/{agent}/windows/{entity_id}`."""

    @page(app, "/agents", name="agents")
    async def agents(self: View, _request: Request) -> Response:
        """The agents of this worker's set."""
        return self.json({"set": app.settings.agent_set, "agents": list(map(_agent, app.agent_streams)), "next": None})

    @page(app, "/agents/{agent}/windows/{entity_id:.+}", name="window")
    async def window(self: View, request: Request, agent: str, entity_id: str) -> Response:
        """What the agent remembers of one entity, oldest first."""
        stream = next((stream for stream in app.agent_streams if stream.agent.name == agent), None)
        if stream is None:
            raise web.HTTPNotFound(reason=f"this worker's set has no agent {agent}")
        table = stream.windows.table
        key = entity_id.encode()
        try:
            return await app.router.route_req(table.name, key, self.web, request)
        except SameNode:
            partition = app.producer.key_partition(timeline(stream.agent.entity), key).partition
        if TP(stream.changelog, partition) not in app.assignor.assigned_actives():
            raise web.HTTPServiceUnavailable(reason="the window is moving to another worker")
        entries = stream.windows.read(partition, entity_id)[-stream.windows.spec.events :]
        return self.json(
            {"agent": agent, "entity": stream.agent.entity, "entity_id": entity_id, "partition": partition}
            | {"events": [_entry(entry) for entry in entries], "next": None}
        )


def _agent(stream: AgentStream) -> Mapping[str, Any]:
    agent, spec = stream.agent, stream.windows.spec
    return {
        "name": agent.name,
        "entity": agent.entity,
        "reacts_to": sorted(agent.reacts_to),
        "remembers": sorted(agent.remembers),
        "window": {"events": spec.events, "age_seconds": spec.age.total_seconds()},
        "timeline": timeline(agent.entity),
        "changelog": stream.changelog,
        "in_flight": 0 if stream.loop is None else len(stream.loop.acks),
    }


def _entry(entry: Entry) -> Mapping[str, Any]:
    return {"offset": entry.offset, "event": orjson.loads(entry.payload)}
