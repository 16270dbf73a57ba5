"""Drill: workers that come and go by an operator's hand while events come in, and everything audited at the end.

A worker that ends unasked is started again and fails the drill.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from arena import Arena, CrashWorker, Seat
from audit import audit
from evidence import Disturbance, Evidence
from load import Acknowledged, Load
from settling import settle
from waiting import eventually
from witness import gather, rows

T = TypeVar("T")

#: Fast enough that every partition always has something to do, slow enough for one worker.
PER_SECOND = 30.0
#: What a killed worker held comes free for others within this time, in seconds: session and leases are 15.
TAKEOVER_SECONDS = 30.0


@dataclass
class Drill:
    """One installation, and what was done to it."""

    arena: Arena
    directory: Path
    sent: list[Acknowledged] = field(default_factory=list)

    @property
    def kafka(self) -> str:
        """Where Kafka listens."""
        return self.arena.sandbox.kafka

    @property
    def database_url(self) -> str:
        """Where PostgreSQL is, past the proxy."""
        return self.arena.sandbox.database_url

    def seat(self, settings: Mapping[str, str] | None = None, *, directory: str | None = None) -> int:
        """A place for a worker with these settings; returns its number. It does not run yet."""
        number = len(self.arena.seats)
        where = self.directory / (directory or f"worker-{number}")
        return self.take(CrashWorker(self.arena.sandbox, where, settings or {}))

    def take(self, process: CrashWorker) -> int:
        """The same for a process of somebody else's making."""
        self.arena.seats.append(Seat(process))
        return len(self.arena.seats) - 1

    def process(self, number: int) -> CrashWorker:
        """The worker in this seat."""
        return self.arena.seats[number].process

    def start(self, *numbers: int) -> None:
        """Start workers and wait until each is ready."""
        for number in numbers:
            self.arena.start(number)
        for number in numbers:
            self.wait_for(lambda number=number: self.arena.ready(number), what=f"worker {number} to be ready")  # type: ignore[misc]

    def leave(self, *numbers: int) -> None:
        """End workers in order. What they were doing is no reason to repeat anything."""
        for number in numbers:
            self.arena.leave(number)

    def kill(self, number: int) -> None:
        """End a worker with SIGKILL."""
        began_at = time.time()
        self.arena.kill(number)
        self.arena.disturbances.append(
            Disturbance(f"worker {number} was killed", began_at, time.time() + TAKEOVER_SECONDS)
        )

    def share(self, *numbers: int) -> None:
        """Wait until each of these workers says that it has partitions of every timeline its agents read."""
        self.wait_for(
            lambda: {str(self.process(number).pid) for number in numbers} <= self._holders(),
            what=f"each of the workers {numbers} to have partitions",
        )

    def _holders(self) -> set[str]:
        """The process ids of the workers that have some of every timeline, by their last word."""
        found = rows(
            self.database_url,
            "SELECT split_part(name, ':', 2) FROM workers WHERE stopped_at IS NULL AND state -> 'partitions' ?&"
            " ARRAY(SELECT jsonb_array_elements_text(state -> 'timelines'))",
        )
        return {pid for (pid,) in found}

    def wait_for(self, look: Callable[[], T], *, what: str) -> T:
        """Look until it is there, and start again what ended unasked meanwhile."""

        def seen() -> T:
            self.arena.supervise()
            return look()

        return eventually(seen, what=what, pause_seconds=0.2)

    @contextmanager
    def load(self, name: str, *, per_second: float = PER_SECOND) -> Iterator[Load]:
        """Events that come in as long as the block lasts; all that follows from them is done when it is left."""
        with Load(
            self.kafka, seed=len(self.sent) + 1, name=name, trade=self.arena.trade, per_second=per_second
        ) as load:
            self.sent.append(load.acknowledged)
            yield load
            load.stop()
            settle(self.arena, load)

    def go_on(self, load: Load, decisions: int = 100) -> None:
        """Wait for so many events more, and decisions more than there are now."""
        answers, before = load.answers, self.decisions()
        self.wait_for(
            lambda: load.answers >= answers + decisions and self.decisions() >= before + decisions,
            what=f"{decisions} more events and decisions",
        )

    def decisions(self) -> int:
        """How many there are."""
        [(count,)] = rows(self.database_url, "SELECT count(*) FROM decisions")
        return int(count)

    def evidence(self) -> Evidence:
        """All that Kafka and PostgreSQL hold."""
        return gather(self.kafka, self.database_url, self.sent, self.arena.trade)

    def assert_promises_kept(self) -> Evidence:
        """Nothing lost or doubled, order, exact histories, no worker that ended unasked. Returns what was looked at."""
        evidence = self.evidence()
        findings = audit(evidence, [*self.arena.disturbances, *self.arena.troubles()])
        assert findings.broken() == {}, findings.details[:10]
        assert [one.last_words for one in self.arena.exits] == []
        return evidence
