"""Commands of the worker: `faust -A app <command>`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from faust.cli import AppCommand

from outbox.errors import DatabaseUnavailable
from outbox.migrate import migrate

if TYPE_CHECKING:
    from app.worker import Innervate


def register_commands(app: Innervate) -> None:
    """Add the commands to Faust's own."""

    @app.command(name="migrate")
    async def migrate_database(self: AppCommand, *_: Any, **__: Any) -> None:
        """Bring the database to the newest schema."""
        try:
            await asyncio.to_thread(migrate, app.settings.database_url)
        except DatabaseUnavailable as error:
            raise self.UsageError(f"PostgreSQL: {error}") from error
        self.say("the database has the newest schema")
