"""Terminal: what all commands share: how they are declared, how they print and fail, and who types them.

    @command(option("--limit", default=50))
    async def letters(terminal: Terminal, settings: Settings, limit: int) -> None:
        "What the help says."

A command is a function of a terminal, the parts it needs, and what was typed. Shown text comes from strangers, so
nothing but printable characters is written: an escape sequence or a change of direction could show something else than
what is approved.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Protocol

import click
import faust
import orjson
from aiokafka.errors import KafkaError
from faust.cli import AppCommand, option
from pydantic import ValidationError

from agents.model.text import escaped
from app.kafka.timelines import TimelineUnreadable
from app.operators.approvals import SignedForm, expected
from app.reads.shapes import NotFound
from app.settings import Settings
from outbox.approvals import NotAnswered
from outbox.database import Database
from outbox.errors import DatabaseUnavailable, StatementRejected
from outbox.operator_actions import Operator
from outbox.redrives import NotRedriven

LIMIT: Final = option("--limit", default=50, type=click.IntRange(1, 500), help="How many at most.")
BY: Final = option("--by", metavar="NAME", help="Who answers; your user unless told otherwise.")
WHY: Final = option("--why", metavar="TEXT", help="Why, for whoever reads it later.")


class Terminal(Protocol):
    """What Faust gives a command to print with."""

    #: Whether the output is for programs.
    json: bool

    def say(self, message: str) -> None:
        """Print a line, or several."""

    def tabulate(self, data: Sequence[tuple[str, ...]], headers: Sequence[str], title: str) -> str:
        """A table."""


@dataclass(frozen=True, slots=True)
class Command:
    """A function for the command line, with click's options and arguments for what it takes."""

    run: Callable[..., Awaitable[None]]
    options: Sequence[Any]


def command(*options: Any) -> Callable[[Callable[..., Awaitable[None]]], Command]:
    """Declare a command; its name and its help are those of the function."""
    return lambda run: Command(run, options)


def add_command(app: faust.App, declared: Command, *parts: Any) -> None:
    """Add a command to Faust's own, with the parts it takes before what is typed.

    What it raises as click's `UsageError` ends it as a wrong option does: what may be typed can depend on the settings.
    """

    async def run(self: AppCommand, **typed: Any) -> None:
        try:
            await declared.run(self, *parts, **typed)
        except click.UsageError as error:
            error.ctx = self.ctx
            error.show()
            raise SystemExit(error.exit_code) from error

    # Faust goes by these, and makes a hyphen of an underscore.
    run.__name__, run.__doc__ = declared.run.__name__, declared.run.__doc__
    app.command(*declared.options)(run)


@asynccontextmanager
async def opened(database_url: str) -> AsyncIterator[Database]:
    """PostgreSQL for one command; what can be expected to go wrong meanwhile ends it with exit code 1 and one line."""
    database = Database(database_url)
    try:
        yield database
    except DatabaseUnavailable as error:
        raise SystemExit(f"innervate: PostgreSQL: {escaped(str(error))}") from error
    except (NotAnswered, NotFound, NotRedriven, StatementRejected, TimelineUnreadable, KafkaError, OSError) as error:
        raise SystemExit(f"innervate: {escaped(str(error))}") from error
    finally:
        await database.close()


def refuse_read_only(settings: Settings) -> None:
    """End a command that changes something where nothing may be changed."""
    if settings.read_only:
        raise SystemExit("innervate: READ_ONLY is set: nothing can be changed here")


def signed(by: str | None, why: str | None) -> Operator:
    """Who acts, and why: the name given, or the user of the operating system, whatever the environment says."""
    try:
        form = SignedForm(by=_user() if by is None else by, reason=why)
        return form.signed_by(None, known_by="command_line")
    except ValidationError as error:
        raise SystemExit(f"innervate: {expected(error)}") from error


def document(value: object) -> str:
    """JSON in one line, for programs; safe on a terminal, and the same to whoever parses it."""
    return escaped(orjson.dumps(value).decode())


def pretty(value: object) -> str:
    """JSON over several lines, safe on a terminal."""
    return "\n".join(
        escaped(line)
        for line in orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z).decode().split("\n")
    )


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"
