"""Alembic's environment: one connection, one transaction, one migration at a time in the whole fleet."""

from alembic import context
from sqlalchemy import text

from outbox.schema import MIGRATION_LOCK, VERSION_TABLE
from outbox.upgrade import connect

with connect(context.config.attributes["url"]) as connection:
    context.configure(connection=connection, version_table=VERSION_TABLE)
    with context.begin_transaction():
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
        context.run_migrations()
