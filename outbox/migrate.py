"""Migrations: bring the database to the newest schema, once, however many workers start at the same time.

Alembic runs those of the outbox in one transaction under an advisory lock: a second worker waits and then finds nothing
to do; a migration that fails leaves nothing behind. Those of the domains follow (`outbox.domain_migrations`). Whether
anything is missing is asked without Alembic, which is imported only where something is (`outbox.upgrade`).
"""

from __future__ import annotations

from typing import Final

from outbox.domain_migrations import DomainMigrations, apply, missing
from outbox.roles import NOBODY, Roles, grant
from outbox.schema import MIGRATION_LOCK, cursor_of, is_newest, is_understood

#: Domains without migrations of their own.
NO_DOMAINS: Final[DomainMigrations] = {}


def migrate(database_url: str, domains: DomainMigrations = NO_DOMAINS, roles: Roles = NOBODY) -> None:
    """Apply every migration that is missing, and what an earlier one had to leave until older workers were gone.

    Then `roles` are granted what they need, if whoever migrates owns the tables.
    Blocking. Raises `DatabaseUnavailable`, `SchemaTooNew`, `MigrationChanged`, `MigrationRefused` or `RolesUnusable`.
    """
    with cursor_of(database_url) as cursor:
        is_upgraded = is_understood(cursor)
    if not is_upgraded:
        from outbox.upgrade import upgrade  # noqa: PLC0415 - a worker that finds the newest schema needs no Alembic

        upgrade(database_url)
    with cursor_of(database_url) as cursor:
        cursor.execute("SELECT tell_sources_apart()")
    for domain, migrations in domains.items():
        with cursor_of(database_url) as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%(key)s)", {"key": MIGRATION_LOCK})
            apply(cursor, domain, migrations)
    if roles:
        with cursor_of(database_url) as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%(key)s)", {"key": MIGRATION_LOCK})
            # A newer release has granted its own tables, of which nothing is known here.
            if is_newest(cursor):
                grant(cursor, roles)


def is_current(database_url: str, domains: DomainMigrations = NO_DOMAINS) -> bool:
    """Whether the database has a schema that this code and these domains work on.

    Blocking. Raises `DatabaseUnavailable`, `SchemaTooNew` or `MigrationChanged`.
    """
    with cursor_of(database_url) as cursor:
        if not is_understood(cursor):
            return False
        return not any(missing(cursor, domain, migrations) for domain, migrations in domains.items())
