"""Arena: Kafka, PostgreSQL behind a proxy, and workers that are started again whenever they end, as in production.

A worker is told to run or not; whoever ends one on purpose says so first. What ends unasked is written down with its
exit code and its last words, and started again.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from acls import Acls
from evidence import Disturbance
from proxy import Proxy
from trades import SHOP, Trade
from waiting import PATIENCE_SECONDS
from witness import rows

from app.sandbox import Sandbox, SandboxError
from app.sandbox.process import is_free
from app.sandbox.worker_process import WorkerProcess

#: On a connection that may write: the database is read-only for everybody who does not say so.
READ_ONLY = "ALTER DATABASE innervate SET default_transaction_read_only = on"
WRITABLE = "ALTER DATABASE innervate RESET default_transaction_read_only"
#: How long a batch may have been under way when a worker says that it failed.
TROUBLE_SECONDS = 10.0
#: A line of a worker's log that says so, with its time.
_TROUBLE = re.compile(
    r"\[([\d-]+ [\d:]+,\d+)\] \[\d+\] \[WARNING\] (publishing failed|lane \d+ could not be|\d+ published messages wait)"
)
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

    @property
    def prints_stacks(self) -> bool:
        """Whether it prints what it does on SIGQUIT (`points/stacks`)."""
        return self._module == "crashing"

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

    @property
    def is_stopped(self) -> bool:
        """Whether the kernel has stopped it (SIGSTOP)."""
        if not self.is_running:
            return False
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"

    @property
    def tables(self) -> Path:
        """Its disk."""
        return self.directory / "tables"

    def forget(self) -> None:
        """Lose the disk: the tables have to come back from Kafka."""
        shutil.rmtree(self.tables, ignore_errors=True)

    def run_command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """One of the product's commands (`rebuild`, …) with its settings and its disk."""
        return subprocess.run(
            [sys.executable, "-m", "faust", "-A", "app", "--datadir", str(self.tables), *arguments],
            cwd=self.working_directory(),
            env=dict(self.environment()),
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )

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
    trade: Trade = SHOP
    exits: list[Exit] = field(default_factory=list)
    disturbances: list[Disturbance] = field(default_factory=list)
    #: When a fault last touched a service, by the wall clock.
    service_touched_at: float | None = None
    #: Rights that everybody lacks: operation and topic.
    denied: list[tuple[str, str]] = field(default_factory=list)
    is_read_only: bool = False

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

    def order(self, number: int, point: str | None) -> None:
        """Have a worker stop itself when it passes a point (`points/crashing`); None withdraws the order."""
        order = self.seats[number].process.directory.with_suffix(".order")
        if point is None:
            order.unlink(missing_ok=True)
            return
        # It must never be read half.
        unfinished = order.with_suffix(".tmp")
        unfinished.write_text(point)
        unfinished.rename(order)

    def deny(self, operation: str, topic: str) -> None:
        """Take everybody's right to read or to write a topic."""
        asyncio.run(Acls(self.sandbox.kafka).deny("topic", topic, operation))
        self.denied.append((operation, topic))

    def allow(self) -> None:
        """Give every right back."""
        while self.denied:
            operation, topic = self.denied[-1]
            asyncio.run(Acls(self.sandbox.kafka).restore("topic", topic, operation))
            self.denied.pop()

    def make_read_only(self) -> None:
        """Whoever connects from now on may not write."""
        self.is_read_only = True
        rows(self._writable_url, READ_ONLY)

    def make_writable(self) -> None:
        """Whoever connects from now on may write again."""
        rows(self._writable_url, WRITABLE)
        self.is_read_only = False

    @property
    def _writable_url(self) -> str:
        return f"{self.sandbox.database_url}?options=-cdefault_transaction_read_only%3Doff"

    def ready(self, number: int) -> bool:
        """Whether its web view says so."""
        seat = self.seats[number]
        return seat.process.is_running and not seat.frozen and seat.process.answers()

    def troubles(self) -> list[Disturbance]:
        """What workers wrote of batches that Kafka or PostgreSQL did not take in time: they may have to be repeated.

        On a busy machine that happens without any fault.
        """
        return [
            Disturbance(f"worker {number}: {line.rstrip()}", at - TROUBLE_SECONDS, at)
            for number, seat in enumerate(self.seats)
            if seat.process.log_path.exists()
            for line in seat.process.log_path.read_text(errors="replace").splitlines()
            if (found := _TROUBLE.match(line))
            for at in [datetime.fromisoformat(found[1].replace(",", ".")).timestamp()]
        ]

    def heal(self) -> None:
        """Everything up, nothing in the way."""
        self.proxy.heal()
        self.sandbox.postgres.start()
        self.sandbox.broker.start()
        self.allow()
        if self.is_read_only:
            self.make_writable()
        for number, seat in enumerate(self.seats):
            self.order(number, None)
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
