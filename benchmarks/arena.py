"""Arena: Apache Kafka and PostgreSQL with fsync, fresh for every run, PostgreSQL counting statements.

They are the services of the sandbox, on the machine of the worker that is measured: all variants share it with them
alike.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, Final

import psycopg2
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from app.sandbox import Postgres, Sandbox

#: Partitions of every topic, as a worker makes them by itself.
PARTITIONS: Final = 8
_OBSERVER: Final = "observer"


#: The first change of a page after a checkpoint logs the whole page: without one, the bytes do not depend on when it
#: comes.
_NO_CHECKPOINT: Final = ("checkpoint_timeout=1d", "max_wal_size=32GB")
#: Autovacuum comes by the clock and logs what it does: hundreds of bytes for each decision of a short run (own
#: measurement).
_NO_VACUUM: Final = ("autovacuum=off",)


class CountingPostgres(Postgres):
    """The same server, with pg_stat_statements, and without checkpoints while it is measured."""

    def __init__(self, directory: Path, *, vacuums: bool) -> None:
        super().__init__(directory)
        self._vacuums = vacuums

    def command(self) -> list[str]:
        """Return the command line of the server."""
        options = (
            "shared_preload_libraries=pg_stat_statements",
            *_NO_CHECKPOINT,
            *(() if self._vacuums else _NO_VACUUM),
        )
        return [*super().command(), *(part for option in options for part in ("-c", option))]


class Arena(Sandbox):
    """The services of one run; without `vacuums` what PostgreSQL logs does not depend on how long the run takes."""

    def __init__(self, directory: Path, *, vacuums: bool = True) -> None:
        super().__init__(directory, "apache")
        self.postgres = CountingPostgres(self._run_directory / "postgresql", vacuums=vacuums)

    def start(self) -> None:
        """Start both, and let in who only looks: its own statements are not counted."""
        super().start()
        with contextlib.closing(psycopg2.connect(self.database_url)) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            cursor.execute("CREATE EXTENSION pg_stat_statements")
            cursor.execute(f"CREATE ROLE {_OBSERVER} SUPERUSER LOGIN")

    @property
    def observer_url(self) -> str:
        """The same database, for who looks."""
        scheme, _, place = self.database_url.partition("://")
        return f"{scheme}://{_OBSERVER}@{place.rpartition('@')[2]}"

    async def create_topics(self, *names: str, **config: Any) -> None:
        """Create topics of `PARTITIONS` partitions."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.kafka)
        await admin.start()
        try:
            await admin.create_topics([NewTopic(name, PARTITIONS, 1, topic_configs=config) for name in names])
        finally:
            await admin.close()
