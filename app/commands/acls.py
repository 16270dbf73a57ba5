"""Command that lists what a principal needs in Kafka: `acls`. It needs neither Kafka nor PostgreSQL."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import asdict

import click
from faust.cli import argument, option

from app.commands.terminal import Terminal, command, document
from app.kafka.rights import TASKS, Right, Task, rights_of
from app.settings import Settings
from app.worker.runtime import ROUTER_GROUP
from app.worker.stream import AgentStream


@command(
    argument("task", type=click.Choice(TASKS), default="worker"),
    option("--principal", metavar="PRINCIPAL", default="User:innervate", help="Whom the rights are for."),
)
async def acls(
    terminal: Terminal, settings: Settings, streams: Sequence[AgentStream], group: str, *, task: Task, principal: str
) -> None:
    """Print the rights a principal of Kafka needs, as arguments of kafka-acls.sh; exactly these."""
    changelogs = [stream.changelog for stream in streams]
    rights = rights_of(task, settings, changelogs=changelogs, group=group, router=ROUTER_GROUP)
    if terminal.json:
        terminal.say(document([{"principal": principal, **asdict(right)} for right in rights]))
        return
    for right in rights:
        terminal.say(shlex.join(_arguments(principal, right)))


def _arguments(principal: str, right: Right) -> Iterator[str]:
    yield from ("--add", "--allow-principal", principal)
    for operation in right.operations:
        yield from ("--operation", operation.capitalize())
    yield from (f"--{right.resource.replace('_', '-')}", right.name)
    if right.pattern != "literal":
        yield from ("--resource-pattern-type", right.pattern)
