"""The secret that sessions of the page are signed with: one for all workers of this database."""

from __future__ import annotations

from outbox.database import Database


async def session_secret(database: Database) -> bytes:
    """Some 244 random bits, made by the migration that brought them. Raises `DatabaseUnavailable`."""
    [row] = await database.run("SELECT session_secret FROM outbox_identity")
    return bytes(row.session_secret)
