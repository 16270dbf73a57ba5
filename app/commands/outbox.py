"""Commands for the outbox and what left it for good: `outbox`, `dead-letters`.

They talk to PostgreSQL; a worker publishes what is put back into the outbox within a second or so. What is not possible
ends with exit code 1 and one line.
"""

from __future__ import annotations

import uuid
from contextlib import suppress
from typing import Any, Final

import click
from faust.cli import option

from app.commands.lists import JSON, answer, asked, cell, filters, more, table
from app.commands.terminal import BY, WHY, Terminal, command, opened, refuse_read_only, signed
from app.reads.dead_letters import DeadLetter, DeadLettersQuery
from app.reads.dead_letters import dead_letters as read_dead_letters
from app.reads.outbox import BuriedPage, BuriedQuery, Outbox
from app.reads.outbox import buried as read_buried
from app.reads.outbox import outbox as read_outbox
from app.settings import Settings
from outbox.buried import redrive_buried
from outbox.operator_actions import Operator
from outbox.redrives import AlreadyRedriven, Redrives
from outbox.watch import OutboxWatch

_LETTERS: Final = ("id", "consumer", "reason", "detail", "from", "died", "redriven")
_BURIED: Final = ("seq", "message", "topic", "died", "reason")


@command(
    option("--redrive-all", "--retry-dead", is_flag=True, help="Put all buried messages back into the outbox."),
    option("--redrive", "--retry", type=click.IntRange(0, 2**63 - 1), metavar="SEQ", help="Put one of them back."),
    *filters(BuriedQuery),
    option("--buried", "only_buried", is_flag=True, help="With --json: the buried messages, and not what waits."),
    BY,
    WHY,
    JSON,
)
async def outbox(
    terminal: Terminal,
    settings: Settings,
    *,
    redrive_all: bool,
    redrive: int | None,
    only_buried: bool,
    by: str | None,
    why: str | None,
    as_json: bool,
    **typed: Any,
) -> None:
    """Say what waits to be published and list the messages Kafka refused for good, or put them back."""
    query = asked(BuriedQuery, typed)
    if redrive is not None or redrive_all:
        refuse_read_only(settings)
    async with opened(settings.database_url) as database:
        if redrive is not None:
            if not await redrive_buried(database, redrive, by=signed(by, why)):
                raise SystemExit(f"innervate: no buried message {redrive}")
            terminal.say("the message is pending again")
        elif redrive_all:
            terminal.say(f"{len(await redrive_buried(database, by=signed(by, why)))} messages are pending again")
        elif as_json or terminal.json:
            waiting = (
                read_buried(database, query) if only_buried else read_outbox(database, OutboxWatch(database), None)
            )
            answer(terminal, await waiting)
        else:
            _show(
                terminal, await read_outbox(database, OutboxWatch(database), None), await read_buried(database, query)
            )


@command(
    *filters(DeadLettersQuery),
    option("--redrive", "--replay", type=click.UUID, metavar="ID", help="Put one back where it came from."),
    option("--redrive-all", "--replay-all", is_flag=True, help="Put all of a consumer back that were not yet."),
    BY,
    WHY,
    JSON,
)
async def dead_letters(
    terminal: Terminal,
    settings: Settings,
    *,
    redrive: uuid.UUID | None,
    redrive_all: bool,
    by: str | None,
    why: str | None,
    as_json: bool,
    **typed: Any,
) -> None:
    """List what could not be processed, the newest first, or put it back."""
    query = asked(DeadLettersQuery, typed)
    if redrive is not None or redrive_all:
        refuse_read_only(settings)
    async with opened(settings.database_url) as database:
        # The relay of a worker looks by itself; there is nobody here to be told.
        redrives = Redrives(database, on_commit=lambda _lanes: None)
        if redrive is not None:
            letter = await redrives.redrive(redrive, by=signed(by, why))
            terminal.say(f"on its way back to {letter.topic}")
        elif redrive_all:
            if query.consumer is None:
                raise SystemExit("innervate: --redrive-all needs --consumer: whose dead letters?")
            done = await _redrive_all(redrives, query.consumer, query.reason, signed(by, why))
            terminal.say(f"{done} dead letters are on their way back")
        else:
            found = await read_dead_letters(database, query)
            if as_json or terminal.json:
                answer(terminal, found)
                return
            table(terminal, "Dead letters", _LETTERS, list(map(_letter, found.dead_letters)))
            more(terminal, found.next)


def _show(terminal: Terminal, waiting: Outbox, buried: BuriedPage) -> None:
    pending = f"more than {waiting.pending}" if waiting.more_is_pending else str(waiting.pending)
    terminal.say(f"{pending} messages wait to be published, the oldest for {waiting.oldest_seconds:.0f} s")
    rows = [(one.seq, one.message_id, one.topic, one.died_at, one.reason) for one in buried.messages]
    table(terminal, "Buried messages", _BURIED, rows)
    more(terminal, buried.next)


async def _redrive_all(redrives: Redrives, consumer: str, reason: str | None, by: Operator) -> int:
    done = 0
    async for letter_id in redrives.redrivable(consumer, reason):
        # Whoever else redrives them meanwhile does no harm.
        with suppress(AlreadyRedriven):
            await redrives.redrive(letter_id, by=by)
            done += 1
    return done


def _letter(one: DeadLetter) -> tuple[object, ...]:
    redriven = "" if one.replayed_at is None else f"{cell(one.replayed_at)} by {one.replayed_by}"
    origin = f"{one.topic}[{one.partition}]@{one.offset}"
    return (one.id, one.consumer, one.reason, one.detail, origin, one.died_at, redriven)
