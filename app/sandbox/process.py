"""Service processes of the sandbox: none of them outlives the process that started it.

Every service runs under a guard (``sandbox_guard``), which ends it and removes its data when the owner has
released it or is gone, be it through ``kill -9``. What can fail: a guard that is itself killed leaves its
service running, and a service that did not run (yet, or any more) when its owner was killed leaves its data.
"""

from __future__ import annotations

import contextlib
import os
import random
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import IO, ClassVar

from app.sandbox.patience import MOST_SECONDS, Patience, signs_of
from tables.errors import Fatal

LOOPBACK = "127.0.0.1"

#: Below 32768 on purpose: Linux gives outgoing connections ports from there up, and a client that keeps
#: trying a port of that range while the service is down can take the port itself (a TCP self-connect).
PORTS = range(20_000, 32_768)

_GUARD = Path(__file__).with_name("guard.py")
#: Whatever is asked to end and moves has ended by then; longer than the worker's own limits (`CRASHED_SECONDS`) by far.
_EXIT_SECONDS = 120.0
_EXIT_POLL_SECONDS = 0.2
_FIRST_STARTS = 5
_POLL_SECONDS = 0.02
_LOG_LINES = 6


class SandboxError(Fatal):
    """The sandbox cannot run; the message says in one line what is missing or what went wrong."""


class _PortTakenError(SandboxError):
    """Another program listens, or is connected, on the port of the service."""


