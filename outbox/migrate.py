"""Migrations: bring the database to the newest schema, once, however many workers start at the same time.

Alembic runs the plain SQL of `outbox/migrations/versions` in one transaction under an advisory lock: a second
worker waits and then finds nothing to do; a migration that fails leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psycopg2
import psycopg2.errors
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, pool
from sqlalchemy.exc import DBAPIError

from outbox.errors import DatabaseUnavailable
from outbox.session import connect_blocking

VERSION_TABLE = "innervate_migrations"

#: What is wrong with the database and not with a migration.
_STATES: Final = (
    psycopg2.OperationalError,
    psycopg2.errors.ReadOnlySqlTransaction,
    psycopg2.errors.InsufficientPrivilege,
    psycopg2.errors.InvalidSchemaName,
)


def migrate(database_url: str) -> None:
    """Apply every migration that is missing, and what an earlier one had to leave until older workers were gone.

    Blocking. Raises `DatabaseUnavailable`.
    """
    command.upgrade(_config(database_url), "head")
    with connect(database_url) as connection, connection.begin():
        connection.exec_driver_sql("SELECT tell_sources_apart()")


def is_current(database_url: str) -> bool:
    """Whether the database has the schema this code was written for. Blocking. Raises `DatabaseUnavailable`."""
    with connect(database_url) as connection:
        found = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()
    return found == ScriptDirectory.from_config(_config(database_url)).get_current_head()


@contextmanager
def connect(database_url: str) -> Iterator[Connection]:
    """A connection for the length of a migration; any libpq connection string will do."""
    engine = create_engine(
        "postgresql+psycopg2://", creator=lambda: connect_blocking(database_url), poolclass=pool.NullPool
    )
    try:
        with engine.connect() as connection:
            yield connection
    except DBAPIError as error:
        if not isinstance(error.orig, _STATES):
            raise
        raise DatabaseUnavailable(" ".join(str(error.orig).split())) from error


def _config(database_url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["url"] = database_url
    return config
