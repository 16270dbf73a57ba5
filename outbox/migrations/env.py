"""Alembic's environment: one connection, one transaction, one migration at a time in the whole fleet.

The version stood in the other table once, see `outbox.schema`: it is taken over from there.
"""

from alembic import context
from sqlalchemy import text

from outbox.schema import MIGRATION_LOCK, UNDERSTOOD_SINCE, UNDERSTOOD_TABLE, VERSION_TABLE
from outbox.upgrade import connect

BEFORE = f"""
    CREATE TABLE IF NOT EXISTS {UNDERSTOOD_TABLE} (version_num varchar(32) PRIMARY KEY);
    DO $$ BEGIN
        IF to_regclass('{VERSION_TABLE}') IS NULL THEN
            CREATE TABLE {VERSION_TABLE} (version_num varchar(32) PRIMARY KEY);
            INSERT INTO {VERSION_TABLE} SELECT version_num FROM {UNDERSTOOD_TABLE};
        END IF;
    END $$;
"""  # noqa: S608 - constants
AFTER = f"DELETE FROM {UNDERSTOOD_TABLE}; INSERT INTO {UNDERSTOOD_TABLE} VALUES ('{UNDERSTOOD_SINCE}')"  # noqa: S608

with connect(context.config.attributes["url"]) as connection:
    context.configure(connection=connection, version_table=VERSION_TABLE)
    with context.begin_transaction():
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
        connection.exec_driver_sql(BEFORE)
        context.run_migrations()
        connection.exec_driver_sql(AFTER)
