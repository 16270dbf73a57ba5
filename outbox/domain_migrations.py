"""Migrations of domains: plain SQL files, numbered by each domain for itself, applied once and in order.

They run after those of the outbox, each domain's in one transaction, under the lock of all migrations. What was applied
must not change: its hash is kept, as Flyway does, and a file with another one stops the start before anything runs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg2

from outbox.errors import Fatal
from outbox.schema import STATES


class MigrationChanged(Fatal):
    """The database was migrated by other files than these; the message says which domain's and what to do."""


class MigrationRefused(Fatal):
    """PostgreSQL refused a migration of a domain, and nothing of it was kept; the message says which one and why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Migration:
    """One file."""

    #: From 1 on, without a gap.
    number: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """Of its text, in lower-case hex."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


#: Every domain with its migrations by number, those it uses before it.
DomainMigrations = Mapping[str, Sequence[Migration]]


def missing(cursor: Any, domain: str, migrations: Sequence[Migration]) -> Sequence[Migration]:
    """Those that were not applied yet. Raises `MigrationChanged`."""
    cursor.execute(
        "SELECT number, name, sha256 FROM domain_migrations WHERE domain = %(domain)s ORDER BY number",
        {"domain": domain},
    )
    applied = {row.number: row for row in cursor.fetchall()}
    by_number = {migration.number: migration for migration in migrations}
    for number, row in applied.items():
        ours = by_number.get(number)
        if ours is None:
            raise MigrationChanged(
                f"domain {domain}: the database has its migration {row.name}, which a newer version brought"
            )
        if ours.sha256 != row.sha256:
            raise MigrationChanged(
                f"domain {domain}: migration {ours.name} is not what was applied: put it back and add another one"
            )
    return [migration for migration in migrations if migration.number not in applied]


def apply(cursor: Any, domain: str, migrations: Sequence[Migration]) -> None:
    """Apply those that are missing, in the transaction of the cursor.

    Raises `MigrationChanged`, `MigrationRefused`, and what psycopg2 raises when something is wrong with the database.
    """
    for migration in missing(cursor, domain, migrations):
        try:
            # Without parameters a percent sign in a file is one.
            cursor.execute(migration.sql)
        except STATES:
            raise
        except psycopg2.Error as error:
            why = " ".join(str(error).split())
            raise MigrationRefused(f"domain {domain}: migration {migration.name}: {why}") from error
        cursor.execute(
            "INSERT INTO domain_migrations (domain, number, name, sha256)"
            " VALUES (%(domain)s, %(number)s, %(name)s, %(sha256)s)",
            {
                "domain": domain,
                "number": migration.number,
                "name": migration.name,
                "sha256": migration.sha256,
            },
        )
