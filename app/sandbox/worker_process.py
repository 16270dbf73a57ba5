"""A worker as an operator runs it: `faust -A app … worker -l info` in a process of its own.

It ends with whoever started it, like every service of the sandbox.
"""

from __future__ import annotations

import signal
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Final

from app.sandbox import Sandbox
from app.sandbox.process import Service, clean_environment

#: Faust finds `app` in the current folder, so the worker runs in the checkout.
CHECKOUT: Final = Path(__file__).parents[2]


class WorkerProcess(Service):
    """One worker of a sandbox. `settings` are environment variables on top of the sandbox's own."""

    name: ClassVar[str] = "worker"
    release_signal: ClassVar[signal.Signals] = signal.SIGTERM

    def __init__(self, sandbox: Sandbox, directory: Path, settings: Mapping[str, str] | None = None) -> None:
        super().__init__(directory)
        self._settings = {**sandbox.worker_environment(), **(settings or {})}

    @property
    def url(self) -> str:
        """Where its web views are."""
        return f"http://{self.address}"

    def prepare(self) -> None:
        """The worker makes its own data directory."""

    def command(self) -> list[str]:
        """The command line of the README."""
        datadir = str(self.directory / "tables")
        faust = [sys.executable, "-m", "faust", "-A", "app", "--datadir", datadir]
        return [*faust, "worker", "-l", "info", "--web-port", str(self.port)]

    def environment(self) -> Mapping[str, str]:
        """Settings of the sandbox and the caller; nothing of the caller's own environment."""
        return {**clean_environment(), "PYTHONUNBUFFERED": "1", **self._settings}

    @property
    def log_path(self) -> Path:
        """Beside the directory, so that it stays when the worker is released."""
        return self.directory.with_suffix(".log")

    def working_directory(self) -> Path:
        """The checkout."""
        return CHECKOUT

    def answers(self) -> bool:
        """Whether it is ready: partitions assigned, windows recovered, database there."""
        try:
            with urllib.request.urlopen(f"{self.url}/health/ready", timeout=10) as response:  # noqa: S310
                return bool(response.status == 200)
        except OSError:
            return False
