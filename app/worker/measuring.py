"""Measuring: what a worker's parts know of themselves, as metrics. It asks nobody: no statement, no request."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from agents.engine.shadow import Shadow
from app.settings import Settings
from app.telemetry.metrics import catalogue as of
from app.telemetry.metrics.metric import Family, family, single
from app.worker.checks import known_checks, last_outbox_check, waiting_topics
from app.worker.progress import Place
from app.worker.readiness import OK
from app.worker.runtime import ROUTER_GROUP, Runtime
from app.worker.stream import AgentStream
from outbox.fenced import FencedPublisher
from tables.cache import memory

#: Answers of a person or of time, so that each is told from the first scrape on.
_ANSWERS = ("approved", "rejected", "expired")


def reading(runtime: Runtime) -> Iterator[Family]:
    """How far each group is, by the broker's own numbers."""
    now, probe = time.monotonic(), runtime.probe
    lag = probe.lag.seconds(now)
    own = {*runtime.assigned(), *runtime.router.assigned}
    groups = ((runtime.group, probe.agents), (ROUTER_GROUP, probe.router))
    standings = {
        _words(group, place): (place, one) for group, all_of in groups for place, one in all_of.standings().items()
    }
    yield family(of.POSITION, [(words, one.position) for words, (place, one) in standings.items() if place in own])
    yield family(of.END, [(words, one.end) for words, (place, one) in standings.items() if place in own])
    yield family(of.LAG_RECORDS, [(words, max(one.end - one.position, 0)) for words, (_, one) in standings.items()])
    yield family(of.LAG_SECONDS, [(words, lag.get(place, 0.0)) for words, (place, _) in standings.items()])
    yield family(of.UNMOVED, [(words, now - one.since) for words, (_, one) in standings.items()])
    ages = [(words, now - one.moved) for words, (_, one) in standings.items() if one.moved is not None]
    yield family(of.COMMIT_AGE, ages)
    topics = [topic for topic, _ in own]
    yield family(of.ASSIGNED, [((topic,), topics.count(topic)) for topic in sorted(set(topics))])
    yield single(of.UNREADABLE, len(probe.unreadable))
    yield single(of.BROKER_AGE, now - probe.answered_at)


def events(streams: Iterable[AgentStream], routed: int, shadow: Shadow | None) -> Iterator[Family]:
    """What the agents have taken and not finished."""
    loops = {_name(stream, shadow): stream.loop for stream in streams if stream.loop is not None}
    yield single(of.ROUTED, routed)
    yield family(of.TAKEN, [((agent,), loop.taken) for agent, loop in loops.items()])
    yield family(of.IN_FLIGHT, [((agent,), len(loop.acks)) for agent, loop in loops.items()])
    oldest = {agent: max(loop.acks.oldest_seconds().values(), default=0.0) for agent, loop in loops.items()}
    yield family(of.OLDEST_IN_FLIGHT, [((agent,), seconds) for agent, seconds in oldest.items()])
    depths = {agent: loop.waiting for agent, loop in loops.items()}
    yield family(of.ENTITIES_WAITING, [((agent,), depth.lanes) for agent, depth in depths.items()])
    yield family(of.LANE_EVENTS, [((agent,), depth.jobs) for agent, depth in depths.items()])
    yield family(of.DEEPEST_LANE, [((agent,), depth.deepest) for agent, depth in depths.items()])


def decisions(runtime: Runtime) -> Iterator[Family]:
    """What was committed here."""
    counts = runtime.writer.counts
    yield family(of.DECISIONS, counts.decisions.counts().items())
    yield family(of.DUPLICATES, counts.copies.counts().items())
    yield family(of.DEAD_LETTERS, counts.dead_letters.counts().items())
    answers = runtime.approvals.answers.counts()
    yield family(of.ANSWERS, [((name,), answers.get((name,), 0)) for name in _ANSWERS])
    yield family(of.EXPECTATIONS, runtime.expectations.counts.counts().items())


def publishing(runtime: Runtime) -> Iterator[Family]:
    """What this worker publishes, and what waits in the whole outbox as it was last looked at."""
    relay, pending = runtime.relay, runtime.watch.pending
    held = set(relay.lanes)
    ages = {lane.lane: lane.age_seconds for lane in pending.lanes}
    unheld = {lane.lane for lane in pending.lanes if lane.owner is None}
    yield single(of.PENDING_OLDEST, max(ages.values(), default=0.0))
    yield single(of.PENDING_UNMOVED, max(pending.unmoved_seconds(time.monotonic()).values(), default=0.0))
    yield family(of.LANE_OLDEST, [((str(lane),), ages.get(lane, 0.0)) for lane in sorted(held | unheld)])
    yield single(of.LANES_HELD, len(held))
    yield single(of.PUBLISHED, relay.acknowledged)
    yield single(of.BURIED_TOTAL, relay.buried)
    yield single(of.LEASES_LOST, relay.lost_leases)
    publisher = runtime.relay_publisher
    yield single(of.FENCED, publisher.fenced if isinstance(publisher, FencedPublisher) else 0)
    yield single(of.TOPICS_WAITING, len(waiting_topics(runtime)))


def windows(
    streams: Sequence[AgentStream], removed: Mapping[str, int], shadow: Shadow | None, datadir: Path
) -> Iterator[Family]:
    """What is remembered on this machine, what is no more, and its disk; `removed` are windows by agent."""
    usages = {_name(stream, shadow): stream.windows.usage() for stream in streams}
    yield family(of.WINDOW_PARTITIONS, [((agent,), usage.partitions) for agent, usage in usages.items()])
    yield family(of.WINDOW_ENTRIES, [((agent,), usage.entries) for agent, usage in usages.items()])
    yield family(of.WINDOW_FILES, [((agent,), usage.file_bytes) for agent, usage in usages.items()])
    yield family(of.WINDOW_MEMORY, [((agent,), usage.memory_bytes) for agent, usage in usages.items()])
    gone = [((_name(stream, shadow),), removed.get(stream.agent.name, 0)) for stream in streams]
    yield family(of.WINDOWS_REMOVED, gone)
    yield single(of.CACHED_WINDOWS, len(memory()))
    yield single(of.CACHED_BYTES, memory().used_bytes)
    disk = shutil.disk_usage(datadir)
    yield single(of.DISK_FREE, disk.free)
    yield single(of.DISK_SIZE, disk.total)


def worker(runtime: Runtime, settings: Settings, *, is_rebalancing: bool) -> Iterator[Family]:
    """What this worker is, and what its readiness says without asking PostgreSQL."""
    kind = "live" if settings.shadowing is None else "shadow"
    yield family(of.INFO, [((version("innervate"), settings.agent_set, kind), 1)])
    checks = {
        "outbox": last_outbox_check(runtime, settings),
        **known_checks(runtime, settings, is_rebalancing=is_rebalancing),
    }
    yield family(of.CHECK, [((name,), float(says == OK)) for name, says in checks.items()])


def _words(group: str, place: Place) -> tuple[str, ...]:
    topic, partition = place
    return group, topic, str(partition)


def _name(stream: AgentStream, shadow: Shadow | None) -> str:
    return stream.agent.name if shadow is None else shadow.name_of(stream.agent.name)
