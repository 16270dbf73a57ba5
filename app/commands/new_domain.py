"""Command that begins a domain: `new-domain NAME`. It needs neither Kafka nor PostgreSQL."""

from __future__ import annotations

from pathlib import Path

from faust.cli import argument

from agents.model.text import escaped
from app.commands.terminal import Terminal, command
from app.scaffold import NotWritten, place_of, write_domain


@command(argument("name", metavar="NAME"))
async def new_domain(terminal: Terminal, name: str) -> None:
    """Write a small domain that runs, with its test, into the current folder."""
    try:
        written = write_domain(name, Path())
    except NotWritten as error:
        raise SystemExit(f"innervate: {escaped(str(error))}") from error
    lines = [
        *map(str, written),
        "",
        f"pytest {name}",
        "python -m app.sandbox.services",
        f". var/services.env && DOMAINS={place_of(name)} innervate worker -l info",
    ]
    terminal.say("\n".join(lines))
