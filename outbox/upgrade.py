"""Upgrade: Alembic runs the plain SQL of `outbox/migrations/versions`, all that is missing in one transaction.

Imported by `outbox.migrate` where something is missing, and nowhere else: Alembic and SQLAlchemy cost a worker some
megabytes for as long as it lives.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine, pool
from sqlalchemy.exc import DBAPIError

from outbox.errors import DatabaseUnavailable
from outbox.schema import MIGRATIONS, STATES
from outbox.session import connect_blocking


def upgrade(database_url: str) -> None:
    """Apply every migration of the outbox that is missing. Blocking. Raises `DatabaseUnavailable`."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["url"] = database_url
    command.upgrade(config, "head")


@contextmanager
def connect(database_url: str) -> Iterator[Connection]:
    """A connection for the length of the migrations; any libpq connection string will do."""
    engine = create_engine(
        "postgresql+psycopg2://", creator=lambda: connect_blocking(database_url), poolclass=pool.NullPool
    )
    try:
        with engine.connect() as connection:
            yield connection
    except DBAPIError as error:
        if not isinstance(error.orig, STATES):
            raise
        raise DatabaseUnavailable(" ".join(str(error.orig).split())) from error
