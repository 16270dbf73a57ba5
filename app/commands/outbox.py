"""Commands for what left the outbox for good: `outbox`, `dead-letters`.

They talk to PostgreSQL; a worker publishes what is put back into the outbox within a second or so. What is not possible
ends with exit code 1 and one line.
"""

from __future__ import annotations

import uuid
from contextlib import suppress
from typing import Final

import click
from faust.cli import option

from agents.model.text import escaped
from app.commands.terminal import BY, LIMIT, Terminal, command, opened, signed
from app.settings import Settings
from outbox.buried import buried, redrive_buried
from outbox.database import Row, queries
from outbox.redrives import AlreadyRedriven, Redrives

_VIEWS_SQL: Final = queries("views.sql")

_LETTERS: Final = ("id", "consumer", "reason", "detail", "from", "died", "redriven")


@command(
    option("--redrive-all", "--retry-dead", is_flag=True, help="Put all buried messages back into the outbox."),
    option("--redrive", "--retry", type=click.IntRange(0, 2**63 - 1), metavar="SEQ", help="Put one of them back."),
)
async def outbox(terminal: Terminal, settings: Settings, *, redrive_all: bool, redrive: int | None) -> None:
    """List the messages Kafka refused for good, or put them back."""
    async with opened(settings.database_url) as database:
        if redrive is not None:
            if not await redrive_buried(database, redrive):
                raise SystemExit(f"innervate: no buried message {redrive}")
            terminal.say("the message is pending again")
        elif redrive_all:
            terminal.say(f"{len(await redrive_buried(database))} messages are pending again")
        else:
            rows = [tuple(map(escaped, map(str, row))) for row in await buried(database)]
            headers = ("seq", "message", "topic", "reason")
            terminal.say(terminal.tabulate(rows, headers=headers, title="Buried messages"))


@command(
    option("--consumer", metavar="NAME", help="Only those of the router, or of an agent."),
    option("--reason", metavar="WORD", help="Only those with this reason."),
    LIMIT,
    option("--redrive", "--replay", type=click.UUID, metavar="ID", help="Put one back where it came from."),
    option("--redrive-all", "--replay-all", is_flag=True, help="Put all of a consumer back that were not yet."),
    BY,
)
async def dead_letters(
    terminal: Terminal,
    settings: Settings,
    *,
    consumer: str | None,
    reason: str | None,
    limit: int,
    redrive: uuid.UUID | None,
    redrive_all: bool,
    by: str | None,
) -> None:
    """List what could not be processed, the newest first, or put it back."""
    async with opened(settings.database_url) as database:
        # The relay of a worker looks by itself; there is nobody here to be told.
        redrives = Redrives(database, on_commit=lambda _lanes: None)
        if redrive is not None:
            letter = await redrives.redrive(redrive, by=signed(by))
            terminal.say(f"on its way back to {letter.topic}")
        elif redrive_all:
            if consumer is None:
                raise SystemExit("innervate: --redrive-all needs --consumer: whose dead letters?")
            done = await _redrive_all(redrives, consumer, reason, signed(by))
            terminal.say(f"{done} dead letters are on their way back")
        else:
            parameters = {"consumer": consumer, "reason": reason, "before": None, "limit": limit}
            rows = [_letter(row) for row in await database.run(_VIEWS_SQL["dead_letters"], parameters)]
            terminal.say(terminal.tabulate(rows, headers=_LETTERS, title="Dead letters"))


async def _redrive_all(redrives: Redrives, consumer: str, reason: str | None, by: str) -> int:
    done = 0
    async for letter_id in redrives.redrivable(consumer, reason):
        # Whoever else redrives them meanwhile does no harm.
        with suppress(AlreadyRedriven):
            await redrives.redrive(letter_id, by=by)
            done += 1
    return done


def _letter(row: Row) -> tuple[str, ...]:
    at = row.replayed_at
    redriven = "" if at is None else f"{at.isoformat(timespec='seconds')} by {row.replayed_by}"
    origin = f"{row.topic}[{row.partition}]@{row.offset}"
    died = row.died_at.isoformat(timespec="seconds")
    return tuple(map(escaped, (row.id, row.consumer, row.reason, row.detail, origin, died, redriven)))
