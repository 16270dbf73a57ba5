"""Injector: carries a plan of faults out on an arena, one step after another, and keeps the workers supervised."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import psycopg2
from arena import Arena
from evidence import Disturbance
from faults import THIRD, Fault
from witness import rows

from app.sandbox import SandboxError

#: How slow a delaying proxy is, per chunk and direction, in seconds.
_DELAY_SECONDS = 0.25
_POLL_SECONDS = 0.1
#: A worker that is to be killed is waited for: it may just be being started again.
_PATIENCE_SECONDS = 120.0


@dataclass
class Injector:
    """`say` is told what happens, as it happens."""

    arena: Arena
    say: Callable[[str], None]
    #: Workers that were asked to leave and had to be killed.
    stubborn: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def run(self, plan: Sequence[Fault]) -> None:
        """Carry every fault out; returns when the last one has ended. Raises what cannot be repaired."""
        open_faults: list[tuple[float, Fault, float]] = []
        for fault in plan:
            if not fault.overlapping:
                self._end(open_faults)
            self._wait(fault.pause_seconds)
            began_at = time.time()
            self._touch(fault)
            self.say(str(fault))
            self._begin(fault)
            self.counts[fault.kind] = self.counts.get(fault.kind, 0) + 1
            open_faults.append((time.monotonic() + fault.lasts_seconds, fault, began_at))
        self._end(open_faults)

    def _end(self, open_faults: list[tuple[float, Fault, float]]) -> None:
        for due, fault, began_at in sorted(open_faults, key=lambda one: one[0]):
            self._wait(due - time.monotonic())
            self._repair(fault)
            self._touch(fault)
            self.arena.disturbances.append(Disturbance(str(fault), began_at, time.time()))
        open_faults.clear()

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while True:
            self.arena.supervise()
            if (left := until - time.monotonic()) <= 0:
                return
            time.sleep(min(left, _POLL_SECONDS))

    def _touch(self, fault: Fault) -> None:
        if fault.worker is None:
            self.arena.service_touched_at = time.time()
        else:
            self.arena.seats[fault.worker].touched_at = time.time()

    def _begin(self, fault: Fault) -> None:
        arena, worker = self.arena, fault.worker
        if worker is not None:
            self._begin_on_worker(fault.kind, worker)
            return
        proxy, services = arena.proxy, arena.sandbox
        {
            "broker restart": services.broker.stop,
            "broker kill": getattr(services.broker, "kill", services.broker.stop),
            "postgresql crash": services.postgres.crash,
            "terminate backends": self._terminate_backends,
            "cut": proxy.cut,
            "delay": lambda: proxy.delay(_DELAY_SECONDS),
            "swallow a commit": proxy.swallow_next_commit,
            "refuse": proxy.refuse,
        }[fault.kind]()

    def _begin_on_worker(self, kind: str, worker: int) -> None:
        arena = self.arena
        if worker == THIRD:
            if not arena.seats[worker].wanted:
                arena.start(worker)
                return
            self._ask_to_leave(worker)
            return
        self._until_running(worker)
        if kind == "freeze":
            arena.freeze(worker)
        elif kind == "leave":
            self._ask_to_leave(worker)
        else:
            arena.kill(worker)
            if kind == "kill and lose the disk":
                arena.seats[worker].process.forget()

    def _repair(self, fault: Fault) -> None:
        arena, worker = self.arena, fault.worker
        if fault.kind == "freeze" and worker is not None:
            arena.thaw(worker)
        elif worker is not None and worker != THIRD:
            arena.start(worker)
        elif fault.kind.startswith("broker"):
            arena.sandbox.broker.start()
        elif fault.kind == "postgresql crash":
            arena.sandbox.postgres.start()
        elif fault.kind in {"delay", "refuse", "swallow a commit"}:
            arena.proxy.heal()

    def _until_running(self, worker: int) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not self.arena.seats[worker].process.is_running:
            assert time.monotonic() < deadline, f"worker {worker} did not run for {_PATIENCE_SECONDS:.0f} s"
            self._wait(_POLL_SECONDS)

    def _ask_to_leave(self, worker: int) -> None:
        try:
            self.arena.leave(worker)
        except SandboxError as error:
            self.stubborn.append(f"worker {worker}: {error}")
            self.say(f"  {error}")

    def _terminate_backends(self) -> None:
        # The server may be down: faults overlap.
        with contextlib.suppress(psycopg2.OperationalError):
            rows(
                self.arena.sandbox.database_url,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()",
            )
