"""Runtime: what a worker owns besides Faust: database, writer, relay, publishers, router.

Started before the consumer and stopped after it, so that everything in flight can still be committed. A start fails
with one line when PostgreSQL or Kafka cannot be used. The worker of a shadow neither routes nor publishes. Every other
one publishes, and looks how far the router's group is, whether or not it routes itself: somebody has to see that nobody
does.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import uuid
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final

from mode import Service

from agents.engine.ports import Writer
from agents.engine.router import Router
from agents.engine.shadow import ShadowWriter
from agents.engine.wanted import Wanted
from app.kafka.credentials import client_options
from app.kafka.groups import check_rights
from app.kafka.timelines import TimelineReader
from app.kafka.topics import LARGEST_MESSAGE_BYTES, ensure_topics, timelines_of
from app.kafka.tuning import TUNING
from app.settings import Settings
from app.telemetry.metrics.instruments import Instruments
from app.telemetry.traces import followers_of
from app.worker.brains import Brains
from app.worker.code import codes_of
from app.worker.misses import ROUND_SECONDS, Misses
from app.worker.probe import ProgressProbe
from app.worker.stream import AgentStream
from app.worker.sweep import Sweep
from outbox.approvals import Approvals
from outbox.chains import ChainLimits
from outbox.codes import register
from outbox.database import Database
from outbox.errors import DatabaseUnavailable, Fatal
from outbox.expectations import Expectations
from outbox.fenced import FencedPublisher
from outbox.migrate import is_current, migrate
from outbox.notify import Notifications
from outbox.publisher import Publisher
from outbox.records import LANES
from outbox.redrives import Redrives
from outbox.relay import Relay
from outbox.retention import RETENTION_INTERVAL_SECONDS, STEP_SECONDS, Retention
from outbox.supervision import Supervisor
from outbox.watch import OutboxWatch
from outbox.writer import DecisionWriter

log = logging.getLogger(__name__)

#: How often held decisions that nobody answered in time are looked for, in seconds.
EXPIRY_INTERVAL_SECONDS: Final = 5.0
#: How often somebody looks how long the outbox has not moved, in seconds, whether or not readiness is asked for.
WATCH_INTERVAL_SECONDS: Final = 5.0
#: The consumer group of the router, shared by the workers of all agent sets.
ROUTER_GROUP: Final = "innervate-router"
#: Dead letters may be as large as Kafka lets anything in. Ten milliseconds gather a batch.
PRODUCER: Final[Mapping[str, Any]] = {"max_request_size": LARGEST_MESSAGE_BYTES, "linger_ms": 10}


class Runtime(Service):
    """The parts of one worker process. `group` is the consumer group of its agents.

    `assignment` gives a number that is another one after each rebalance, None while no window may be written; `crash`
    must stop the worker and may return.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        group: str,
        assignment: Callable[[], int | None],
        crash: Callable[[BaseException], Awaitable[None]],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._settings = settings
        self.group = group
        #: What is measured when it happens.
        self.instruments = Instruments(settings.catalogue)
        #: Unique for each start of a process, and telling an operator which one it is.
        self.name = worker_name()
        #: The application adds them: they write and ask by the parts of this runtime.
        self.agent_streams: list[AgentStream] = []
        options = client_options(settings)
        self.database = Database(settings.database_url)
        tuning = TUNING[settings.kafka_profile]
        producer = {**PRODUCER, **tuning.producer}
        # Whatever is written to a timeline, by the router or as a redrive, is found by its key's partition alone.
        partitions = dict.fromkeys(timelines_of(settings), settings.topic_partitions)
        self._router_publisher = Publisher({**options, **producer}, partitions=partitions)
        self.relay_publisher: Publisher | FencedPublisher = (
            FencedPublisher(self.database, client=options, producer=producer, partitions=partitions)
            if settings.outbox_fenced
            else Publisher({**options, **producer}, partitions=partitions)
        )
        #: Who follows events from one to the next, if anybody does.
        self.followers = follow = followers_of(os.environ, settings.agent_set)
        self.relay = Relay(
            self.database, self.relay_publisher, owner=self.name, tracing=None if follow is None else follow.messages
        )
        self.notifications = Notifications(self.database, settings.database_url, on_hint=self.relay.kick)
        #: The ids of what decides here, by the names of agents in `decisions`.
        self._codes: dict[str, int] = {}
        self.brains = Brains(settings, self.database, on_call=self.instruments.model_call, followers=follow)
        on_effects = self.instruments.measures.note
        limits = ChainLimits(decisions=settings.chain_max_depth, messages=settings.chain_max_messages)
        self.writer = DecisionWriter(
            self.database,
            on_commit=self._on_commit,
            on_effects=on_effects,
            limits=limits,
            effects_wait_seconds=settings.effects_wait_seconds,
            codes=self._codes,
        )
        shadow = settings.shadowing
        #: Where agents commit: a shadow's decisions have no consequences.
        self.agents_writer: Writer = self.writer if shadow is None else ShadowWriter(shadow, self.writer)
        self.approvals = Approvals(
            self.database,
            effects=settings.catalogue.types.effects,
            on_commit=self._on_commit,
            on_effects=on_effects,
        )
        self.redrives = Redrives(self.database, on_commit=self._on_commit)
        self.router = Router(
            settings.event_topics,
            catalogue=settings.catalogue,
            group=ROUTER_GROUP,
            options={**options, **settings.static_member(), **tuning.consumer, "client_id": "innervate-router"},
            publisher=self._router_publisher,
            writer=self.writer,
            max_event_bytes=settings.max_event_bytes,
            wanted=Wanted(settings.catalogue, settings.timelines),
            tracing=None if follow is None else follow.router,
        )
        self.watch = OutboxWatch(self.database)
        self.probe = ProgressProbe(
            group=group,
            router=ROUTER_GROUP if shadow is None else None,
            topics=settings.event_topics if shadow is None else (),
            client=options,
            partitions=partitions,
            on_unusable=crash,
            published_until=lambda: self.watch.published_until,
        )
        self.sweep = Sweep(
            self.agent_streams,
            assignment=assignment,
            standings=self.probe.agents.standings,
            timeline=lambda topic: TimelineReader(options, topic, exact_ends=tuning.exact_ends),
            late=timedelta(days=settings.window_late_days),
            crash=crash,
        )
        self.expectations = Expectations(self.database, on_commit=self._on_commit)
        self.misses = Misses(
            self.agent_streams,
            self.expectations,
            types=settings.catalogue.types,
            assignment=assignment,
            decided_until=self.probe.decided.of,
        )
        #: What runs in the background besides the parts' own.
        self.background = Supervisor()

    async def on_start(self) -> None:
        """Prepare PostgreSQL and Kafka, then start every part, unless told to stop meanwhile."""
        try:
            await self._prepare()
        except (DatabaseUnavailable, Fatal) as error:
            if not self.should_stop:  # stopping closes what it waits for
                raise SystemExit(f"innervate: {error}") from error
        if self.should_stop:
            return
        self.instruments.start()
        self.background.start("event loop watch", self.instruments.watch_loop)
        self.background.start("progress probe", lambda: self.probe.run(self.assigned))
        self.background.start("sweep of lapsed windows", self.sweep.run)
        if self._settings.shadowing is None:
            self.background.every(RETENTION_INTERVAL_SECONDS, "retention", self._see_to_retention)
            self.relay.start()
            self.notifications.start()
            self.background.every(WATCH_INTERVAL_SECONDS, "outbox watch", self._watch)
            if self._settings.is_routing:
                self.background.start("router", self.router.run)
            if any(agent.expects for agent in self._settings.running):
                self.background.every(ROUND_SECONDS, "misses", self.misses.round)
            self.background.every(EXPIRY_INTERVAL_SECONDS, "expiry", lambda: expire_overdue(self.approvals))

    @property
    def held_up(self) -> Mapping[str, str]:
        """What of the relay waits, and why."""
        return self.relay.troubles.current()

    @property
    def failing(self) -> Mapping[str, str]:
        """The background tasks that failed lately and what could not be written lately, and why."""
        parts = (self.background, self.relay.background, self.notifications.background)
        tasks = {name: why for part in parts for name, why in part.failing().items()}
        return {**tasks, **self.writer.troubles.current()}

    async def _watch(self) -> None:
        with suppress(DatabaseUnavailable):  # readiness asks as well, and says so
            await self.watch.look()

    async def _see_to_retention(self) -> None:
        # On a connection of its own: moving what stays may take longer than anybody else's statement.
        database = Database(self._settings.database_url, connections=1, timeout_seconds=STEP_SECONDS)
        try:
            await Retention(database).maintain()
        except DatabaseUnavailable as error:
            log.warning("retention waits for PostgreSQL: %s", error)
        finally:
            await database.close()

    async def _prepare(self) -> None:
        settings = self._settings
        await asyncio.to_thread(_prepare_database, settings)
        await self.database.open()
        self._codes.update(await register(self.database, await asyncio.to_thread(codes_of, settings)))
        known = await ensure_topics(settings, [stream.changelog for stream in self.agent_streams])
        for stream in self.agent_streams:
            stream.require(known)
        if settings.kafka_profile == "apache":
            joined = [self.group] if self.agent_streams else []
            await check_rights(client_options(settings), [*joined, ROUTER_GROUP] if settings.is_routing else joined)

    async def on_stop(self) -> None:
        """Stop in the order of the data: router, writer, relay, publishers, database."""
        self.instruments.stop()
        await self.background.stop()
        for stream in self.agent_streams:
            await stream.stop()
        await self.brains.stop()
        await self.writer.stop()
        await self.notifications.stop()
        await self.relay.stop()
        await self._router_publisher.stop()
        await self.relay_publisher.stop()
        if self.followers is not None:
            await self.followers.stop()
        await self.database.close()

    def look_for_messages(self) -> None:
        """Tell every relay that something was put into the outbox, whatever its lane."""
        self._on_commit(range(LANES))

    def _on_commit(self, lanes: Collection[int]) -> None:
        self.relay.kick()
        if not set(lanes) <= set(self.relay.lanes):
            self.notifications.announce()

    def assigned(self) -> Collection[tuple[str, int]]:
        """The partitions of timelines whose windows this worker has, as (topic, partition)."""
        return {place for stream in self.agent_streams for place in stream.assigned}


async def expire_overdue(approvals: Approvals) -> None:
    """Reject held decisions that are overdue; while PostgreSQL is away they wait."""
    try:
        for decision_id in await approvals.expire():
            told = {"decision_id": str(decision_id)}
            log.info("nobody answered for the held decision %s in time", decision_id, extra=told)
    except DatabaseUnavailable as error:
        log.warning("overdue decisions wait for PostgreSQL: %s", error)


def _prepare_database(settings: Settings) -> None:
    migrations = settings.catalogue.migrations
    if settings.migrate_at_start:
        migrate(settings.database_url, migrations, settings.database_roles)
    elif not is_current(settings.database_url, migrations):
        raise DatabaseUnavailable("the schema is not current: run `faust -A app migrate` or set MIGRATE_AT_START")


def worker_name() -> str:
    """A name that no other start of a process has, and that tells which one it is."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
