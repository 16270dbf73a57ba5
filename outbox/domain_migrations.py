"""Migrations of domains: plain SQL files, numbered by each domain for itself, applied once and in order.

They run after those of the outbox, each domain's in one transaction, under the lock of all migrations. What was applied
must not change: its hash is kept, as Flyway does, and a file with another one stops the start before anything runs.

While workers of two releases run side by side, the older one meets migrations that it does not have. One whose first
line is `-- innervate: only adds` leaves everything that older code uses as it was, and the older one works on: it
starts, and migrates nothing. Any other stops it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import psycopg2

from outbox.errors import Fatal
from outbox.schema import STATES

#: The first line of a migration that code without it works on.
ONLY_ADDS: Final = "-- innervate: only adds"


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

    @property
    def only_adds(self) -> bool:
        """Whether code without it works on: it says so in its first line."""
        return self.sql.partition("\n")[0].rstrip() == ONLY_ADDS


#: Every domain with its migrations by number, those it uses before it.
DomainMigrations = Mapping[str, Sequence[Migration]]


def missing(cursor: Any, domain: str, migrations: Sequence[Migration]) -> Sequence[Migration]:
    """Those that were not applied yet.

    Raises `MigrationChanged`, also for what a newer release brought and does not say to only add.
    """
    cursor.execute(
        "SELECT domain, number, name, sha256 FROM domain_migrations WHERE domain IN (%(domain)s, %(additions)s)"
        " ORDER BY number",
        {"domain": domain, "additions": _additions(domain)},
    )
    applied = cursor.fetchall()
    by_number = {migration.number: migration for migration in migrations}
    for row in applied:
        ours = by_number.get(row.number)
        if ours is None and row.domain == _additions(domain):
            continue
        if ours is None:
            raise MigrationChanged(
                f"domain {domain}: the database has its migration {row.name}, which a newer version brought and older"
                " code does not understand: run that one"
            )
        if ours.sha256 != row.sha256:
            raise MigrationChanged(
                f"domain {domain}: migration {ours.name} is not what was applied: put it back and add another one"
            )
    numbers = {row.number for row in applied}
    return [migration for migration in migrations if migration.number not in numbers]


def _additions(domain: str) -> str:
    """Under which name of a domain, which none can have, migrations are written down that only add.

    Releases that refuse every migration they do not have look up the domain's own name, and do not see these.
    """
    return f"{domain} (only adds)"


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
                "domain": _additions(domain) if migration.only_adds else domain,
                "number": migration.number,
                "name": migration.name,
                "sha256": migration.sha256,
            },
        )
