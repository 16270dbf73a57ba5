"""Lost windows: how fast a worker whose data directory is gone reads its windows back from the changelog.

    python -m benchmarks.lost_windows --records 200000

The changelog is filled as a worker would have filled it, and the worker's own log says when it began to read it and
when it had read everything.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import re
import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import orjson

from app.sandbox.process import Service
from benchmarks.arena import Arena
from benchmarks.contenders import ours
from benchmarks.counters import Observer
from benchmarks.entities import name
from benchmarks.loading import load
from benchmarks.payments import TOPIC, Payment, payment
from benchmarks.processes import cpu_seconds, peak_memory_mb
from benchmarks.throughput import FULL, Run
from tables import ring
from tables.window import Entry

RECORDS: Final = 200_000
_CHANGELOG: Final = "innervate-fraud-fraud-windows-changelog"
#: So many payments before move the timeline beyond the offsets that are written.
_AHEAD: Final = 2_000
_BEGINS: Final = re.compile(r"\[(.{23})\].*offsets at start of reading")
_ENDS: Final = re.compile(r"\[(.{23})\].*Recovery complete")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadBack:
    """What reading back took."""

    records: int
    seconds: float
    records_per_second: float
    #: Of the whole start.
    cpu_seconds: float
    peak_memory_mb: float


def entries(count: int, start: datetime) -> Iterator[Payment]:
    """Records of the changelog: the full windows of as many customers as it takes."""
    for number in range(count):
        customer, turn = divmod(number, FULL)
        made = payment(name(customer), turn, start=start)
        event = orjson.loads(made.value)
        entry = Entry(turn, turn, datetime.fromisoformat(event["time"]), event["id"], made.value)
        yield Payment(ring.key(name(customer), turn), ring.encode(entry), ())


def measure(directory: Path, records: int = RECORDS) -> ReadBack:
    """Lose the windows of so many records, and read them back."""
    with Arena(directory) as arena:
        asyncio.run(arena.create_topics(TOPIC))
        service = ours().made(arena, directory / "worker")
        try:
            service.start()
            with closing(Observer(arena.observer_url)) as observer:
                run = Run(arena, service, observer, FULL)
                run.warm_up(_AHEAD)
                service.stop()
                written = asyncio.run(load(arena.kafka, _CHANGELOG, entries(records, run.start)))
            shutil.rmtree(service.directory / "tables")
            service.start()
            return _read_back(service, written + _AHEAD)
        finally:
            service.release()


def _read_back(service: Service, records: int) -> ReadBack:
    log = service.log_path.read_text()
    began, ended = (_instants(pattern, log)[-1] for pattern in (_BEGINS, _ENDS))
    seconds = (ended - began).total_seconds()
    return ReadBack(
        records=records,
        seconds=round(seconds, 3),
        records_per_second=round(records / seconds, 1),
        cpu_seconds=round(cpu_seconds(service.pid), 2),
        peak_memory_mb=round(peak_memory_mb(service.pid), 1),
    )


def _instants(pattern: re.Pattern[str], log: str) -> list[datetime]:
    return [datetime.strptime(at, "%Y-%m-%d %H:%M:%S,%f") for at in pattern.findall(log)]  # noqa: DTZ007 - differences


def main() -> None:
    """Print what the command line asks for, as JSON."""
    parser = argparse.ArgumentParser(prog="benchmarks.lost_windows", description=__doc__)
    parser.add_argument("--records", type=int, default=RECORDS)
    arguments = parser.parse_args()
    found = measure(Path("var/bench/lost").absolute(), arguments.records)
    print(orjson.dumps(dataclasses.asdict(found), option=orjson.OPT_INDENT_2).decode())


if __name__ == "__main__":
    main()
