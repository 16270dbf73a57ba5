"""Workers: what each says of itself in PostgreSQL, so that whoever asks one worker, or none, is told of all.

One row for each start of a process, written every few seconds in one statement. A row that is not written any more says
since when its worker is silent, for a day.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from outbox.database import Database, Row, queries

_SQL: Final = queries("workers.sql")

#: A worker that runs agents, one that runs a shadow, or a command that builds windows anew.
Kind = Literal["live", "shadow", "rebuild"]

#: How often a worker says how it is, in seconds.
ANNOUNCE_SECONDS: Final = 5.0
#: Workers that are told of; those heard of last come first.
MOST_WORKERS: Final = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class Worker:
    """What a process is for as long as it runs."""

    #: Unique for each start of a process, as in `outbox_lanes.owner`.
    name: str
    kind: Kind
    agent_set: str
    agents: Sequence[str]
    #: The version of Innervate.
    release: str
    #: Where people reach its HTTP interface; None where it has none.
    address: str | None
    started_at: datetime


async def announce(database: Database, worker: Worker, state: str) -> None:
    """Say that the worker lives and how it is; `state` is a JSON object. Raises like `Database.run`."""
    await database.run(
        _SQL["announce"],
        {
            "name": worker.name,
            "kind": worker.kind,
            "agent_set": worker.agent_set,
            "agents": list(worker.agents),
            "release": worker.release,
            "address": worker.address,
            "started_at": worker.started_at,
            "state": state,
        },
    )


async def say_goodbye(database: Database, name: str) -> None:
    """Say that the worker stops. Raises like `Database.run`."""
    await database.run(_SQL["say_goodbye"], {"name": name})


async def workers_heard_of(database: Database) -> Sequence[Row]:
    """Everything that workers said within a day, and who holds which lanes. Raises like `Database.run`."""
    return await database.run(_SQL["workers"], {"at_most": MOST_WORKERS})
