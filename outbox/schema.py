"""Schema: which version of it the database has, and whether this code understands it. Asked with plain SQL.

While workers of two releases run side by side, the older one meets a schema that is newer than its own. A schema says
which version is the oldest whose code works on it: as long as migrations only add, that stays, and both releases go on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psycopg2
import psycopg2.errors
from psycopg2.extras import NamedTupleCursor

from outbox.errors import DatabaseUnavailable, Fatal
from outbox.session import connect_blocking

#: Where Alembic notes the version that was applied.
VERSION_TABLE: Final = "innervate_schema"
#: Where a schema says since which version code works on it. Releases up to version 0014 know this table alone and take
#: what it says for the version that was applied.
UNDERSTOOD_TABLE: Final = "innervate_migrations"
#: What the newest schema says there. A migration that takes something away, or asks for something that older code does
#: not give, raises this to its own version: then the workers of the release before have to end before it runs.
UNDERSTOOD_SINCE: Final = "0014"
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


class SchemaTooNew(Fatal):
    """The schema is of a release so much newer that this code does not understand it."""


def is_understood(cursor: Any) -> bool:
    """Whether the outbox's own tables are of the version that this code was written for, or of a newer one it works on.

    Raises `SchemaTooNew`.
    """
    applied, ours = _said(cursor, VERSION_TABLE), newest()
    if applied is None or applied <= ours:
        return applied == ours
    since = _said(cursor, UNDERSTOOD_TABLE)
    if since is None or since > ours:
        raise SchemaTooNew(
            f"the database has schema {applied}, which code from schema {since} on understands, and this release is"
            f" written for {ours}: run a newer one"
        )
    return True


def is_newest(cursor: Any) -> bool:
    """Whether the outbox's own tables are of exactly the version that this code was written for."""
    return _said(cursor, VERSION_TABLE) == newest()


def _said(cursor: Any, table: str) -> str | None:
    """The version in this table; None without one."""
    cursor.execute("SELECT to_regclass(%(table)s) IS NOT NULL AS is_there", {"table": table})
    if not cursor.fetchone().is_there:
        return None
    cursor.execute(f"SELECT max(version_num) AS version FROM {table}")  # noqa: S608 - a constant
    version: str | None = cursor.fetchone().version
    return version


def newest() -> str:
    """The version this code was written for."""
    return max(file.name.partition("_")[0] for file in (MIGRATIONS / "versions").glob("[0-9]*_*.py"))
