"""Workers, all of them, and who hears what."""

from __future__ import annotations

from collections.abc import Sequence

from app.reads.graph import Graph, graph_of, observed_emissions
from app.reads.workers import WorkersPage, WorkersQuery, workers
from app.views.endpoints import Asked, Endpoint
from app.worker.application import Innervate


def worker_endpoints(app: Innervate) -> Sequence[Endpoint]:
    """What all workers say of themselves, and what the loaded domains declare."""
    database, settings = app.runtime.database, app.settings

    async def list_workers(asked: Asked) -> WorkersPage:
        return await workers(database, asked.query)

    async def show_graph(_asked: Asked) -> Graph:
        emits = await observed_emissions(database, settings.catalogue.agents)
        return graph_of(settings.catalogue, asked=settings.timelines, emits=emits)

    return [
        Endpoint(
            path="/workers",
            answer=list_workers,
            query=WorkersQuery,
            summary="Every worker of every set that was heard of within a day, and what is stuck over all of them.",
            answers=WorkersPage,
        ),
        Endpoint(
            path="/graph",
            answer=show_graph,
            summary="Which topics' events reach which agents, and what their newest decisions published.",
            answers=Graph,
        ),
    ]
