"""Commands of the worker: `faust -A app <command>`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import orjson
from faust.cli import AppCommand, option

from agents.model.text import escaped
from app.commands.approvals import register_approval_commands
from app.commands.lookback import register_time_machine_commands
from app.commands.repair import register_repair_commands
from app.commands.replay import register_replay_command
from app.simulator import simulated_until_now
from app.simulator.sending import send_records
from outbox.errors import DatabaseUnavailable
from outbox.migrate import migrate as migrate_database

if TYPE_CHECKING:
    from app.worker.application import Innervate


def register_commands(app: Innervate) -> None:
    """Add the commands to Faust's own."""
    register_approval_commands(app)
    register_time_machine_commands(app)
    register_replay_command(app)
    register_repair_commands(app)

    # Faust takes the command's name from the function; it ignores `name=`.
    @app.command()
    async def migrate(self: AppCommand, *_: Any, **__: Any) -> None:
        """Bring the database to the newest schema."""
        try:
            await asyncio.to_thread(migrate_database, app.settings.database_url)
        except DatabaseUnavailable as error:
            raise SystemExit(f"innervate: {escaped(str(error))}") from error
        self.say("the database has the newest schema")

    @app.command(
        option("--seed", default=1, show_default=True, help="Same seed, same story."),
        option("--orders", default=200, show_default=True, help="Orders in the story."),
        option("--failures", default=40, show_default=True, help="Errors in them, at most half as many."),
        option("--per-second", default=100.0, show_default=True, help="Records sent in a second."),
        option("--truth", type=click.Path(dir_okay=False, path_type=Path), help="Write what really happened here."),
    )
    async def simulate(
        self: AppCommand, seed: int, orders: int, failures: int, per_second: float, truth: Path | None
    ) -> None:
        """Send the story of a shop, with failures whose cause is known, to the domain topics."""
        try:
            story = simulated_until_now(seed=seed, orders=orders, failures=failures)
        except ValueError as error:
            raise SystemExit(f"innervate: {error}") from error
        if truth is not None:
            lines = [orjson.dumps(one) + b"\n" for one in story.truth]
            await asyncio.to_thread(truth.write_bytes, b"".join(lines))
        sent = await send_records(app.settings.client_options(), story.records, per_second=per_second)
        self.say(f"{sent} records sent: {orders} orders, {len(story.truth)} errors, {story.broken} broken records")
