"""Command `missing`: what was given up for done and PostgreSQL knows nothing of, after a restore."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Final

import click
from faust.cli import option

from agents.model.text import escaped
from app.commands.terminal import Terminal, command, document, opened
from app.settings import Settings
from app.worker.missing import CannotRewind, Missing, Search, rewind

_HEADERS: Final = ("consumer", "topic", "partition", "records", "first offset")


class _Instant(click.ParamType):
    """A time as RFC 3339 has it; without a zone it is UTC."""

    name = "time"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no time such as 2024-05-01T12:00:00Z", param, ctx)
        return at if at.tzinfo else at.replace(tzinfo=UTC)


@command(
    option("--since", type=_Instant(), metavar="TIME", help="Look at what Kafka got since then; at all if unset."),
    option("--rewind", "rewinds", is_flag=True, help="Have the groups begin again before it; no worker may run."),
)
async def missing(terminal: Terminal, settings: Settings, group: str, *, since: datetime | None, rewinds: bool) -> None:
    """Find what was committed past in Kafka and has neither decision nor dead letter; exit code 1 if there is any."""
    async with opened(settings.database_url) as database:
        found = await Search(settings, database, group=group).run(since)
        if rewinds:
            try:
                await rewind(settings, found)
            except CannotRewind as error:
                raise SystemExit(f"innervate: {escaped(str(error))}") from error
    if terminal.json:
        terminal.say(document([dataclasses.asdict(one) for one in found]))
    elif not found:
        terminal.say("nothing is missing")
    else:
        terminal.say(terminal.tabulate(list(map(_row, found)), headers=_HEADERS, title="Missing"))
    if rewinds and found and not terminal.json:
        agents = " ".join(agent.name for agent in settings.running)
        terminal.say(f"rewound; before a worker starts, rebuild each of its agents: {agents}")
    if found and not rewinds:
        raise SystemExit(1)


def _row(one: Missing) -> tuple[str, ...]:
    return (one.consumer, one.topic, str(one.partition), str(one.records), str(one.first))
