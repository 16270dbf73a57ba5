"""Command that prints what a worker tells Prometheus, as the page `docs/metrics.md`: `metrics`. It asks nobody."""

from __future__ import annotations

from app.commands.terminal import Terminal, command
from app.settings import Settings
from app.telemetry.metrics.rendering import rendered


@command()
async def metrics(terminal: Terminal, settings: Settings) -> None:
    """Print every metric of a worker with the loaded domains, as Markdown."""
    terminal.say(rendered(settings.catalogue).rstrip("\n"))
