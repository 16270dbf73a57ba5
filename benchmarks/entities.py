"""Entities: what a payment costs, and what a worker holds, when a thousand or a million customers have full windows.

    python -m benchmarks.entities --entities 1000,100000,1000000

The windows are filled without the worker: it starts once and makes its topics and databases, then fifty payments of
each customer are written into them, as it would have done. Payments are then of customers drawn at random, so that of a
million nearly every one has to be read from the disk. A million of them take some 10 GB there, and minutes to write.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import orjson
import rocksdict
from aiokafka.partitioner import DefaultPartitioner

from app.sandbox.process import Service
from benchmarks.arena import PARTITIONS, Arena
from benchmarks.contenders import ours
from benchmarks.counters import Observer
from benchmarks.payments import TOPIC, Payment, payment
from benchmarks.throughput import FULL, Measured, Run
from tables import ring
from tables.store import StoreOptions
from tables.window import Entry

ENTITIES: Final = (1_000, 100_000)
EVENTS: Final = 20_000
#: So many payments of others before move the offsets of every partition beyond those that are written.
_AHEAD: Final = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a worker with so many customers took."""

    entities: int
    disk_mb: float
    events_per_second: float
    cpu_us_per_event: float
    peak_memory_mb: float
    memory_mb: float


class RandomRun(Run):
    """Payments of customers drawn at random, each customer's in order."""

    def __init__(self, arena: Arena, service: Service, observer: Observer, customers: int) -> None:
        super().__init__(arena, service, observer, customers)
        self._turns: dict[int, int] = {}

    def next_payments(self, count: int) -> Iterator[Payment]:
        """The payments that come next."""
        self._expected += count
        chance = random.Random(self._expected)
        for _ in range(count):
            customer = chance.randrange(self._customers)
            self._turns[customer] = self._turns.get(customer, FULL - 1) + 1
            yield payment(name(customer), self._turns[customer], start=self._start)


def name(customer: int) -> str:
    """Of the same length each, so that their order is that of their slots."""
    return f"c{customer:07}"


def fill(database: Path, customers: Sequence[str], start: datetime) -> None:
    """Write the full windows of these customers, which must be in order, into the database of their partition.

    All have paid the same: making each payment anew would take longer than everything else.
    """
    model = name(0)
    past = [_entry(turn, payment(model, turn, start=start).value) for turn in range(FULL)]
    table = database.with_suffix(".sst")
    writer = rocksdict.SstFileWriter(StoreOptions().as_options())
    writer.open(str(table))
    old = model.encode()
    for customer in customers:
        new = customer.encode()
        for entry in past:
            event_id, payload = entry.event_id.replace(model, customer), entry.payload.replace(old, new)
            own = Entry(entry.seq, entry.offset, entry.time, event_id, payload)
            writer[ring.key(customer, entry.seq)] = ring.encode(own)
    writer.finish()
    store = StoreOptions().open(database)
    store.ingest_external_file([str(table)])
    store.close()
    table.unlink()


def _entry(turn: int, payload: bytes) -> Entry:
    event = orjson.loads(payload)
    return Entry(turn, turn, datetime.fromisoformat(event["time"]), event["id"], payload)


def measure(directory: Path, entities: int, events: int = EVENTS, stacks: Path | None = None) -> Held:
    """Fill, and decide on so many payments; folded stacks are written where it is said."""
    with Arena(directory) as arena:
        asyncio.run(arena.create_topics(TOPIC))
        service = ours().made(arena, directory / "worker")
        try:
            service.start()
            with closing(Observer(arena.observer_url)) as observer:
                run = RandomRun(arena, service, observer, entities)
                run.warm_up(_AHEAD)
                service.stop()
                disk_mb = _fill_all(service.directory, entities, run.start)
                service.start()
                run.measure(events // 10)
                return _held(entities, disk_mb, run.measure(events, stacks))
        finally:
            service.release()


def _fill_all(directory: Path, entities: int, start: datetime) -> float:
    [folder] = {path.parent for path in directory.rglob("fraud-windows-0.db")}
    numbers = list(range(PARTITIONS))
    partition_of = DefaultPartitioner()
    parts: list[list[str]] = [[] for _ in numbers]
    for customer in map(name, range(entities)):
        parts[partition_of(customer.encode(), numbers, numbers)].append(customer)
    with ProcessPoolExecutor() as pool:
        filled = [
            pool.submit(fill, folder / f"fraud-windows-{number}.db", customers, start)
            for number, customers in enumerate(parts)
        ]
        for each in filled:
            each.result()
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20


def _held(entities: int, disk_mb: float, found: Measured) -> Held:
    return Held(
        entities=entities,
        disk_mb=round(disk_mb, 1),
        events_per_second=found.events_per_second,
        cpu_us_per_event=found.cpu_us_per_event,
        peak_memory_mb=found.peak_memory_mb,
        memory_mb=found.memory_mb,
    )


def main() -> None:
    """Print what the command line asks for, as JSON."""
    parser = argparse.ArgumentParser(prog="benchmarks.entities", description=__doc__)
    parser.add_argument("--entities", default=",".join(map(str, ENTITIES)), help="numbers, separated by commas")
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--profile", type=Path, help="write folded stacks of the last one there")
    arguments = parser.parse_args()
    counts = [int(count) for count in arguments.entities.split(",")]
    found = [
        measure(Path("var/bench/entities").absolute(), count, arguments.events, arguments.profile) for count in counts
    ]
    print(orjson.dumps([dataclasses.asdict(one) for one in found], option=orjson.OPT_INDENT_2).decode())


if __name__ == "__main__":
    main()
