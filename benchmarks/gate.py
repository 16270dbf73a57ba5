"""Gate: `make bench QUICK=1`, what a payment costs where the machine does not matter, against `limits.toml`.

Statements, commits and bytes are counted by PostgreSQL and in Kafka; calls of Python functions are counted in the
worker (`benchmarks.counted`) and not timed. Fails, with every number, when one is beyond its limit.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
import tomllib
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Final

from benchmarks import counted
from benchmarks.arena import Arena
from benchmarks.counters import Observer
from benchmarks.payments import TOPIC
from benchmarks.processes import Worker
from benchmarks.throughput import Run

LIMITS: Final = Path(__file__).with_name("limits.toml")
CALLS: Final = "python_calls_per_event"
_CUSTOMERS: Final = 200
_EVENTS: Final = 4_000
_COUNTED: Final = 2_000
_WRITES_SECONDS: Final = 30.0
_MOST_CALLED: Final = 25


def numbers(directory: Path) -> Mapping[str, float]:
    """What is limited, by the names of the limits."""
    calls = directory / "calls.txt"
    calls.unlink(missing_ok=True)
    with Arena(directory, vacuums=False) as arena:
        asyncio.run(arena.create_topics(TOPIC))
        wrapper = ("-m", "benchmarks.counted", str(calls))
        worker = Worker(arena, directory / "worker", {"AGENTS": "fraud"}, wrapper=wrapper)
        try:
            worker.start()
            with closing(Observer(arena.observer_url)) as observer:
                run = Run(arena, worker, observer, _CUSTOMERS)
                run.warm_up()
                run.fill()
                found = run.measure(_EVENTS)
                os.kill(worker.pid, counted.SIGNAL)
                run.measure(_COUNTED)
                os.kill(worker.pid, counted.SIGNAL)
            counts = _written(calls)
        finally:
            worker.release()
    return {
        "statements_per_decision": found.statements_per_decision,
        "commits_per_decision": found.commits_per_decision,
        "wal_bytes_per_decision": found.wal_bytes_per_decision,
        "changelog_ratio": found.changelog_ratio,
        CALLS: sum(counts.values()) / _COUNTED,
    }


def _written(calls: Path) -> Mapping[str, int]:
    ends_at = time.monotonic() + _WRITES_SECONDS
    while not calls.exists():
        if time.monotonic() > ends_at:
            raise RuntimeError("the worker does not say what it called")
        time.sleep(0.1)
    counts = counted.read(calls)
    for name, count in sorted(counts.items(), key=lambda each: -each[1])[:_MOST_CALLED]:
        print(f"  {count / _COUNTED:8.2f} calls per event  {name}")
    return counts


def limits() -> Mapping[str, float]:
    """The limits, by name."""
    return tomllib.loads(LIMITS.read_text())


def beyond(found: Mapping[str, float], most: Mapping[str, float]) -> list[str]:
    """A line for each number that is beyond its limit, or has none, or is missing."""
    wrong = [name for name in sorted(found.keys() & most.keys()) if found[name] > most[name]]
    unlike = sorted(found.keys() ^ most.keys())
    return [
        *(f"{name} is {found[name]:g}, at most {most[name]:g} is allowed" for name in wrong),
        *(f"{name} has no limit, or was not measured" for name in unlike),
    ]


def main() -> int:
    """Measure and judge; the exit code is 1 when a limit is exceeded."""
    found, most = numbers(Path("var/bench/gate").absolute()), limits()
    for name, number in found.items():
        print(f"{name:28} {number:12.4g}   limit {most.get(name, float('nan')):g}")
    wrong = beyond(found, most)
    for line in wrong:
        print(f"benchmarks: {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
