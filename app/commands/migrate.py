"""`migrate`: brings the database to the newest schema, and says so."""

from __future__ import annotations

import asyncio

from agents.model.text import escaped
from app.commands.terminal import Terminal, command
from app.settings import Settings
from outbox.errors import DatabaseUnavailable, Fatal
from outbox.migrate import migrate as migrate_database


@command()
async def migrate(terminal: Terminal, settings: Settings) -> None:
    """Bring the database to the newest schema, and grant DATABASE_WORKER_ROLE and DATABASE_READER_ROLE their rights."""
    try:
        await asyncio.to_thread(
            migrate_database, settings.database_url, settings.catalogue.migrations, settings.database_roles
        )
    except (DatabaseUnavailable, Fatal) as error:
        raise SystemExit(f"innervate: {escaped(str(error))}") from error
    terminal.say("the database has the newest schema")
