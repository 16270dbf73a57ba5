"""Checks: what readiness says of a worker but for what PostgreSQL has to be asked first. Costs no statement."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from app.settings import Settings
from app.worker.readiness import (
    OK,
    background_check,
    commits_check,
    in_flight_check,
    lag_check,
    pending_check,
    publishing_check,
    router_check,
    transactions_check,
)
from app.worker.runtime import Runtime
from app.worker.stream import AgentStream
from outbox.pauses import Waiting


def known_checks(runtime: Runtime, settings: Settings, *, is_rebalancing: bool) -> Mapping[str, str]:
    """What a worker knows by itself: "ok", or what does not get done."""
    return {
        "assignment": "rebalancing or recovering" if is_rebalancing else OK,
        "in_flight": in_flight_check(_oldest_in_flight(runtime.agent_streams)),
        "commits": commits_check(runtime.probe),
        "router": router_check(runtime.probe),
        "transactions": transactions_check(runtime.probe),
        "lag": lag_check(runtime.probe, runtime.watch.pending, settings.ready_lag_seconds),
        "publishing": publishing_check(waiting_topics(runtime), now=datetime.now(UTC)),
        "background": background_check(runtime.failing),
    }


def last_outbox_check(runtime: Runtime, settings: Settings) -> str:
    """Whether what is pending leaves, as far as the last look at the outbox tells."""
    # A shadow publishes nothing, and what others leave is not its own affair.
    return OK if settings.shadowing else pending_check(runtime.watch.pending, runtime.held_up)


def waiting_topics(runtime: Runtime) -> Mapping[str, Waiting]:
    """The topics that Kafka takes nothing for, and why."""
    return {**runtime.router.waiting, **runtime.relay.waiting}


def _oldest_in_flight(streams: Iterable[AgentStream]) -> Iterable[tuple[str, float]]:
    """Events that this worker has read and not finished: the oldest of each partition."""
    return [
        (f"{stream.agent.name}: {topic}[{partition}]", seconds)
        for stream in streams
        if stream.loop is not None
        for (topic, partition), seconds in stream.loop.acks.oldest_seconds().items()
    ]
