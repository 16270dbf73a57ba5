"""Commands of the worker: `faust -A app <command>`. Here each gets the parts it needs."""

from __future__ import annotations

from typing import Final

from faust.cli.faust import cli

from app.commands.acls import acls
from app.commands.agents import rebuild, shadows
from app.commands.agents_graph import agents_graph
from app.commands.approvals import approval, approvals, approve, reject
from app.commands.asyncapi import asyncapi
from app.commands.decisions import decisions
from app.commands.expectations import expectations
from app.commands.lookback import knew, record, window
from app.commands.metrics import metrics
from app.commands.migrate import migrate
from app.commands.missing import missing
from app.commands.new_domain import new_domain
from app.commands.outbox import dead_letters, outbox
from app.commands.replay import replay
from app.commands.retention import retention
from app.commands.start import worker
from app.commands.stories import case_file, entity_commands, story
from app.commands.terminal import add_command
from app.commands.token import token
from app.commands.topics import topics
from app.commands.versions import versions
from app.commands.workers import workers
from app.worker.application import Innervate

#: Added elsewhere.
_OTHERS: Final = ("acls", "case-file", "mcp", "missing", "new-domain", "rebuild", "simulate", "token", "topics")
_TAKEN: Final = frozenset({*cli.commands, worker.__name__, *_OTHERS})
#: Commands that need no more than the settings.
_OF_SETTINGS: Final = (
    approvals,
    approval,
    approve,
    reject,
    outbox,
    dead_letters,
    decisions,
    expectations,
    versions,
    workers,
    agents_graph,
    shadows,
    knew,
    window,
    record,
    story,
    replay,
    migrate,
    metrics,
    retention,
    asyncapi,
)


def register_commands(app: Innervate) -> None:
    """Add the commands to Faust's own."""
    for declared in _OF_SETTINGS:
        add_command(app, declared, app.settings)
    ours = {declared.run.__name__.replace("_", "-") for declared in _OF_SETTINGS}
    for declared in entity_commands(app.settings.catalogue.entities, _TAKEN | ours):
        add_command(app, declared, app.settings)
    add_command(app, case_file)
    add_command(app, new_domain)
    add_command(app, token)
    add_command(app, acls, app.settings, app.agent_streams, app.conf.id)
    add_command(app, topics, app.settings, app.agent_streams)
    add_command(app, missing, app.settings, app.conf.id)
    add_command(app, rebuild, app.settings, app.agent_streams, app.conf.id, app.conf.datadir)
