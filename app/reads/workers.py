"""Workers: every one of every set that was heard of within a day, and whether anything is stuck.

A worker says every few seconds how it is (`app.worker.announcing`); what is shown is its last word. What is stuck is
told of work and not of processes: a worker that was killed and whose partitions others have is no trouble.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from pydantic import AwareDatetime, ValidationError

from app.reads.shapes import NotFound, PageQuery, Shape, Term, cut
from app.worker.readiness import OK, STUCK_AFTER_SECONDS
from app.worker.status import PartitionStatus, WorkerStatus, in_ranges, ranges
from outbox.database import Database, Row
from outbox.workers import ANNOUNCE_SECONDS, Kind, workers_heard_of

#: A worker that has said nothing for so long is silent, in seconds: it missed four times.
SILENT_SECONDS: Final = 4 * ANNOUNCE_SECONDS

Liveness = Literal["alive", "silent", "stopped"]

_AGE: Final = re.compile(r"\b\d+ s\b")


class WorkersQuery(PageQuery):
    """Filters of workers; one that is not given filters nothing."""

    agent_set: Term | None = None
    agent: Term | None = None
    """One that runs this agent."""
    status: Liveness | None = None
    before: Term | None = None
    """The name of the last worker of the page before."""


class WorkerTopic(Shape):
    """The partitions of a topic that a worker has."""

    topic: str
    partitions: Sequence[int]


class WorkerPartition(Shape):
    """How a partition moves."""

    topic: str
    partition: int
    position: int
    """The next offset to read, the end of what can be read, and how many offsets lie between them."""
    end: int
    lag: int
    moved_at: AwareDatetime | None
    """When the position was last seen to move; null when it never was since the worker has it."""
    behind_since: AwareDatetime | None
    """Since when there has been something that is not read yet; null when all is read."""


class WorkerShown(Shape):
    """A worker by its last word; instants are by its own clock, but for `seen_at` and `stopped_at`."""

    name: str
    """Unique for each start of a process: host, process id, and a number of its own."""
    kind: Kind
    agent_set: str
    agents: Sequence[str]
    release: str
    address: str | None
    """Where people reach its HTTP interface."""
    status: Liveness
    """`silent`: it has not said anything for 20 seconds, and did not say that it stops."""
    started_at: AwareDatetime
    seen_at: AwareDatetime
    stopped_at: AwareDatetime | None
    lanes: Sequence[int]
    """The lanes of the outbox whose leases it holds."""
    topics: Sequence[WorkerTopic]
    partitions: Sequence[WorkerPartition]
    """Its partitions one by one, those furthest behind first, and how many more there are."""
    left_out: int
    in_flight: int
    """Events it has read and not finished."""
    oldest_in_flight_at: AwareDatetime | None
    checks: Mapping[str, str]
    """As readiness says it: `ok`, or what does not get done."""
    failing_since: Mapping[str, AwareDatetime]
    held_up: Mapping[str, str]
    """What waits for something outside, and why."""


class WorkersPage(Shape):
    """Workers, those heard of last first."""

    workers: Sequence[WorkerShown]
    stuck: Sequence[str]
    """What does not get done, over all workers, a sentence each; empty when nothing is stuck."""
    next: str | None
    """What to give as `before` for the next page."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Heard:
    """What is known of one worker."""

    shown: WorkerShown
    timelines: Sequence[str]
    timeline_partitions: int
    unseen_seconds: float
    asked_at: datetime

    @property
    def is_alive(self) -> bool:
        """Whether it said something lately."""
        return self.shown.status == "alive"


async def workers(database: Database, query: WorkersQuery) -> WorkersPage:
    """The workers that the filters let pass, and what is stuck over all of them.

    Raises `NotFound` for a `before` nobody knows, `DatabaseUnavailable`.
    """
    heard = [_heard(row) for row in await workers_heard_of(database)]
    found = [each.shown for each in heard if _passes(each.shown, query)]
    if query.before is not None:
        names = [each.name for each in found]
        if query.before not in names:
            raise NotFound(f"no worker {query.before}")
        found = found[names.index(query.before) + 1 :]
    shown, following = cut(found[: query.limit + 1], query.limit, lambda worker: worker.name)
    return WorkersPage(workers=shown, stuck=list(stuck(heard)), next=following)


def stuck(heard: Sequence[Heard]) -> Iterator[str]:
    """What does not get done, a sentence each. Pure."""
    if not heard:
        yield "no worker has said anything within a day"
    yield from _nobody_runs(heard)
    yield from _nobody_has(heard)
    yield from _failing(each for each in heard if each.is_alive)


