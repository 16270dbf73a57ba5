"""Command `retention`: how long contents are kept, what there is of them, and what workers do about it, done now."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Final

import click
from faust.cli import option

from agents.model.text import escaped
from app.commands.lists import table
from app.commands.terminal import BY, Terminal, command, document, opened, refuse_read_only, signed
from app.settings import Settings
from outbox.database import Database
from outbox.errors import Fatal
from outbox.retention import STEP_SECONDS, Done, Kept, Retention

_HEADERS: Final = ("contents", "kept for", "from", "until", "partitions", "bytes", "dropped up to", "by")
#: What is typed for no end.
_FOREVER: Final = "forever"
#: A hundred years: beyond it a typing error is likelier.
_MOST_DAYS: Final = 36_525


class _Keep(click.ParamType):
    """`NAME=DAYS`, or `NAME=forever`."""

    name = "keep"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int | None]:
        contents, _, days = value.partition("=")
        if days == _FOREVER:
            return contents, None
        if not (days.isascii() and days.isdecimal() and 1 <= int(days[:6]) <= _MOST_DAYS and len(days) <= len("36525")):
            self.fail(f"{value!r} is not NAME=DAYS, with days from 1 to {_MOST_DAYS}, or NAME={_FOREVER}", param, ctx)
        return contents, int(days)


@command(
    option("--keep", "kept", type=_Keep(), multiple=True, help="Keep these contents for so many days from now on."),
    option("--now", "is_now", is_flag=True, help="Make partitions and drop what is due, as workers do."),
    BY,
)
async def retention(
    terminal: Terminal,
    settings: Settings,
    *,
    kept: Sequence[tuple[str, int | None]],
    is_now: bool,
    by: str | None,
) -> None:
    """Show how long contents are kept; --keep says it anew, as the owner of the tables; --now drops what is due."""
    if kept or is_now:
        refuse_read_only(settings)
    done: Done | None = None
    async with opened(settings.database_url) as short:
        for contents, days in kept:
            try:
                await Retention(short).keep(contents, days, by=signed(by, None).name)
            except Fatal as error:
                raise SystemExit(f"innervate: {escaped(str(error))}") from error
        if is_now:
            database = Database(settings.database_url, connections=1, timeout_seconds=STEP_SECONDS)
            try:
                done = await Retention(database).maintain()
            finally:
                await database.close()
        found = await Retention(short).kept()
    if terminal.json:
        terminal.say(document([dataclasses.asdict(one) for one in found]))
        return
    table(terminal, "Retention", _HEADERS, list(map(_row, found)))
    if done is not None:
        for line in _told(done):
            terminal.say(escaped(line))


def _row(one: Kept) -> tuple[object, ...]:
    days = _FOREVER if one.keep_days is None else f"{one.keep_days} days"
    return one.name, days, one.from_at, one.until_at, one.partitions, one.bytes, one.dropped_until, one.changed_by


def _told(done: Done) -> Sequence[str]:
    lines = [f"made {partition}" for partition in done.added]
    lines += [f"dropped {each.partition}, of before {each.until_at}; {each.stay} stay" for each in done.dropped]
    if done.trimmed:
        lines.append(f"looked at {done.trimmed} rows of before")
    if done.released:
        lines.append(f"{done.released} that stayed until now are gone")
    if done.put_off:
        lines.append(f"put off: {done.put_off}")
    return lines or ["nothing was due"]
