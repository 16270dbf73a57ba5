"""Health: `live` says the event loop turns, `ready` that work gets done.

Readiness looks at progress, not at "the process is there": a Faust worker can go silent while it lives. What it costs
does not grow with what is pending.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, Literal

from aiohttp import web

from app.reads.shapes import Shape
from app.settings import Settings
from app.views.endpoints import Asked, Endpoint, as_json
from app.web.callers import Role
from app.worker.application import Innervate
from app.worker.readiness import (
    OK,
    background_check,
    commits_check,
    database_check,
    in_flight_check,
    lag_check,
    outbox_check,
    publishing_check,
    router_check,
    transactions_check,
)
from app.worker.runtime import Runtime
from app.worker.stream import AgentStream

#: How long readiness waits for PostgreSQL, in seconds: shorter than the time-outs of the usual probes.
DATABASE_SECONDS: Final = 3.0


class Live(Shape):
    """The process answers."""

    status: Literal["live"]


class Ready(Shape):
    """Whether work gets done."""

    status: Literal["ready", "not ready"]
    checks: dict[str, str]
    """By what is checked: `ok`, or what is wrong."""


def health_endpoints(app: Innervate) -> Sequence[Endpoint]:
    """What probes ask, without any token."""

    async def live(_asked: Asked) -> Live:
        return Live(status="live")

    async def ready(_asked: Asked) -> web.Response:
        checks = await _checks(app.runtime, app.settings, is_rebalancing=app.is_rebalancing())
        is_ready = all(check == OK for check in checks.values())
        body = Ready(status="ready" if is_ready else "not ready", checks=dict(checks))
        return as_json(body, status=200 if is_ready else 503)

    return [
        Endpoint(path="/health/live", answer=live, summary="The process answers.", answers=Live, role=Role.NOTHING),
        Endpoint(
            path="/health/ready",
            answer=ready,
            summary="Whether work gets done; 503 names what does not.",
            answers=Ready,
            others={503: Ready},
            role=Role.NOTHING,
        ),
    ]


async def _checks(runtime: Runtime, settings: Settings, *, is_rebalancing: bool) -> Mapping[str, str]:
    try:
        async with asyncio.timeout(DATABASE_SECONDS):
            database = await database_check(runtime.database)
            # A shadow publishes nothing, and what others leave is not its own affair.
            outbox = OK if settings.shadowing else await outbox_check(runtime.watch, runtime.held_up)
    except TimeoutError:
        database = outbox = f"PostgreSQL does not answer within {DATABASE_SECONDS:.0f} s"
    return {
        "database": database,
        "outbox": outbox,
        "assignment": "rebalancing or recovering" if is_rebalancing else OK,
        "in_flight": in_flight_check(_oldest_in_flight(runtime.agent_streams)),
        "commits": commits_check(runtime.probe),
        "router": router_check(runtime.probe),
        "transactions": transactions_check(runtime.probe),
        "lag": lag_check(runtime.probe, runtime.watch.pending, settings.ready_lag_seconds),
        "publishing": publishing_check({**runtime.router.waiting, **runtime.relay.waiting}, now=datetime.now(UTC)),
        "background": background_check(runtime.failing),
    }


def _oldest_in_flight(streams: Iterable[AgentStream]) -> Iterable[tuple[str, float]]:
    """Events that this worker has read and not finished: the oldest of each partition."""
    return [
        (f"{stream.agent.name}: {topic}[{partition}]", seconds)
        for stream in streams
        if stream.loop is not None
        for (topic, partition), seconds in stream.loop.acks.oldest_seconds().items()
    ]