def _nobody_runs(heard: Sequence[Heard]) -> Iterator[str]:
    live = [each for each in heard if each.shown.kind == "live"]
    running = {agent for each in live if each.is_alive for agent in each.shown.agents}
    left: defaultdict[str, list[str]] = defaultdict(list)
    for each in sorted(live, key=lambda one: one.unseen_seconds):
        for agent in each.shown.agents:
            if agent not in running and all(agent not in agents for agents in left.values()):
                left[each.shown.name].append(agent)
    rebuilt = {agent for each in heard if each.is_alive and each.shown.kind == "rebuild" for agent in each.shown.agents}
    for each in live:
        if agents := left.get(each.shown.name):
            anew = [f"; the windows of {agent} are being built anew" for agent in agents if agent in rebuilt]
            yield f"nobody runs {', '.join(agents)}: {_gone(each.shown)}{''.join(anew)}"


def _gone(worker: WorkerShown) -> str:
    who = f"{worker.name} of the set {worker.agent_set}"
    if worker.stopped_at is not None:
        return f"{who} stopped at {_second(worker.stopped_at)}"
    return f"{who} has been silent since {_second(worker.seen_at)}"


def _nobody_has(heard: Sequence[Heard]) -> Iterator[str]:
    # For a while after a worker went, the others may not have said yet that they have its partitions.
    sets: defaultdict[tuple[str, str], list[Heard]] = defaultdict(list)
    for each in heard:
        if each.shown.kind != "rebuild" and each.unseen_seconds < STUCK_AFTER_SECONDS:
            sets[each.shown.kind, each.shown.agent_set].append(each)
    for (_, name), members in sets.items():
        alive = [each for each in members if each.is_alive]
        if not alive or any(_is_settling(each) for each in alive):
            continue
        for topic in sorted({topic for each in alive for topic in each.timelines}):
            had = {
                number
                for each in members
                for held in each.shown.topics
                if held.topic == topic
                for number in held.partitions
            }
            if missing := set(range(alive[0].timeline_partitions)) - had:
                yield f"nobody of the set {name} has {topic}[{ranges(missing)}]"


def _is_settling(each: Heard) -> bool:
    """Whether its partitions are being shared out; it says so itself when that takes too long."""
    age_seconds = (each.asked_at - each.shown.started_at).total_seconds()
    return age_seconds < STUCK_AFTER_SECONDS or each.shown.checks.get("assignment", OK) != OK


def _failing(alive: Iterable[Heard]) -> Iterator[str]:
    told: dict[tuple[str, str], str] = {}
    others: defaultdict[tuple[str, str], int] = defaultdict(int)
    for each in alive:
        for name, says in each.shown.checks.items():
            if says == OK or not _has_lasted(each, name):
                continue
            # The same from several workers differs by the seconds it has lasted when they looked.
            what = (name, _AGE.sub("", says))
            if what in told:
                others[what] += 1
            told.setdefault(what, f"{name}: {says}, says {each.shown.name} of the set {each.shown.agent_set}")
    for what, sentence in told.items():
        yield f"{sentence} and {others[what]} more" if others[what] else sentence


def _has_lasted(each: Heard, check: str) -> bool:
    """Whether a check is to be believed; partitions are shared out whenever a worker comes or goes."""
    since = each.shown.failing_since.get(check)
    if check != "assignment" or since is None:
        return check != "assignment"
    return (each.shown.seen_at - since).total_seconds() > STUCK_AFTER_SECONDS


def _passes(worker: WorkerShown, query: WorkersQuery) -> bool:
    return (
        query.agent_set in {None, worker.agent_set}
        and (query.agent is None or query.agent in worker.agents)
        and query.status in {None, worker.status}
    )


def _heard(row: Row) -> Heard:
    columns = row._asdict()
    unseen_seconds, asked_at, state = (columns.pop(name) for name in ("unseen_seconds", "asked_at", "state"))
    try:
        status = WorkerStatus.model_validate(state)
    except ValidationError:
        # A version that is not known here; what stands in columns is.
        status = WorkerStatus()
    liveness: Liveness = "alive" if unseen_seconds < SILENT_SECONDS else "silent"
    shown = WorkerShown(
        **columns,
        status=liveness if row.stopped_at is None else "stopped",
        topics=[
            WorkerTopic(topic=topic, partitions=in_ranges(text)) for topic, text in sorted(status.partitions.items())
        ],
        partitions=[_partition(each) for each in status.moving],
        left_out=status.left_out,
        in_flight=status.in_flight,
        oldest_in_flight_at=status.oldest_in_flight_at,
        checks=status.checks,
        failing_since=status.failing_since,
        held_up=status.held_up,
    )
    return Heard(
        shown=shown,
        timelines=status.timelines,
        timeline_partitions=status.timeline_partitions,
        unseen_seconds=unseen_seconds,
        asked_at=asked_at,
    )


def _partition(status: PartitionStatus) -> WorkerPartition:
    return WorkerPartition(**status.model_dump(), lag=max(status.end - status.position, 0))


def _second(at: datetime) -> str:
    return at.isoformat(timespec="seconds")
