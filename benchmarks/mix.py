"""Mix: six agents on the story of the simulator, failures included: those there were when this was measured first.

    python -m benchmarks.mix --orders 2000
    python -m benchmarks.mix --orders 300 --checkout ../another

The whole story is put into Kafka while the worker is held still; rates are records of the story a second, until the
last decision is committed. CPU is that of the worker until the whole choreography has come to rest.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import subprocess
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from app.sandbox.process import Service
from app.sandbox.worker_process import CHECKOUT
from app.simulator import Produced
from app.simulator.schedule import simulated_until_now
from benchmarks.arena import Arena
from benchmarks.contenders import ours
from benchmarks.counters import Observer, is_all_read
from benchmarks.loading import load
from benchmarks.processes import cpu_seconds, held_still, peak_memory_mb

AGENTS: Final = "fraud,fulfilment,confirmation,root_cause,recovery,incident"
_SEED: Final = 1
#: Of the orders, as `simulate` has it by itself.
_FAILURES_SHARE: Final = 0.2
_WARM_ORDERS: Final = 20
_REST_SECONDS: Final = 3.0
_MOST_SECONDS: Final = 1800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixed:
    """What a story took."""

    records: int
    decisions: int
    seconds: float
    events_per_second: float
    decisions_per_second: float
    cpu_us_per_event: float
    statements_per_decision: float
    commits_per_decision: float
    wal_bytes_per_decision: float
    peak_memory_mb: float
    #: Decided again from the log by `faust -A app replay`, its start included, and how much faster that is.
    replayed_per_second: float
    replay_to_live: float


def story(orders: int, seed: int = _SEED) -> Sequence[Produced]:
    """The records of a story that has just come to its end."""
    return simulated_until_now(seed=seed, orders=orders, failures=round(orders * _FAILURES_SHARE)).records


def measure(directory: Path, orders: int, checkout: Path = Path()) -> Mixed:
    """Play the story to a worker of that checkout."""
    with Arena(directory) as arena:
        service = ours(checkout=checkout, settings={"AGENTS": AGENTS}).made(arena, directory / "worker")
        try:
            service.start()
            with closing(Observer(arena.observer_url)) as observer:
                _play(arena, service, story(_WARM_ORDERS, seed=_SEED + 1))
                _come_to_rest(arena, observer)
                live = _measured(arena, service, observer, story(orders))
                again = 0.0 if checkout.absolute() != CHECKOUT else _replayed(service, directory / "replay.json")
        finally:
            service.release()
    return dataclasses.replace(
        live, replayed_per_second=round(again, 1), replay_to_live=round(again / live.decisions_per_second, 2)
    )


def _replayed(service: Service, told_in: Path) -> float:
    """Decide everything again with the rules; decisions a second. Raises where one comes out otherwise."""
    python, _, faust, *app = service.command()[:5]
    asked = ["replay", "--agents", AGENTS, "--decide", "rules", "--json", str(told_in)]
    command = [python, "-m", faust, *app, *asked]
    began = time.perf_counter()
    where = service.working_directory()
    subprocess.run(command, cwd=where, env=dict(service.environment()), check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - began
    return int(orjson.loads(told_in.read_bytes())["decisions"]) / seconds


def _measured(arena: Arena, service: Service, observer: Observer, records: Sequence[Produced]) -> Mixed:
    before, began = observer.written(), observer.now()
    with held_still(service.pid):
        _play(arena, service, records)
        used, resumed = cpu_seconds(service.pid), observer.now()
    _come_to_rest(arena, observer)
    used = cpu_seconds(service.pid) - used
    written, decided = observer.written().since(before), observer.decided(began)
    assert decided.last_at is not None, "somebody decided"
    seconds = (decided.last_at - resumed).total_seconds()
    return Mixed(
        records=len(records),
        decisions=decided.count,
        seconds=round(seconds, 2),
        events_per_second=round(len(records) / seconds, 1),
        decisions_per_second=round(decided.count / seconds, 1),
        cpu_us_per_event=round(used / len(records) * 1e6, 1),
        statements_per_decision=round(written.statements / decided.count, 4),
        commits_per_decision=round(written.commits / decided.count, 4),
        wal_bytes_per_decision=round(written.wal_bytes / decided.count),
        peak_memory_mb=round(peak_memory_mb(service.pid), 1),
        replayed_per_second=0.0,
        replay_to_live=0.0,
    )


def _play(arena: Arena, service: Service, records: Sequence[Produced]) -> None:
    assert service.is_running, f"see {service.log_path}"
    by_topic: dict[str, list[Produced]] = defaultdict(list)
    for record in records:
        by_topic[record.topic].append(record)
    for topic, some in by_topic.items():
        asyncio.run(load(arena.kafka, topic, some))


def _come_to_rest(arena: Arena, observer: Observer) -> None:
    """Until nothing is pending and everything read, for a while. Raises `RuntimeError` when that never comes."""
    ends_at = time.monotonic() + _MOST_SECONDS
    rested_at = time.monotonic()
    while time.monotonic() - rested_at < _REST_SECONDS:
        if observer.pending() or not asyncio.run(is_all_read(arena.kafka)):
            rested_at = time.monotonic()
        if time.monotonic() > ends_at:
            raise RuntimeError("the story does not come to rest")
        time.sleep(0.1)


def main() -> None:
    """Print what the command line asks for, as JSON."""
    parser = argparse.ArgumentParser(prog="benchmarks.mix", description=__doc__)
    parser.add_argument("--orders", type=int, default=1000)
    parser.add_argument("--checkout", type=Path, default=Path(), help="another checkout, with its .venv")
    arguments = parser.parse_args()
    found = measure(Path("var/bench/mix").absolute(), arguments.orders, arguments.checkout)
    print(orjson.dumps(dataclasses.asdict(found), option=orjson.OPT_INDENT_2).decode())


if __name__ == "__main__":
    main()
