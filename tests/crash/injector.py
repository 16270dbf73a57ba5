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
from foreign import ForeignDisk
from poisoning import poison
from witness import rows

from app.sandbox import SandboxError

#: How slow a delaying proxy is, per chunk and direction, in seconds.
_DELAY_SECONDS = 0.25
_POLL_SECONDS = 0.1
#: Where the transaction of an effect is open, and where nothing is or everything was done.
IN_A_TRANSACTION = ("mid_effect", "before_effect_commit")
AT_A_POINT = (
    *("before_fold", "after_put", "after_changelog", "before_commit", "after_commit", "after_effect_commit"),
    *("after_publish", "mid_lease"),
)
#: How long a worker may take to pass a point; it may be starting, or own nothing, or have no effect to write.
_PASSING_SECONDS = 30.0
#: A worker that is to be killed is waited for: it may just be being started again.
_PATIENCE_SECONDS = 120.0


@dataclass
class Injector:
    """`say` is told what happens, as it happens."""

    arena: Arena
    say: Callable[[str], None]
    foreign: ForeignDisk
    #: Workers that were asked to leave and had to be killed.
    stubborn: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    #: Workers that did not pass the point they were to freeze at.
    missed: list[str] = field(default_factory=list)

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
            self._begin_on_worker(fault, worker)
            return
        proxy, services, trade = arena.proxy, arena.sandbox, arena.trade
        {
            "deny a write": lambda: arena.deny("WRITE", trade.written[fault.number % len(trade.written)]),
            "deny a read": lambda: arena.deny("READ", trade.read[fault.number % len(trade.read)]),
            "read-only": lambda: self._make_read_only(fault),
            "poison a changelog": lambda: poison(arena, self._wait, fault.number),
            "broker restart": services.broker.stop,
            "broker kill": getattr(services.broker, "kill", services.broker.stop),
            "postgresql crash": services.postgres.crash,
            "terminate backends": self._terminate_backends,
            "cut": proxy.cut,
            "delay": lambda: proxy.delay(_DELAY_SECONDS),
            "swallow a commit": proxy.swallow_next_commit,
            "refuse": proxy.refuse,
        }[fault.kind]()

    def _begin_on_worker(self, fault: Fault, worker: int) -> None:
        arena, kind = self.arena, fault.kind
        if worker == THIRD:
            if not arena.seats[worker].wanted:
                arena.start(worker)
                return
            self._ask_to_leave(worker)
            return
        self._until_running(worker)
        if kind == "freeze":
            arena.freeze(worker)
        elif kind == "freeze in a transaction":
            self._freeze_at(worker, IN_A_TRANSACTION[fault.number % len(IN_A_TRANSACTION)])
        elif kind == "freeze at a point":
            self._freeze_at(worker, AT_A_POINT[fault.number % len(AT_A_POINT)])
        elif kind == "leave":
            self._ask_to_leave(worker)
        else:
            arena.kill(worker)
            if kind == "kill and lose the disk":
                arena.seats[worker].process.forget()
            elif kind == "disk of another cluster":
                self.foreign.put_into(arena.seats[worker].process)

    def _freeze_at(self, worker: int, point: str) -> None:
        """Wait until the worker has stopped itself there."""
        seat = self.arena.seats[worker]
        until = time.monotonic() + _PASSING_SECONDS
        self.arena.order(worker, point)
        while not seat.process.is_stopped and time.monotonic() < until:
            self._wait(_POLL_SECONDS)
        self.arena.order(worker, None)
        if seat.process.is_stopped:
            seat.frozen = True
            self.say(f"  frozen at {point}")
        else:
            self.missed.append(f"worker {worker} did not pass {point}")

    def _make_read_only(self, fault: Fault) -> None:
        """For new sessions; for those there are as well, every other time."""
        self.arena.make_read_only()
        if fault.number % 2:
            self._terminate_backends()

    def _repair(self, fault: Fault) -> None:
        arena, worker = self.arena, fault.worker
        if fault.kind.startswith("freeze") and worker is not None:
            arena.thaw(worker)
        elif worker is not None and worker != THIRD:
            arena.start(worker)
        elif fault.kind.startswith("broker"):
            arena.sandbox.broker.start()
        elif fault.kind.startswith("deny"):
            arena.allow()
        elif fault.kind == "read-only":
            arena.make_writable()
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
