"""Commands of the worker: `faust -A app <command>`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from faust.cli import AppCommand, option

from outbox.database import Database
from outbox.dead import buried, dig_up
from outbox.errors import DatabaseUnavailable
from outbox.migrate import migrate as migrate_database

if TYPE_CHECKING:
    from app.worker import Innervate


def register_commands(app: Innervate) -> None:
    """Add the commands to Faust's own."""

    # Faust takes the command's name from the function; it ignores `name=`.
    @app.command()
    async def migrate(self: AppCommand, *_: Any, **__: Any) -> None:
        """Bring the database to the newest schema."""
        try:
            await asyncio.to_thread(migrate_database, app.settings.database_url)
        except DatabaseUnavailable as error:
            raise SystemExit(f"innervate: {error}") from error
        self.say("the database has the newest schema")

    @app.command(option("--retry-dead", is_flag=True, help="Put the buried messages back into the outbox."))
    async def outbox(self: AppCommand, retry_dead: bool) -> None:
        """List the messages Kafka refused for good, or put them back."""
        database = Database(app.settings.database_url)
        try:
            if retry_dead:
                self.say(f"{len(await dig_up(database))} messages are pending again")
            else:
                rows = [tuple(map(str, row)) for row in await buried(database)]
                self.say(self.tabulate(rows, headers=("seq", "message", "topic", "reason"), title="Buried messages"))
        except DatabaseUnavailable as error:
            raise SystemExit(f"innervate: PostgreSQL: {error}") from error
        finally:
            await database.close()
