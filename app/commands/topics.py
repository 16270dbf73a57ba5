"""`topics`: creates what topics a set of agents needs and Kafka lacks, for where workers may not create any."""

from __future__ import annotations

from collections.abc import Sequence

from agents.model.text import escaped
from app.commands.terminal import Terminal, command
from app.kafka.topics import ensure_topics
from app.settings import Settings
from app.worker.stream import AgentStream
from outbox.errors import Fatal


@command()
async def topics(terminal: Terminal, settings: Settings, streams: Sequence[AgentStream]) -> None:
    """Create the topics that are missing, as a worker does at its start."""
    try:
        await ensure_topics(settings, [stream.changelog for stream in streams])
    except Fatal as error:
        raise SystemExit(f"innervate: {escaped(str(error))}") from error
    terminal.say(f"the set {settings.agent_set} has its topics")
