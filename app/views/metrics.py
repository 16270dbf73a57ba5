"""Metrics, for Prometheus: read when they are asked for, so that nothing is spent on them where nobody does."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web
from pydantic import RootModel

from app.reads.metrics import ClusterMetrics
from app.telemetry.metrics.exposition import Exposition
from app.views.endpoints import NO_STORE, Asked, Endpoint
from app.web.callers import Role
from app.worker import measuring
from app.worker.application import Innervate


class Metrics(RootModel[str]):
    """Metrics in the text format of Prometheus, or OpenMetrics where it is asked for."""


def metrics_endpoint(app: Innervate) -> Endpoint:
    """Everything that is in docs/metrics.md; open to everybody who reaches it where the settings say so."""
    runtime, settings = app.runtime, app.settings
    streams, shadow = app.agent_streams, settings.shadowing
    cluster = ClusterMetrics(runtime.database)
    exposition = Exposition(
        {
            "reading": lambda: measuring.reading(runtime),
            "events": lambda: measuring.events(streams, runtime.router.routed, shadow),
            "decisions": lambda: measuring.decisions(runtime),
            "publishing": lambda: measuring.publishing(runtime),
            "windows": lambda: measuring.windows(streams, runtime.sweep.removed, shadow, Path(app.conf.datadir)),
            "worker": lambda: measuring.worker(runtime, settings, is_rebalancing=app.is_rebalancing()),
            "instruments": runtime.instruments.families,
            "cluster": cluster.families,
        }
    )

    async def tell(asked: Asked) -> web.Response:
        await cluster.look()
        body, content_type = exposition.written(asked.request.headers.get("Accept", ""))
        return web.Response(body=body, headers=NO_STORE | {"Content-Type": content_type})

    return Endpoint(
        path="/metrics",
        answer=tell,
        summary="Metrics for Prometheus.",
        answers=Metrics,
        role=Role.NOTHING if settings.metrics_open else Role.READ,
        media_type="text/plain",
    )
