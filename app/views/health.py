"""Health: `live` says the event loop turns, `ready` that work gets done.

Readiness looks at progress, not at "the process is there": a Faust worker can go silent while it lives. What it costs
does not grow with what is pending.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, Literal

from aiohttp import web

from app.reads.shapes import Shape
from app.settings import Settings
from app.views.endpoints import Asked, Endpoint, as_json
from app.web.callers import Role
from app.worker.application import Innervate
from app.worker.checks import known_checks
from app.worker.readiness import OK, database_check, outbox_check
from app.worker.runtime import Runtime

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
    known = known_checks(runtime, settings, is_rebalancing=is_rebalancing)
    return {"database": database, "outbox": outbox, **known}
