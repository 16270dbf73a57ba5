"""Worker: the Faust application, run as `faust -A app worker -l info`.

At-least-once processing and idempotent decisions: Faust's exactly-once mode is unusable with RocksDB tables.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import Final, cast

import faust
import faust.streams
from faust.app import BootStrategy
from faust.types import TransportT
from mode import ServiceT
from yarl import URL

from agents.engine.inputs import Readings
from agents.engine.routing import timeline
from app.kafka.credentials import faust_credentials
from app.kafka.partitions import TopicsUnusable
from app.kafka.tuning import TUNING
from app.settings import Settings
from app.telemetry.logs.floods import limit_floods
from app.telemetry.logs.formatting import write_by
from app.web.callers import Role
from app.web.connections import Connections, Limits
from app.web.middleware import MAX_BODY_BYTES, middlewares
from app.web.server import WebServer
from app.web.sessions import Sessions
from app.worker import datadir
from app.worker.announcing import Announcer
from app.worker.consumer import Transport
from app.worker.runtime import Runtime
from app.worker.signals import bound_stop, end_after
from app.worker.stopping import drain_seconds, stop_seconds
from app.worker.stream import AgentStream
from outbox.sessions import session_secret
from tables.errors import SlotUnreadable, TimelineReplaced, WindowsUnusable
from tables.recovery import WindowTables

log = logging.getLogger(__name__)

#: How long a worker that has crashed may take to end, in seconds: what hangs would keep its router and lanes alive.
CRASHED_SECONDS: Final = 30.0

#: The largest batch of a changelog, if more than one record has it; below 1 MiB, what brokers take by default.
CHANGELOG_BATCH_BYTES: Final = 512 * 1024

#: New objects before the youngest are looked through, and how often the older ones are then.
GC_THRESHOLDS: Final = (50_000, 20, 100)


#: Addresses that stand for all of this machine's.
EVERYWHERE: Final = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - nothing is bound here


class Boot(BootStrategy):
    """Starts the runtime before everything of Faust's and stops it last."""

    app: Innervate

    def server(self) -> Iterable[ServiceT]:
        """The runtime and who tells of it, then Faust's own services."""
        return [self.app.runtime, self.app.announcer, *super().server()]

    def producer_only(self) -> Iterable[ServiceT]:
        """The same without agents: nothing of Faust's but its web server, for which it has no words of its own."""
        return [self.app.runtime, self.app.announcer, *self.web_server()]


class Worker(faust.Worker):
    """A process that ends in bounded time when it is told to, and whose log is safe, limited and of one format."""

    def on_setup_root_logger(self, logger: logging.Logger, level: int) -> None:
        """Have everything that is logged from now on written as the settings say."""
        super().on_setup_root_logger(logger, level)
        app = cast("Innervate", self.app)
        follow = app.runtime.followers
        write_by(app.settings.log_format, None if follow is None else follow.logged)
        limit_floods()

    def _install_signal_handlers_unix(self) -> None:
        super()._install_signal_handlers_unix()
        bound_stop(stop_seconds(self._longest_decision_seconds))

    def _flag_as_shutdown_by_signal(self) -> None:
        super()._flag_as_shutdown_by_signal()
        seconds = drain_seconds(self._longest_decision_seconds)
        self.loop.call_later(seconds, cast("Innervate", self.app).has_crashed.set)

    @property
    def _longest_decision_seconds(self) -> float:
        return cast("Innervate", self.app).settings.llm_deadline_seconds


