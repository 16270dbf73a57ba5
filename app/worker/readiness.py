"""Readiness: what does not move, in one line for each check; "ok" where everything does.

Each check takes what it looks at and nothing else. What stands still for `STUCK_AFTER_SECONDS` is named at once; what
moves but is late is named when it is later than the operator allows.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

from app.worker.probe import ProgressProbe
from app.worker.progress import Place
from outbox.database import Database
from outbox.errors import DatabaseUnavailable
from outbox.pauses import Waiting
from outbox.watch import OutboxWatch, Pending

#: What has not moved for longer than this is stuck, in seconds.
STUCK_AFTER_SECONDS: Final = 60.0
#: How many things one check names.
NAMED: Final = 5

OK: Final = "ok"


async def database_check(database: Database) -> str:
    """Whether PostgreSQL answers and takes writes."""
    try:
        return "PostgreSQL is read-only" if await database.is_read_only() else OK
    except DatabaseUnavailable as error:
        return str(error)


async def outbox_check(watch: OutboxWatch, failing: Mapping[str, str]) -> str:
    """Whether what is pending leaves, in every lane, whoever holds it; `failing` is what of the relay does not work."""
    try:
        return pending_check(await watch.look(), failing)
    except DatabaseUnavailable as error:
        return f"unknown: {error}"


def pending_check(pending: Pending, failing: Mapping[str, str]) -> str:
    """The same by what was last seen of the outbox."""
    return named([*_stuck_lanes(pending), *(f"{name}: {why}" for name, why in failing.items())])


def publishing_check(waiting: Mapping[str, Waiting], *, now: datetime) -> str:
    """Whether Kafka takes something for every topic: named at once where somebody has to act, else when it lasts."""
    return named(
        f"{topic} waits since {one.since.isoformat(timespec='seconds')}: {one.reason}"
        for topic, one in sorted(waiting.items())
        if one.needs_operator or (now - one.since).total_seconds() > STUCK_AFTER_SECONDS
    )


def router_check(probe: ProgressProbe) -> str:
    """Whether every domain topic can be read and every partition of them moves."""
    unreadable = [f"{topic} cannot be read: {why}" for topic, why in sorted(probe.unreadable.items())]
    return named([*unreadable, *_stuck(probe.router.stuck_seconds(time.monotonic()))])


def commits_check(probe: ProgressProbe) -> str:
    """Whether the partitions this worker has move, as far as the broker says."""
    now = time.monotonic()
    silent = now - probe.answered_at
    if silent > STUCK_AFTER_SECONDS:
        return f"Kafka has not said for {silent:.0f} s how far the groups are: {probe.problem or 'no answer'}"
    return named(_stuck(probe.agents.stuck_seconds(now)))


def transactions_check(probe: ProgressProbe) -> str:
    """Whether a transaction hangs: whoever reads what is committed waits at it."""
    return named(_stuck(probe.transactions.stuck_seconds(time.monotonic()), "waits at an open transaction"))


def lag_check(probe: ProgressProbe, pending: Pending, allowed_seconds: float) -> str:
    """Whether everything is read and published soon enough."""
    late = {f"{topic}[{partition}]": lag for (topic, partition), lag in probe.lag.seconds(time.monotonic()).items()}
    late |= {f"lane {lane.lane} of the outbox": lane.age_seconds for lane in pending.lanes}
    return named(f"{what} is {lag:.0f} s behind" for what, lag in worst_first(late) if lag > allowed_seconds)


def in_flight_check(oldest: Iterable[tuple[str, float]]) -> str:
    """Whether what was read is finished; `oldest` has a name and an age in seconds for each partition of an agent."""
    return named(f"{what} has waited {age:.0f} s" for what, age in oldest if age > STUCK_AFTER_SECONDS)


def background_check(failing: Mapping[str, str]) -> str:
    """Whether every background task runs."""
    return named(f"{name}: {why}" for name, why in sorted(failing.items()))


def named(found: Iterable[str]) -> str:
    """The first of what was found, in one line, and how many more there are."""
    lines = list(found)
    more = [f"and {len(lines) - NAMED} more"] if len(lines) > NAMED else []
    return "; ".join([*lines[:NAMED], *more]) or OK


def worst_first(seconds: Mapping[str, float]) -> Iterable[tuple[str, float]]:
    """What takes longest first."""
    return sorted(seconds.items(), key=lambda item: -item[1])


def _stuck(seconds: Mapping[Place, float], what: str = "has not moved") -> Iterable[str]:
    named_seconds = {f"{topic}[{partition}]": age for (topic, partition), age in seconds.items()}
    return [f"{place} {what} for {age:.0f} s" for place, age in worst_first(named_seconds) if age > STUCK_AFTER_SECONDS]


def _stuck_lanes(pending: Pending) -> Iterable[str]:
    unmoved = pending.unmoved_seconds(time.monotonic())
    return [
        f"lane {lane.lane} has waited {unmoved[lane.lane]:.0f} s, held by {lane.owner or 'nobody'}"
        for lane in pending.lanes
        if unmoved[lane.lane] > STUCK_AFTER_SECONDS
    ]
