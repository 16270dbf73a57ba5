"""Health: `live` says the event loop turns, `ready` that work gets done.

Readiness looks at progress, not at "the process is there": a Faust worker can go silent while it lives.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from faust.web import Request, Response, View

from outbox.errors import DatabaseUnavailable
from outbox.pauses import Waiting

if TYPE_CHECKING:
    from app.worker import Innervate

#: An event in flight, a committed offset or a pending message that has not moved for longer than this is stuck, in
#: seconds.
STUCK_AFTER_SECONDS: Final = 60.0
#: How long readiness waits for PostgreSQL, in seconds: shorter than the time-outs of the usual probes.
DATABASE_SECONDS: Final = 3.0


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
    try:
        async with asyncio.timeout(DATABASE_SECONDS):
            database, outbox = await _database(app), await _outbox(app)
    except TimeoutError:
        database = outbox = f"PostgreSQL does not answer within {DATABASE_SECONDS:.0f} s"
    return {
        "database": database,
        "outbox": outbox,
        "assignment": "rebalancing or recovering" if _is_rebalancing(app) else "ok",
        "in_flight": _in_flight(app),
        "commits": _commits(app),
        "publishing": unwritable({**app.runtime.router.waiting, **app.runtime.relay.waiting}, now=datetime.now(UTC)),
    }


async def _database(app: Innervate) -> str:
    try:
        await app.runtime.database.run("SELECT 1")
    except DatabaseUnavailable as error:
        return str(error)
    return "ok"


async def _outbox(app: Innervate) -> str:
    try:
        oldest = await app.runtime.relay.oldest_pending_seconds()
    except DatabaseUnavailable:
        return "unknown, the database does not answer"
    return _stuck((f"lane {lane} has waited", seconds) for lane, seconds in sorted(oldest.items()))


def _is_rebalancing(app: Any) -> bool:
    return app.rebalancing or not app.flow_control.is_active()


def _in_flight(app: Innervate) -> str:
    """Events that this worker has read and does not finish."""
    return _stuck(
        (f"{stream.agent.name}: {topic}[{partition}] has waited", seconds)
        for stream in app.agent_streams
        if stream.loop is not None
        for (topic, partition), seconds in stream.loop.acks.oldest_seconds().items()
    )


def _commits(app: Innervate) -> str:
    """Partitions of this worker with something to read whose committed offset does not move."""
    stuck = app.runtime.probe.progress.stuck_seconds(time.monotonic())
    return _stuck((f"{topic}[{partition}] has not moved for", seconds) for (topic, partition), seconds in stuck.items())


def unwritable(waiting: Mapping[str, Waiting], *, now: datetime) -> str:
    """Topics that Kafka takes nothing for: at once where somebody has to act, else when it lasts."""
    found = [
        f"{topic} waits since {one.since.isoformat(timespec='seconds')}: {one.reason}"
        for topic, one in sorted(waiting.items())
        if one.needs_operator or (now - one.since).total_seconds() > STUCK_AFTER_SECONDS
    ]
    return "; ".join(found) or "ok"


def _stuck(found: Iterable[tuple[str, float]]) -> str:
    return "; ".join(f"{what} {seconds:.0f} s" for what, seconds in found if seconds > STUCK_AFTER_SECONDS) or "ok"
