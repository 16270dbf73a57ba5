"""Agents and their windows. A window is answered by the worker that owns it, whoever is asked."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web
from faust.types import TP
from yarl import URL

from app.reads.agents import Agents, Window, agents, window
from app.reads.shapes import NotFound, Query, Term
from app.reads.workers import WorkersQuery, workers
from app.views.endpoints import Asked, Endpoint
from app.views.forwarding import forwarded, is_forwarded
from app.worker.application import Innervate
from outbox.sending import partition_of


class WindowPlace(Query):
    """An agent and an entity it remembers."""

    agent: Term
    entity_id: Term


def agent_endpoints(app: Innervate) -> Sequence[Endpoint]:
    """What this worker runs, and what it remembers."""

    async def list_agents(_asked: Asked) -> Agents:
        return agents(app.settings.agent_set, app.agent_streams)

    async def show_window(asked: Asked) -> Window | web.Response:
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


async def _window(app: Innervate, asked: Asked) -> Window | web.Response:
    agent, entity_id = asked.place.agent, asked.place.entity_id
    if agent not in app.settings.catalogue.agents:
        raise NotFound(f"no loaded domain has an agent {agent}")
    stream = next((stream for stream in app.agent_streams if stream.agent.name == agent), None)
    if stream is None:
        return await _of_another_set(app, asked)
    # Faust's producer knows the partitions only of what it has sent to.
    partition = partition_of(entity_id.encode(), range(app.settings.topic_partitions))
    if TP(stream.changelog, partition) in app.assignor.assigned_actives():
        return window(stream, partition, entity_id)
    owner = _owner(app, stream.changelog, partition)
    if owner is None or is_forwarded(asked.request):
        raise web.HTTPServiceUnavailable(reason="the window is moving to another worker")
    return await forwarded(asked.request, owner)


def _owner(app: Innervate, changelog: str, partition: int) -> URL | None:
    """Another worker of this set that has the window, by the last rebalance."""
    owners = (url for url, topics in app.assignor.tables_metadata().items() if partition in topics.get(changelog, ()))
    owner = next(map(URL, owners), None)
    return None if owner == app.conf.canonical_url else owner


async def _of_another_set(app: Innervate, asked: Asked) -> web.Response:
    """Asked of a worker of that set, which knows who has it."""
    agent = asked.place.agent
    query = WorkersQuery(agent=agent, status="alive")
    found = (await workers(app.runtime.database, query)).workers
    live = (worker.address for worker in found if worker.kind == "live")
    address = next((each for each in live if each and each.startswith("http://")), None)
    if address is None or is_forwarded(asked.request):
        raise web.HTTPServiceUnavailable(reason=f"no live worker runs {agent}")
    return await forwarded(asked.request, URL(address))
