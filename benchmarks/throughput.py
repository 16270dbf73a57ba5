"""Throughput: one variant, a backlog of payments, real services; what it took, as JSON.

    python -m benchmarks.throughput --variant ours --events 20000 --full
    python -m benchmarks.throughput --variant ours --checkout ../other --profile var/stacks.txt

A run begins with fresh services. The variant starts, decides a few payments to get warm, is held still while the
backlog is put into Kafka, and goes on: rates are from then to the last committed decision. CPU is that of the
variant's process (user and system, all threads) until its last message is published and everything it wrote for itself
is read, divided by the payments. Empty: each customer has had at most a few payments. Full: every window has its 50
before, which went the same way.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import orjson
from aiokafka import TopicPartition

from app.sandbox.process import Service
from benchmarks.arena import Arena
from benchmarks.contenders import VARIANTS, Choice
from benchmarks.counters import Observer, Written, ends, is_all_read, sizes
from benchmarks.loading import load
from benchmarks.payments import PAYMENT_BYTES, TOPIC, Payment, long_ago, payments
from benchmarks.processes import cpu_seconds, held_still, memory_mb, peak_memory_mb
from benchmarks.profiling import sampled

CUSTOMERS: Final = 1_000
#: Events of a customer that make a window full.
FULL: Final = 50
_WARM: Final = 400
_LOOK_SECONDS: Final = 0.1
#: Without a new decision for so long it has stopped.
_STUCK_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a backlog took."""

    events: int
    #: From the moment it could go on to the last committed decision.
    seconds: float
    events_per_second: float
    #: The same from the first committed decision on: flatters those that commit seldom.
    first_to_last_seconds: float
    cpu_us_per_event: float
    statements_per_decision: float
    commits_per_decision: float
    wal_bytes_per_decision: float
    changelog_bytes_per_event: float
    #: Of what goes into the changelog, in sizes of an event.
    changelog_ratio: float
    #: Records and bytes written to Kafka for one event, by topic, the event itself included.
    records_per_event: Mapping[str, float]
    bytes_per_event: Mapping[str, float]
    memory_mb: float
    peak_memory_mb: float


