"""Processes: the variants as processes of their own, what they use, and how they are held still."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Final

import psutil

from app.sandbox import Sandbox
from app.sandbox.process import LOOPBACK, Service, clean_environment
from app.sandbox.worker_process import CHECKOUT, WorkerProcess

#: Libraries that only variants use, and whose pins do not go together with ours; `make bench` installs them.
FOREIGN: Final = CHECKOUT / "var" / "foreign"
#: What we have comes first.
_PATH: Final = f"{CHECKOUT}:{sysconfig.get_path('purelib')}:{FOREIGN}"


class Worker(WorkerProcess):
    """A worker of any checkout, with that checkout's own environment."""

    def __init__(
        self,
        sandbox: Sandbox,
        directory: Path,
        settings: Mapping[str, str],
        *,
        checkout: Path = CHECKOUT,
        wrapper: Sequence[str] = (),
    ) -> None:
        super().__init__(sandbox, directory, settings)
        self._checkout = checkout.absolute()
        self._wrapper = wrapper

    def command(self) -> list[str]:
        """The command line of the README, in the other checkout."""
        own = self._checkout / ".venv" / "bin" / "python"
        _, module, faust, *rest = super().command()
        python = str(own) if own.exists() else sys.executable
        return [python, *(self._wrapper or (module, faust)), *rest]

    def working_directory(self) -> Path:
        """The other checkout."""
        return self._checkout


class Script(Service):
    """A variant of one file; it says that it is ready by listening on its port."""

    name: ClassVar[str] = "variant"
    release_signal: ClassVar[signal.Signals] = signal.SIGTERM

    def __init__(self, sandbox: Sandbox, directory: Path, arguments: Sequence[str]) -> None:
        super().__init__(directory)
        self._arguments = arguments
        self._settings = {"KAFKA_BROKER": sandbox.kafka, "DATABASE_URL": sandbox.database_url}

    def prepare(self) -> None:
        """It makes its own directory."""

    def command(self) -> list[str]:
        """The command line."""
        return [sys.executable, "-m", *self._arguments]

    def environment(self) -> Mapping[str, str]:
        """Where the services are, where to keep things and where to say that it is ready."""
        own = {"DATADIR": str(self.directory / "data"), "READY_PORT": str(self.port), "PYTHONPATH": _PATH}
        return {**clean_environment(), "PYTHONUNBUFFERED": "1", **self._settings, **own}

    @property
    def log_path(self) -> Path:
        """Beside the directory, so that it stays."""
        return self.directory.with_suffix(".log")

    def working_directory(self) -> Path:
        """The checkout."""
        return CHECKOUT

    def answers(self) -> bool:
        """Whether something listens."""
        connections = psutil.Process(self.pid).net_connections("tcp") if self.is_running else []
        return any(
            each.status == psutil.CONN_LISTEN and each.laddr.port == self.port and each.laddr.ip == LOOPBACK
            for each in connections
        )


@contextlib.contextmanager
def held_still(pid: int) -> Iterator[None]:
    """Let a process do nothing for a moment, so that a backlog is there when it goes on; shorter than its sessions."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def cpu_seconds(pid: int) -> float:
    """What all threads of a process have used so far, in user mode and in the kernel."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def memory_mb(pid: int) -> float:
    """What it has in memory now (RSS)."""
    return float(psutil.Process(pid).memory_info().rss) / 2**20


def peak_memory_mb(pid: int) -> float:
    """The most it has had in memory (VmHWM)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return memory_mb(pid)
