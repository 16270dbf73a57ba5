"""Announcing: a worker writes every few seconds what it is and how it is, for whoever asks any of them.

It costs one small statement every `ANNOUNCE_SECONDS` and holds up nothing: while PostgreSQL is away, or refuses,
nothing is said, and the worker goes on.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Final

from mode import Service

from agents.engine.routing import timeline
from app.settings import Settings
from app.worker.checks import known_checks, last_outbox_check, waiting_topics
from app.worker.progress import Place, Standing
from app.worker.readiness import OK
from app.worker.runtime import Runtime, worker_name
from app.worker.status import MOST_PARTITIONS, Failing, Instants, WorkerStatus, moving, ranges, short
from outbox.database import Database
from outbox.supervision import Supervisor
from outbox.workers import ANNOUNCE_SECONDS, Worker, announce, say_goodbye

log = logging.getLogger(__name__)

#: How long one attempt may take, in seconds: it must not keep a connection that others need.
ATTEMPT_SECONDS: Final = 5.0


class Announcements:
    """Says again and again what a process is and how it is; where nobody listens it goes on and says so once."""

    def __init__(self, database: Database, worker: Callable[[], Worker], status: Callable[[], WorkerStatus]) -> None:
        self._database = database
        self._worker = worker
        self._status = status
        #: The last reason for saying nothing that was logged.
        self._told = ""
        # What fails here must not make the worker unready, so it is not among the background tasks of the runtime.
        self._background = Supervisor()

    def start(self) -> None:
        """Begin. The event loop must be running."""
        self._background.start("announcing", self._announce_for_ever)

    async def stop(self) -> None:
        """Say goodbye, if anybody listens."""
        await self._background.stop()
        await self._try(lambda: say_goodbye(self._database, self._worker().name))

    async def _announce_for_ever(self) -> None:
        while True:
            await self._try(lambda: announce(self._database, self._worker(), self._status().model_dump_json()))
            await asyncio.sleep(ANNOUNCE_SECONDS)

    async def _try(self, say: Callable[[], Any]) -> None:
        try:
            async with asyncio.timeout(ATTEMPT_SECONDS):
                await say()
            self._told = ""
        except Exception as error:  # noqa: BLE001 - whatever it is, the worker has other things to do
            if type(error).__name__ != self._told:
                self._told = type(error).__name__
                log.warning("this worker cannot say how it is, and goes on: %r", error)


@asynccontextmanager
async def announced_rebuild(settings: Settings, agent: str) -> AsyncIterator[None]:
    """Say while the block runs that the windows of an agent are built anew, if PostgreSQL listens."""
    worker = Worker(
        name=worker_name(),
        kind="rebuild",
        agent_set=settings.agent_set,
        agents=[agent],
        release=version("innervate"),
        address=None,
        started_at=datetime.now(UTC),
    )
    database = Database(settings.database_url)
    announcements = Announcements(database, lambda: worker, WorkerStatus)
    announcements.start()
    try:
        yield
    finally:
        await announcements.stop()
        await database.close()


class Announcer(Service):
    """Says how the worker of this runtime is, from its start to its stop."""

    def __init__(
        self,
        runtime: Runtime,
        settings: Settings,
        *,
        is_rebalancing: Callable[[], bool],
        address: Callable[[], str | None],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._runtime = runtime
        self._settings = settings
        self._is_rebalancing = is_rebalancing
        self._address = address
        self._started_at = datetime.now(UTC)
        self._instants = Instants()
        self._failing = Failing()
        self._announcements = Announcements(runtime.database, self.worker, self.status)

    async def on_start(self) -> None:
        """Begin to say it."""
        self._announcements.start()

    async def on_stop(self) -> None:
        """Say goodbye."""
        await self._announcements.stop()

    def worker(self) -> Worker:
        """What this worker is."""
        settings = self._settings
        return Worker(
            name=self._runtime.name,
            kind="live" if settings.shadowing is None else "shadow",
            agent_set=settings.agent_set,
            agents=[stream.agent.name for stream in self._runtime.agent_streams],
            release=version("innervate"),
            address=self._address(),
            started_at=self._started_at,
        )

    def status(self) -> WorkerStatus:
        """How it is now."""
        runtime, now = self._runtime, time.monotonic()
        checks = {
            "outbox": last_outbox_check(runtime, self._settings),
            **known_checks(runtime, self._settings, is_rebalancing=self._is_rebalancing()),
        }
        failing = self._failing.observe([name for name, check in checks.items() if check != OK], now)
        mine = _standings(runtime)
        told = moving(mine, runtime.probe.lag.seconds(now), self._instants, now)
        loops = [stream.loop for stream in runtime.agent_streams if stream.loop is not None]
        oldest = max((age for loop in loops for age in loop.acks.oldest_seconds().values()), default=None)
        return WorkerStatus(
            partitions=_held(runtime),
            timelines=sorted({timeline(stream.agent.entity.name) for stream in runtime.agent_streams}),
            timeline_partitions=self._settings.topic_partitions,
            moving=told[:MOST_PARTITIONS],
            left_out=max(len(told) - MOST_PARTITIONS, 0),
            in_flight=sum(len(loop.acks) for loop in loops),
            oldest_in_flight_at=None if oldest is None else self._instants.of(now - oldest),
            checks=short(checks),
            failing_since={name: self._instants.of(since) for name, since in failing.items()},
            held_up=short({**runtime.held_up, **{name: why.reason for name, why in waiting_topics(runtime).items()}}),
        )


def _held(runtime: Runtime) -> Mapping[str, str]:
    by_topic: defaultdict[str, set[int]] = defaultdict(set)
    for topic, partition in {*runtime.assigned(), *runtime.router.assigned}:
        by_topic[topic].add(partition)
    return {topic: ranges(by_topic[topic]) for topic in sorted(by_topic)}


def _standings(runtime: Runtime) -> Mapping[Place, Standing]:
    """Where the partitions stand that this worker has: of the router's, all workers ask for all."""
    routed = runtime.router.assigned
    probe = runtime.probe
    return {
        **{place: standing for place, standing in probe.router.standings().items() if place in routed},
        **probe.agents.standings(),
    }