class Run:
    """One variant on fresh services."""

    def __init__(self, arena: Arena, service: Service, observer: Observer, customers: int) -> None:
        self._arena = arena
        self._service = service
        self._observer = observer
        self._customers = customers
        self._start = long_ago()
        #: Payments each customer has had.
        self._rounds = 0
        self._began = observer.now()
        self._expected = 0

    @property
    def start(self) -> datetime:
        """When the first round of payments was."""
        return self._start

    def warm_up(self, count: int = _WARM) -> None:
        """So many payments of other customers."""
        records = payments(count // 4, 0, count, start=self._start, prefix="w")
        self._expected += asyncio.run(load(self._arena.kafka, TOPIC, records))
        self._wait()

    def fill(self) -> None:
        """Give every customer the payments that make a window full; they take the same way as all others."""
        missing = (FULL - self._rounds) * self._customers
        asyncio.run(load(self._arena.kafka, TOPIC, self.next_payments(missing)))
        self._wait()

    def next_payments(self, count: int) -> Iterator[Payment]:
        """The payments that come next, for who sends them; they are expected from now on."""
        first, self._rounds = self._rounds, self._rounds + -(-count // self._customers)
        self._expected += count
        return payments(self._customers, first, count, start=self._start)

    def measure(self, events: int, stacks: Path | None = None) -> Measured:
        """Put so many payments there at once, and measure until all is done."""
        pid = self._service.pid
        since = asyncio.run(ends(self._arena.kafka))
        before, began = self._observer.written(), self._observer.now()
        with held_still(pid):
            asyncio.run(load(self._arena.kafka, TOPIC, self.next_payments(events)))
            used, resumed = cpu_seconds(pid), self._observer.now()
        with sampled(pid, stacks):
            self._wait_for_messages()
            written = self._observer.written().since(before)
            self._wait_for_readers()
        used = cpu_seconds(pid) - used
        memory, peak = memory_mb(pid), peak_memory_mb(pid)
        decided = self._observer.decided(began)
        assert decided.last_at is not None, "all are decided"
        seconds = ((decided.last_at - resumed).total_seconds(), decided.seconds)
        return self._measured(decided.count, seconds, used, written, (memory, peak), since)

    def _measured(
        self,
        count: int,
        seconds: tuple[float, float],
        used: float,
        written: Written,
        memory: tuple[float, float],
        since: Mapping[TopicPartition, int],
    ) -> Measured:
        topics = asyncio.run(sizes(self._arena.kafka, since))
        changelog = sum(size.bytes for name, size in topics.items() if "changelog" in name)
        return Measured(
            events=count,
            seconds=round(seconds[0], 3),
            events_per_second=round(count / seconds[0], 1),
            first_to_last_seconds=round(seconds[1], 3),
            cpu_us_per_event=round(used / count * 1e6, 1),
            statements_per_decision=round(written.statements / count, 4),
            commits_per_decision=round(written.commits / count, 4),
            wal_bytes_per_decision=round(written.wal_bytes / count),
            changelog_bytes_per_event=round(changelog / count, 1),
            changelog_ratio=round(changelog / count / PAYMENT_BYTES, 2),
            records_per_event={name: round(size.records / count, 3) for name, size in topics.items()},
            bytes_per_event={name: round(size.bytes / count, 1) for name, size in topics.items()},
            memory_mb=round(memory[0], 1),
            peak_memory_mb=round(memory[1], 1),
        )

    def _wait(self) -> None:
        self._wait_for_messages()
        self._wait_for_readers()

    def _wait_for_messages(self) -> None:
        """Until everything is decided and published. Raises `RuntimeError` when nothing moves any more."""
        seen, moved_at = -1, time.monotonic()
        while True:
            done = self._observer.decided(self._began).count if self._observer.has_decisions() else 0
            if done >= self._expected and not self._observer.pending():
                return
            if done > seen:
                seen, moved_at = done, time.monotonic()
            if not self._service.is_running or time.monotonic() - moved_at > _STUCK_SECONDS:
                raise RuntimeError(f"{done} of {self._expected} payments are decided, see {self._service.log_path}")
            time.sleep(_LOOK_SECONDS)

    def _wait_for_readers(self) -> None:
        """Until every group has read what is there. Raises `RuntimeError` when one never does."""
        ends_at = time.monotonic() + _STUCK_SECONDS
        while not asyncio.run(is_all_read(self._arena.kafka)):
            if time.monotonic() > ends_at:
                raise RuntimeError(f"not everything is read, see {self._service.log_path}")
            time.sleep(_LOOK_SECONDS)


def measure(
    choice: Choice,
    directory: Path,
    *,
    empty: int = 0,
    full: int = 0,
    customers: int = CUSTOMERS,
    stacks: Path | None = None,
    told: bool = False,
) -> dict[str, Measured]:
    """Measure a variant with empty windows, then with full ones; 0 payments leave one out."""
    found = {}
    with Arena(directory) as arena:
        asyncio.run(arena.create_topics(TOPIC, *choice.topics))
        service = choice.made(arena, directory / "variant")
        try:
            service.start()
            with closing(Observer(arena.observer_url)) as observer:
                run = Run(arena, service, observer, customers)
                run.warm_up()
                if empty:
                    found["empty"] = run.measure(empty, None if full else stacks)
                if full:
                    run.fill()
                    found["full"] = run.measure(full, stacks)
                if told:
                    for calls, query in observer.statements():
                        print(f"{calls:>9} {query}", file=sys.stderr)
        finally:
            service.release()
    return found


def main() -> None:
    """Measure what the command line says; JSON on stdout."""
    parser = argparse.ArgumentParser(prog="benchmarks.throughput", description=__doc__)
    parser.add_argument("--variant", choices=sorted(VARIANTS), default="ours")
    parser.add_argument("--events", type=int, default=20_000, help="payments of a backlog")
    parser.add_argument("--empty", action="store_true", help="measure with empty windows (the default)")
    parser.add_argument("--full", action="store_true", help="measure with full windows; with --empty both")
    parser.add_argument("--customers", type=int, default=CUSTOMERS)
    parser.add_argument("--checkout", type=Path, default=Path(), help="for `ours`: another checkout, with its .venv")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="for `ours`: a setting")
    parser.add_argument("--profile", type=Path, help="write folded stacks of the last measurement there")
    parser.add_argument("--statements", action="store_true", help="print the most frequent statements to stderr")
    arguments = parser.parse_args()
    settings = dict(each.split("=", 1) for each in arguments.set)
    choice = VARIANTS[arguments.variant](checkout=arguments.checkout, settings=settings)
    directory = Path("var/bench") / f"{arguments.variant}-{datetime.now():%H%M%S%f}"  # noqa: DTZ005 - a name
    found = measure(
        choice,
        directory.absolute(),
        empty=0 if arguments.full and not arguments.empty else arguments.events,
        full=arguments.events if arguments.full else 0,
        customers=arguments.customers,
        stacks=arguments.profile,
        told=arguments.statements,
    )
    told = {name: dataclasses.asdict(one) for name, one in found.items()}
    print(orjson.dumps({"variant": arguments.variant, **told}, option=orjson.OPT_INDENT_2).decode())


if __name__ == "__main__":
    main()
