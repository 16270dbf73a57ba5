"""Command that lists every worker of every set, and says whether anything is stuck: `workers`.

It talks to PostgreSQL alone, so it answers also where no worker does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from agents.model.text import escaped
from app.commands.lists import JSON, answer, asked, cell, filters, more, table
from app.commands.terminal import Terminal, command, opened
from app.reads.workers import WorkerShown, WorkersQuery
from app.reads.workers import workers as read_workers
from app.settings import Settings
from app.worker.readiness import OK
from app.worker.status import ranges

_HEADERS: Final = ("worker", "set", "kind", "status", "started", "seen", "lanes", "in flight", "lag", "partitions")


@command(*filters(WorkersQuery), JSON)
async def workers(terminal: Terminal, settings: Settings, *, as_json: bool, **typed: Any) -> None:
    """List the workers of every set that were heard of within a day, and say what is stuck."""
    query = asked(WorkersQuery, typed)
    async with opened(settings.database_url) as database:
        found = await read_workers(database, query)
    if as_json or terminal.json:
        answer(terminal, found)
        return
    table(terminal, "Workers", _HEADERS, list(map(_row, found.workers)))
    for worker in found.workers:
        if wrong := _wrong(worker):
            _say(terminal, worker.name, [f"{name}: {why}" for name, why in wrong.items()])
    more(terminal, found.next)
    if found.stuck:
        _say(terminal, "Stuck:", found.stuck)
    else:
        terminal.say("Nothing is stuck.")


def _say(terminal: Terminal, title: str, lines: Sequence[str]) -> None:
    terminal.say("\n".join([escaped(title), *(f"  {escaped(line)}" for line in lines)]))


def _row(worker: WorkerShown) -> tuple[object, ...]:
    # A sum over all topics says whether it keeps up; `--json` has each partition.
    lag = sum(one.lag for one in worker.partitions)
    has = " ".join(f"{one.topic}[{ranges(one.partitions)}]" for one in worker.topics)
    return (
        worker.name,
        worker.agent_set,
        worker.kind,
        worker.status,
        cell(worker.started_at),
        cell(worker.seen_at),
        ranges(worker.lanes),
        worker.in_flight,
        lag,
        has,
    )


def _wrong(worker: WorkerShown) -> Mapping[str, str]:
    failing = {name: says for name, says in worker.checks.items() if says != OK}
    return {**failing, **worker.held_up} if worker.status == "alive" else {}