class Innervate(faust.App):
    """A Faust app with its settings, its runtime and its agents. Raises `CredentialsUnusable`."""

    BootStrategy = Boot

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.connections = Connections(Limits())
        #: Parameters of the query, by the path that takes them; see `app.views.endpoints.register`.
        self.query_parameters: dict[str, Collection[str]] = {}
        #: The roles that paths ask for, by method and path.
        self.required_roles: dict[tuple[str, str], Role] = {}
        #: Paths whose answers last as long as somebody looks.
        self.stream_paths: set[str] = set()
        self.sessions = Sessions(settings.access.tokens, self._session_secret)
        super().__init__(
            f"innervate-{settings.agent_set}",
            origin="app",
            broker=[URL(f"kafka://{broker}") for broker in settings.kafka_broker],
            broker_credentials=faust_credentials(settings),
            store=URL("rocksdb://"),
            TableManager=WindowTables,
            Worker=Worker,
            datadir=settings.datadir,
            processing_guarantee="at_least_once",
            consumer_auto_offset_reset="earliest",
            consumer_group_instance_id=settings.kafka_group_instance_id or None,
            broker_commit_interval=1.0,
            topic_partitions=settings.topic_partitions,
            topic_replication_factor=settings.topic_replication_factor,
            topic_disable_leader=True,
            # They are there before (`app.kafka.topics`): to declare them asks for the right to create them.
            topic_allow_declare=False,
            producer_acks=-1,
            # Changelogs send batches of their own making: to wait for more would only delay them.
            producer_linger=0,
            producer_max_request_size=2 * 1024 * 1024,
            web_bind=settings.web_bind,
            web_port=settings.web_port,
            web_host=settings.web_bind if settings.web_on_loopback else None,
            web_tables_enabled=False,
            web_router_enabled=False,
            web_graph_enabled=False,
            web_stats_enabled=False,
            web_application_options={
                "middlewares": middlewares(
                    settings.access,
                    self.sessions,
                    self.connections,
                    parameters=self.query_parameters,
                    required=self.required_roles,
                    streams=self.stream_paths,
                ),
                "client_max_size": MAX_BODY_BYTES,
            },
            **{
                "broker_session_timeout": settings.kafka_session_timeout_seconds,
                "producer_max_batch_size": CHANGELOG_BATCH_BYTES,
                **TUNING[settings.kafka_profile].faust,
            },
        )
        #: Set when this worker has to stop because going on is not safe, and when stopping has taken too long: nothing
        #: that is in flight is waited for.
        self.has_crashed = asyncio.Event()
        self.runtime = Runtime(settings, group=self.conf.id, assignment=self._sharing, crash=self.crash)
        self.agent_streams = self.runtime.agent_streams
        self.announcer = Announcer(
            self.runtime, settings, is_rebalancing=self.is_rebalancing, address=self._web_address
        )
        # Without agents Faust has nothing to read.
        self.producer_only = not settings.running
        #: The agents of each timeline, by name.
        self.readers: defaultdict[str, set[str]] = defaultdict(set)
        for agent in settings.running:
            self.readers[timeline(agent.entity.name)].add(agent.name)
        readings, follow = Readings(), self.runtime.followers
        for agent in settings.running:
            is_shared = len(self.readers[timeline(agent.entity.name)]) > 1
            self.agent_streams.append(
                AgentStream(
                    self,
                    agent,
                    settings=settings,
                    brains=self.runtime.brains,
                    writer=self.runtime.agents_writer,
                    readings=readings if is_shared else None,
                    tracing=None if follow is None else follow.decisions,
                )
            )

    async def crash(self, reason: BaseException) -> None:
        """Stop this worker; what an operator has to mend is said in one line, at the end of the log."""
        if isinstance(reason, WindowsUnusable):
            reason = SystemExit(f"innervate: {reason}; {self._way_out(reason)}")
        elif isinstance(reason, TopicsUnusable):
            reason = SystemExit(f"innervate: {reason}")
        await super().crash(reason)

    def _way_out(self, error: WindowsUnusable) -> str:
        if isinstance(error, SlotUnreadable):
            return "start again: the windows are then read back from the changelog"
        agents = [stream.agent.name for stream in self.agent_streams if stream.windows.table.name == error.table]
        rebuild = f"stop every worker of the set and run `faust -A app rebuild {' '.join(agents)}`"
        if isinstance(error, TimelineReplaced):
            return f"{rebuild}, the same for the other agents of that timeline, and delete the data directories"
        return rebuild

    def _crash(self, reason: BaseException) -> None:
        # Faust comes here whatever crashed: this app, or one of its services.
        if not self.has_crashed.is_set():
            self.has_crashed.set()
            end_after(CRASHED_SECONDS)
        super()._crash(reason)

    def is_rebalancing(self) -> bool:
        """Whether partitions are being shared out, or windows read back; nothing is decided meanwhile."""
        return not self.producer_only and (self.rebalancing or not self.flow_control.is_active())

    def _sharing(self) -> int | None:
        """Which sharing out of partitions this is; None while nothing may be written."""
        return None if self.is_rebalancing() else self.consumer_generation_id

    def _web_address(self) -> str | None:
        """Where people reach the HTTP interface; None without one."""
        if not self.conf.web_enabled:
            return None
        where = self.conf.web_transport
        if where.scheme == "unix":
            return f"unix:{where.path}"
        bind = str(self.conf.web_bind)
        host = socket.gethostname() if bind in EVERYWHERE else f"[{bind}]" if ":" in bind else bind
        return f"http://{host}:{self.conf.web_port}"

    def _new_transport(self) -> TransportT:
        return Transport(self.conf.broker_consumer, self)

    def _new_web(self) -> WebServer:
        return WebServer(self, self.connections, is_guarded=self.settings.access.is_guarded)

    async def _session_secret(self) -> bytes:
        return await session_secret(self.runtime.database)

    async def on_first_start(self) -> None:
        """Listen, and make the data directory with its parents; Faust makes only the last one."""
        if self.conf.web_enabled:
            assert isinstance(self.web, WebServer), "see `_new_web`"
            await self.web.bind()
        try:
            await asyncio.to_thread(datadir.make, self.conf.datadir)
        except datadir.DataDirectoryUnusable as error:
            raise SystemExit(f"innervate: {error}") from error
        await super().on_first_start()
        # What is there now stays, and a worker makes few cycles: looking for them as often as Python does by itself
        # takes a tenth of a busy worker's time (measured by `benchmarks/brains.py` with and without).
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)


def require_compiled_streams() -> None:
    """Raise `SystemExit` unless Faust has them: its pure-Python stream acknowledges events it skips in a rebalance."""
    if getattr(faust.streams, "_CStreamIterator", None) is None:
        raise SystemExit("innervate: faust-streaming without its compiled parts (is NO_CYTHON set?) loses events")
