"""Rights: what each kind of principal needs in a Kafka with an authorizer, from the loaded domains and settings.

`worker` runs the agents of `AGENTS` (or a `SHADOW`), or routes alone, `topics` creates what a worker finds, `rebuild`
runs that command, `reader` the ones that look back. READ and WRITE imply DESCRIBE. Nobody needs a right on the cluster:
since Kafka 3.0 an idempotent producer needs none.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

from agents.engine.routing import timeline
from app.settings import Settings
from outbox.parameters import DEAD_LETTERS

#: Kinds of principals.
Task = Literal["worker", "topics", "rebuild", "reader"]
TASKS: Final[Sequence[Task]] = get_args(Task)
Operation = Literal["READ", "WRITE", "CREATE", "DELETE", "DESCRIBE"]

#: What transactional ids, and the groups that keep their last batch, begin with; the rest is drawn by PostgreSQL.
_LANES: Final = "innervate-"


@dataclass(frozen=True, kw_only=True, slots=True)
class Right:
    """What may be done with one resource, or with all whose name begins like this."""

    resource: Literal["topic", "group", "transactional_id"]
    name: str
    operations: Sequence[Operation]
    pattern: Literal["literal", "prefixed"] = "literal"


def rights_of(
    task: Task, settings: Settings, *, changelogs: Collection[str], group: str, router: str
) -> Sequence[Right]:
    """What a principal of this kind needs; `group` is the consumer group of the agents, `router` that of the router."""
    return tuple(_RIGHTS[task](settings, changelogs, group, router))


def _of_worker(settings: Settings, changelogs: Collection[str], group: str, router: str) -> Iterator[Right]:
    is_live = settings.shadowing is None
    if is_live:
        # Read by the router; written by the relay, and by whoever puts a dead letter back.
        yield from _topics(_domain_topics(settings), "READ", "WRITE")
        # The offset that names the last batch of a lane is one of this topic's.
        yield from _topics([DEAD_LETTERS], *(("READ", "WRITE") if settings.outbox_fenced else ("WRITE",)))
        yield from _topics(_timelines(settings), "READ", "WRITE")
    else:
        yield from _topics(_timelines(settings), "READ")
    yield from _topics(changelogs, "READ", "WRITE")
    if settings.running:
        yield Right(resource="group", name=group, operations=("READ",))
    if is_live:
        # Who does not route looks how far it is all the same.
        yield Right(resource="group", name=router, operations=("READ",) if settings.is_routing else ("DESCRIBE",))
    if is_live and settings.outbox_fenced:
        yield Right(resource="group", name=_LANES, operations=("READ",), pattern="prefixed")
        yield Right(resource="transactional_id", name=_LANES, operations=("WRITE",), pattern="prefixed")


def _of_topics(settings: Settings, changelogs: Collection[str], _group: str, _router: str) -> Iterator[Right]:
    yield from _topics([*_domain_topics(settings), DEAD_LETTERS, *_timelines(settings)], "CREATE", "DESCRIBE")
    # Whether their entries lie in the partitions they belong to is looked at each time.
    yield from _topics(changelogs, "CREATE", "READ")


def _of_rebuild(settings: Settings, changelogs: Collection[str], group: str, _router: str) -> Iterator[Right]:
    yield from _topics(_timelines(settings), "READ")
    yield from _topics(changelogs, "READ", "WRITE", "CREATE", "DELETE")
    yield Right(resource="group", name=group, operations=("DESCRIBE",))


def _of_reader(settings: Settings, _changelogs: Collection[str], _group: str, _router: str) -> Iterator[Right]:
    yield from _topics(_timelines(settings), "READ")


def _topics(names: Collection[str], *operations: Operation) -> Iterator[Right]:
    for name in names:
        yield Right(resource="topic", name=name, operations=operations)


def _domain_topics(settings: Settings) -> Sequence[str]:
    """Those that are read, and those that agents publish to."""
    return tuple(dict.fromkeys([*settings.event_topics, *settings.catalogue.topics]))


def _timelines(settings: Settings) -> Sequence[str]:
    return [timeline(entity) for entity in settings.catalogue.entities]


_RIGHTS: Final = {"worker": _of_worker, "topics": _of_topics, "rebuild": _of_rebuild, "reader": _of_reader}
