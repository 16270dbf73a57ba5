"""Health: `live` says the event loop turns, `ready` that work gets done.

Readiness looks at progress, not at "the process is there": a Faust worker can go silent while it lives.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from faust.web import Request, Response, View

from outbox.errors import DatabaseUnavailable

if TYPE_CHECKING:
    from app.worker import Innervate

#: An event in flight for longer than this means that its partition does not move, in seconds.
STUCK_AFTER_SECONDS: Final = 60.0


def register_health_views(app: Innervate) -> None:
    """Add `/health/live` and `/health/ready`."""

    @app.page("/health/live", name="live")
    async def live(self: View, _request: Request) -> Response:
        """Whether the process answers."""
        return self.json({"status": "live"})

    @app.page("/health/ready", name="ready")
    async def ready(self: View, _request: Request) -> Response:
        """Whether this worker takes and finishes work; 503 names what does not."""
        checks = await _checks(app)
        ok = all(check == "ok" for check in checks.values())
        return self.json({"status": "ready" if ok else "not ready", "checks": checks}, status=200 if ok else 503)


async def _checks(app: Innervate) -> Mapping[str, str]:
    return {
        "database": await _database(app),
        "assignment": "rebalancing or recovering" if _is_rebalancing(app) else "ok",
        "progress": _progress(app),
    }


async def _database(app: Innervate) -> str:
    try:
        await app.runtime.database.run("SELECT 1")
    except DatabaseUnavailable as error:
        return str(error)
    return "ok"


def _is_rebalancing(app: Any) -> bool:
    return app.rebalancing or not app.flow_control.is_active()


def _progress(app: Innervate) -> str:
    stuck = [
        f"{stream.agent.name}: {topic}[{partition}] has waited {seconds:.0f} s"
        for stream in app.agent_streams
        if stream.loop is not None
        for (topic, partition), seconds in stream.loop.acks.oldest_seconds().items()
        if seconds > STUCK_AFTER_SECONDS
    ]
    return "; ".join(stuck) or "ok"
