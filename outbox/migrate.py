"""Migrations: bring the database to the newest schema, once, however many workers start at the same time.

Alembic runs the plain SQL of `outbox/migrations/versions` in one transaction under an advisory lock: a second
worker waits and then finds nothing to do; a migration that fails leaves nothing behind. Those of the domains follow
(`outbox.domain_migrations`).
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

from outbox.domain_migrations import DomainMigrations, apply, missing
from outbox.errors import DatabaseUnavailable
from outbox.session import connect_blocking

VERSION_TABLE = "innervate_migrations"
#: An arbitrary number that names Innervate's migrations among PostgreSQL's advisory locks.
MIGRATION_LOCK: Final = 7_294_655_102
#: Domains without migrations of their own.
NO_DOMAINS: Final[DomainMigrations] = {}

#: What is wrong with the database and not with a migration.
_STATES: Final = (
    psycopg2.OperationalError,
    psycopg2.errors.ReadOnlySqlTransaction,
    psycopg2.errors.InsufficientPrivilege,
    psycopg2.errors.InvalidSchemaName,
)


def migrate(database_url: str, domains: DomainMigrations = NO_DOMAINS) -> None:
    """Apply every migration that is missing, and what an earlier one had to leave until older workers were gone.

    Blocking. Raises `DatabaseUnavailable`, or `MigrationChanged`.
    """
    command.upgrade(_config(database_url), "head")
    with connect(database_url) as connection:
        with connection.begin():
            connection.exec_driver_sql("SELECT tell_sources_apart()")
        for domain, migrations in domains.items():
            with connection.begin():
                connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%(key)s)", {"key": MIGRATION_LOCK})
                apply(connection, domain, migrations)


def is_current(database_url: str, domains: DomainMigrations = NO_DOMAINS) -> bool:
    """Whether the database has the schema this code and these domains were written for.

    Blocking. Raises `DatabaseUnavailable`, or `MigrationChanged`.
    """
    with connect(database_url) as connection:
        found = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()
        if found != ScriptDirectory.from_config(_config(database_url)).get_current_head():
            return False
        return not any(missing(connection, domain, migrations) for domain, migrations in domains.items())


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
