"""Schema: which version of it the database has, and which one this code was written for. Asked with plain SQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psycopg2
import psycopg2.errors
from psycopg2.extras import NamedTupleCursor

from outbox.errors import DatabaseUnavailable
from outbox.session import connect_blocking

#: Where Alembic notes the version.
VERSION_TABLE: Final = "innervate_migrations"
#: An arbitrary number that names Innervate's migrations among PostgreSQL's advisory locks.
MIGRATION_LOCK: Final = 7_294_655_102
#: Alembic's environment, and its scripts: one for each version, numbered in their order.
MIGRATIONS: Final = Path(__file__).parent / "migrations"

#: What is wrong with the database and not with a migration.
STATES: Final = (
    psycopg2.OperationalError,
    psycopg2.errors.ReadOnlySqlTransaction,
    psycopg2.errors.InsufficientPrivilege,
    psycopg2.errors.InvalidSchemaName,
)


@contextmanager
def cursor_of(database_url: str) -> Iterator[Any]:
    """A cursor of psycopg2 for one transaction, its rows by name. Raises `DatabaseUnavailable`.

    Any libpq connection string will do. Blocking.
    """
    try:
        connection = connect_blocking(database_url)
        try:
            with connection, connection.cursor(cursor_factory=NamedTupleCursor) as cursor:
                yield cursor
        finally:
            connection.close()
    except STATES as error:
        raise DatabaseUnavailable(" ".join(str(error).split())) from error


def is_newest(cursor: Any) -> bool:
    """Whether the outbox's own tables are of the version that this code was written for."""
    cursor.execute("SELECT to_regclass(%(table)s) IS NOT NULL AS is_there", {"table": VERSION_TABLE})
    if not cursor.fetchone().is_there:
        return False
    cursor.execute(f"SELECT version_num FROM {VERSION_TABLE}")  # noqa: S608 - a constant
    return [row.version_num for row in cursor.fetchall()] == [newest()]


def newest() -> str:
    """The version this code was written for."""
    return max(file.name.partition("_")[0] for file in (MIGRATIONS / "versions").glob("[0-9]*_*.py"))