def clean_environment() -> dict[str, str]:
    """Return the environment of every service: settings meant for other programs must not reach them."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {**kept, "LC_ALL": "C"}


def wheel_directory(wheel: str, package: str) -> Path:
    """Return where the package of a wheel lies; raise SandboxError when the wheel is missing.

    Links are followed: who may reach it, and what lies beside it, is a matter of where it really is.
    """
    found = find_spec(package)
    if found is None or found.origin is None:
        raise SandboxError(f"the wheel {wheel} is missing: pip install 'innervate[sandbox]'")
    return Path(found.origin).resolve().parent


def free_port() -> int:
    """Return a loopback port nobody listens on; raise SandboxError when a hundred tries found none."""
    for port in random.sample(PORTS, 100):
        if is_free(port):
            return port
    raise SandboxError(f"no free port found on {LOOPBACK} between {PORTS.start} and {PORTS.stop - 1}")


def is_free(port: int) -> bool:
    """Return whether a service could listen on the loopback port now."""
    with socket.socket() as probe:
        # The services set it too: connections of a service that has just ended do not hold its port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


class Service(ABC):
    """One service on a loopback port, with its data in a directory of its own.

    Once it has answered, ``start``, ``stop`` and ``restart`` keep port and data; ``release`` ends the service and
    removes the data.
    """

    name: ClassVar[str]
    #: Ends the service in order.
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    #: Ends the service at once and leaves nothing of it in the system.
    release_signal: ClassVar[signal.Signals] = signal.SIGKILL
    #: User and group id the service runs as; None is the caller's own.
    account: tuple[int, int] | None = None

    def __init__(self, directory: Path) -> None:
        """Take a free port, for now; nothing is written to ``directory`` before ``start``."""
        self.directory = directory
        self.take_ports()
        self._pid = 0
        self._guard: subprocess.Popen[bytes] | None = None

    def take_ports(self) -> None:
        """Choose free ports; called again when another program took one before the service did."""
        self.port = free_port()

    @abstractmethod
    def prepare(self) -> None:
        """Create the data in ``directory``; called before the first start only."""

    @abstractmethod
    def command(self) -> list[str]:
        """Return the command that runs the service in the foreground."""

    @abstractmethod
    def answers(self) -> bool:
        """Return whether the service answers a request."""

    def environment(self) -> Mapping[str, str]:
        """Return all environment variables of the service."""
        return clean_environment()

    def working_directory(self) -> Path:
        """Return the folder the service is started in."""
        return self.directory

    @property
    def address(self) -> str:
        """Where the service listens, as ``host:port``."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def pid(self) -> int:
        """Process id of the running service (not of its guard); raise SandboxError when it does not run."""
        if not self.is_running:
            raise SandboxError(f"{self.name} is not running")
        return self._pid

    @property
    def is_running(self) -> bool:
        """Whether the process lives; ``start`` has waited until it answers."""
        return self._guard is not None and self._guard.poll() is None

    @property
    def log_path(self) -> Path:
        """File with everything the service printed."""
        return self.directory / "log"

    def start(self) -> None:
        """Start and wait until the service answers; nothing to do when it runs.

        The first start chooses other ports when another program has taken its own meanwhile; a later one keeps
        them. Raise SandboxError when the port stays taken, or with the last log lines when the service ends, stands
        still or takes longer than anything does (`sandbox_patience`).
        """
        if self.is_running:
            return
        self._wait_for_exit()
        if self.directory.exists():
            self._run()
        else:
            self._first_start()

    def stop(self) -> None:
        """End the service in order; port and data stay for ``restart``."""
        self.send(self.stop_signal)

    def restart(self) -> None:
        """Start again on the same port and data, whether the service runs or has ended."""
        self.stop()
        self.start()

    def wait(self) -> None:
        """Wait until the service ends by itself; nothing to do when it does not run."""
        if self._guard is not None:
            self._guard.wait()

    def send(self, number: signal.Signals) -> None:
        """Send a signal that ends the service and wait for the end; nothing to do when it does not run."""
        if self._guard is None:
            return
        with contextlib.suppress(BrokenPipeError):  # It has just ended, which is what was asked for.
            self._pipe.write(bytes([number]))
        self._wait_for_exit()

    def begin_release(self) -> None:
        """Tell the guard to end the service and remove its data, without waiting."""
        if self._guard is not None:
            self._pipe.close()

    def release(self) -> None:
        """End the service at once and remove its data."""
        self.begin_release()
        self._wait_for_exit()
        shutil.rmtree(self.directory, ignore_errors=True)

    def run_tool(self, command: list[str]) -> None:
        """Run a command of ``prepare`` to its end; raise SandboxError with its last lines when it fails."""
        user, group = self.account or (None, None)
        try:
            done = subprocess.run(  # noqa: S603
                command,
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=self.directory,
                env=clean_environment(),
                user=user,
                group=group,
                extra_groups=None if self.account is None else [],
                timeout=MOST_SECONDS,
            )
        except subprocess.TimeoutExpired:
            raise SandboxError(f"{self.name} was not prepared in {MOST_SECONDS:.0f} s by {command[0]}") from None
        if done.returncode != 0:
            raise SandboxError(f"{self.name} could not be prepared; {_last_lines(done.stdout)}")

    def _first_start(self) -> None:
        for _ in range(_FIRST_STARTS - 1):
            try:
                self._prepare_and_run()
            except _PortTakenError:
                self.release()
                self.take_ports()
            else:
                return
        self._prepare_and_run()

    def _prepare_and_run(self) -> None:
        self.directory.mkdir(parents=True)
        self.prepare()
        self._run()

    def _run(self) -> None:
        if not is_free(self.port):
            raise _PortTakenError(f"{self.name} cannot start: port {self.port} of {LOOPBACK} is taken")
        self._spawn()
        self._wait_for_answer()

    @property
    def _pipe(self) -> IO[bytes]:
        if self._guard is None or self._guard.stdin is None:
            raise SandboxError(f"{self.name} is not running")
        return self._guard.stdin

    def _spawn(self) -> None:
        ids = self.account or ("", "")
        guarded = [str(self.release_signal.value), str(self.directory), *map(str, ids), *self.command()]
        with self.log_path.open("ab") as log:
            self._guard = subprocess.Popen(  # noqa: S603
                [sys.executable, "-I", "-S", str(_GUARD), *guarded],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                bufsize=0,
                cwd=self.working_directory(),
                env=self.environment(),
                # Ctrl-C in a terminal goes to its whole process group: the owner decides what ends when.
                start_new_session=True,
            )
        if self._guard.stdout is not None:
            with self._guard.stdout as answer:
                self._pid = self._told_pid(answer)

    def _told_pid(self, answer: IO[bytes]) -> int:
        """What the guard says it has started; 0 when it ended before."""
        told, _, _ = select.select([answer], [], [], MOST_SECONDS)
        if not told:
            self.begin_release()
            raise SandboxError(f"the guard of {self.name} started nothing in {MOST_SECONDS:.0f} s")
        return int(answer.readline() or 0)

    def _wait_for_answer(self) -> None:
        patience = Patience(self._signs)
        while not self.answers():
            if not self.is_running:
                # Taken between the look and the start: by a client's outgoing connection, where Linux is set so.
                taken = not is_free(self.port)
                raise self._failed("ended while starting", _PortTakenError if taken else SandboxError)
            if lost := patience.lost():
                raise self._failed(f"did not answer {lost}")
            time.sleep(_POLL_SECONDS)

    def _wait_for_exit(self) -> None:
        if self._guard is None:
            return
        try:
            if lost := self._outlasts(self._guard):
                self._kill(self._guard)
                raise SandboxError(f"{self.name} did not end {lost} and was killed")
        finally:
            self._pipe.close()
        self._guard = None

    def _outlasts(self, guard: subprocess.Popen[bytes]) -> str | None:
        """Wait for the end; return why not to wait any longer when it does not come."""
        patience = Patience(self._signs, most_seconds=_EXIT_SECONDS)
        lost = None
        while guard.poll() is None and (lost := patience.lost()) is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                guard.wait(_EXIT_POLL_SECONDS)
        return lost

    def _kill(self, guard: subprocess.Popen[bytes]) -> None:
        """End the service by its id, in whatever state it is; then the guard, should it not end with it."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        try:
            guard.wait(_EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            guard.kill()
            guard.wait(_EXIT_SECONDS)

    def _signs(self) -> object:
        return signs_of(self._pid, self.log_path)

    def _failed(self, what: str, kind: type[SandboxError] = SandboxError) -> SandboxError:
        return kind(f"{self.name} {what}; {_last_lines(self.log_path.read_bytes())}")


def _last_lines(output: bytes) -> str:
    lines = [line.strip() for line in output.decode(errors="replace").splitlines()]
    return "it said: " + (" | ".join([line for line in lines if line][-_LOG_LINES:]) or "nothing")
