"""Arena: Kafka, PostgreSQL behind a proxy, and workers that are started again whenever they end, as in production.

A worker is told to run or not; whoever ends one on purpose says so first. What ends unasked is written down with its
exit code and its last words, and started again.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from evidence import Disturbance
from proxy import Proxy

from app.sandbox import Sandbox, SandboxError
from app.sandbox_process import is_free
from app.worker_process import WorkerProcess

#: As a shell shows it.
KILLED = 128 + signal.SIGKILL
#: What an orchestrator waits before it starts a worker again.
_RESTART_SECONDS = 1.0
#: An exit this long after a fault has nothing to do with it any more.
EXCUSED_SECONDS = 180.0
_LAST_LINES = 8
_TELLING = re.compile(r"\[(ERROR|CRITICAL)\]|^[\w.]*(Error|Exception)\b|^innervate:")


class CrashWorker(WorkerProcess):
    """A worker that can be started without waiting for it and asked how it ended; `module` is what faust runs."""

    def __init__(self, sandbox: Sandbox, directory: Path, settings: Mapping[str, str], *, module: str = "app") -> None:
        super().__init__(sandbox, directory, settings)
        self._module = module

    def command(self) -> list[str]:
        command = super().command()
        command[command.index("-A") + 1] = self._module
        return command

    def launch(self) -> None:
        """Start and do not wait; nothing to do when it runs."""
        if self.is_running:
            return
        self._wait_for_exit()
        if not self.directory.exists() and not is_free(self.port):
            self.take_ports()
        self.directory.mkdir(parents=True, exist_ok=True)
        self._spawn()

    @property
    def exit_code(self) -> int | None:
        """How it ended, as a shell shows it; None while it runs or before it was started."""
        return None if self._guard is None else self._guard.poll()

    def forget(self) -> None:
        """Lose the disk: the tables have to come back from Kafka."""
        shutil.rmtree(self.directory / "tables", ignore_errors=True)

    def last_words(self) -> list[str]:
        """What its log says about the end: the last errors, then the last lines."""
        with self.log_path.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - 100_000))
            lines = log.read().decode(errors="replace").splitlines()
        errors = [line for line in lines if _TELLING.search(line)]
        return [*errors[-_LAST_LINES:], "…", *lines[-_LAST_LINES:]]


@dataclass
class Exit:
    """A worker that ended unasked."""

    worker: int
    code: int
    at: float
    #: Seconds since the last fault that touched it or a service; None when there was none.
    seconds_after_fault: float | None
    last_words: list[str]

    @property
    def excused(self) -> bool:
        """Whether a fault can have caused it."""
        return self.seconds_after_fault is not None and self.seconds_after_fault <= EXCUSED_SECONDS


@dataclass
class Seat:
    """A place for a worker: its process, and whether one should run."""

    process: CrashWorker
    wanted: bool = False
    frozen: bool = False
    touched_at: float | None = None
    #: When it is to be started again after it ended unasked, by the wall clock.
    again_at: float | None = None


@dataclass
class Arena:
    """What faults are done to."""

    sandbox: Sandbox
    proxy: Proxy
    seats: list[Seat]
    exits: list[Exit] = field(default_factory=list)
    disturbances: list[Disturbance] = field(default_factory=list)
    #: When a fault last touched a service, by the wall clock.
    service_touched_at: float | None = None

    def supervise(self) -> None:
        """Start again what ended and should run."""
        for number, seat in enumerate(self.seats):
            if not seat.wanted or seat.process.is_running:
                continue
            now = time.time()
            if seat.again_at is None:
                self._note_exit(number, now)
                seat.again_at = now + _RESTART_SECONDS
            elif seat.again_at <= now:
                seat.again_at = None
                seat.process.launch()

    def _note_exit(self, number: int, now: float) -> None:
        seat = self.seats[number]
        touched = max(filter(None, (seat.touched_at, self.service_touched_at)), default=None)
        since = None if touched is None else now - touched
        code = seat.process.exit_code
        assert code is not None, f"worker {number} was never started"
        self.exits.append(Exit(number, code, now, since, seat.process.last_words()))
        self.disturbances.append(Disturbance(f"worker {number} ended with {code}", now, now))

    def start(self, number: int) -> None:
        """Have a worker run."""
        seat = self.seats[number]
        seat.wanted = True
        seat.again_at = None
        seat.process.launch()

    def kill(self, number: int) -> None:
        """End it with SIGKILL; it stays away."""
        seat = self.seats[number]
        seat.wanted = seat.frozen = False
        seat.process.send(signal.SIGKILL)

    def leave(self, number: int) -> None:
        """Ask it to end with SIGTERM, wait for it; it stays away. Raises `SandboxError` when it has to be killed."""
        seat = self.seats[number]
        seat.wanted = False
        self.thaw(number)
        seat.process.stop()

    def freeze(self, number: int) -> None:
        """SIGSTOP."""
        seat = self.seats[number]
        os.kill(seat.process.pid, signal.SIGSTOP)
        seat.frozen = True

    def thaw(self, number: int) -> None:
        """SIGCONT, if it is frozen."""
        seat = self.seats[number]
        if seat.frozen and seat.process.is_running:
            os.kill(seat.process.pid, signal.SIGCONT)
        seat.frozen = False

    def ready(self, number: int) -> bool:
        """Whether its web view says so."""
        seat = self.seats[number]
        return seat.process.is_running and not seat.frozen and seat.process.answers()

    def heal(self) -> None:
        """Everything up, nothing in the way."""
        self.proxy.heal()
        self.sandbox.postgres.start()
        self.sandbox.broker.start()
        for number, seat in enumerate(self.seats):
            self.thaw(number)
            if seat.wanted:
                seat.process.launch()

    def stop_workers(self) -> None:
        """End every worker in order, so that nothing moves any more.

        Raises `SandboxError` at the end when some had to be killed.
        """
        stuck = []
        for number, seat in enumerate(self.seats):
            if seat.process.is_running:
                try:
                    self.leave(number)
                except SandboxError as error:
                    stuck.append(f"worker {number}: {error}")
            seat.wanted = False
        if stuck:
            raise SandboxError("; ".join(stuck))

    def release(self) -> None:
        """End everything that is left."""
        for seat in self.seats:
            seat.process.begin_release()
        for number, seat in enumerate(self.seats):
            self.thaw(number)
            seat.process.release()


__all__ = ["KILLED", "Arena", "CrashWorker", "Exit", "SandboxError", "Seat"]
