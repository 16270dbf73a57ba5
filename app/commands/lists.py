"""Lists on a terminal: the filters of the HTTP interface as options, its JSON word for word, or a table for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar, get_args

import click
from faust.cli import option
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from agents.model.text import escaped
from app.commands.terminal import Terminal
from app.operators.approvals import expected
from app.reads.shapes import Query

Asked = TypeVar("Asked", bound=Query)

JSON: Final = option("--json", "as_json", is_flag=True, help="Print JSON, as the HTTP interface answers it.")


def filters(query: type[Query]) -> Sequence[Any]:
    """An option for each field of a query, with what the field says of itself as its help."""
    return [_option(name, field) for name, field in query.model_fields.items()]


def asked(query: type[Asked], typed: Mapping[str, Any]) -> Asked:
    """What was typed as a query. Raises click's `UsageError`, in the words of the HTTP interface."""
    try:
        return query.model_validate({name: value for name, value in typed.items() if value is not None})
    except ValidationError as error:
        raise click.UsageError(expected(error)) from None


def answer(terminal: Terminal, found: BaseModel) -> None:
    """Print the answer as the HTTP interface gives it, safe on a terminal."""
    terminal.say(escaped(found.model_dump_json()))


def table(terminal: Terminal, title: str, headers: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows for people; nothing but printable characters is written."""
    cells = [tuple(escaped(cell(value)) for value in row) for row in rows]
    terminal.say(terminal.tabulate(cells, headers=headers, title=title))


def more(terminal: Terminal, following: object) -> None:
    """Say how to go on, where a list goes on."""
    if following is not None:
        terminal.say(f"there is more: --before {escaped(str(following))}")


def cell(value: object) -> str:
    """A value in a table."""
    if value is None:
        return ""
    return value.isoformat(timespec="seconds") if isinstance(value, datetime) else str(value)


def _option(name: str, field: FieldInfo) -> Any:
    flag, told = name.replace("_", "-"), field.description
    if field.annotation is bool:
        return option(f"--{flag}", name, is_flag=True, help=told)
    if bool in get_args(field.annotation):
        return option(f"--{flag}/--not-{flag}", name, default=None, help=told)
    return option(f"--{flag}", name, metavar=name.upper(), help=told)
