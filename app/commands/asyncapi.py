"""Command that describes what is read and written: `asyncapi`. It needs neither Kafka nor PostgreSQL."""

from __future__ import annotations

from importlib.metadata import version

from app.commands.terminal import Terminal, command, pretty
from app.operators.asyncapi import asyncapi_document
from app.settings import Settings


@command()
async def asyncapi(terminal: Terminal, settings: Settings) -> None:
    """Print an AsyncAPI 3.0 document of the loaded domains, as JSON."""
    topics = settings.event_topics
    terminal.say(pretty(asyncapi_document(settings.catalogue, version=version("innervate"), topics=topics)))
