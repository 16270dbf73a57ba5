"""Pace: a worker that is not behind. How long a payment takes to be visible, and what it costs, at a given rate.

    python -m benchmarks.pace --rates 60,500

Committed to visible: from the row of the decision to the message at a consumer. Sent to visible: from the producer's
send. Both by the clock of this machine. Idle: what a worker uses that has nothing to do.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from app.sandbox.process import Service
from benchmarks.arena import Arena
from benchmarks.contenders import ours
from benchmarks.counters import Observer
from benchmarks.payments import TOPIC, Payment
from benchmarks.processes import cpu_seconds, memory_mb
from benchmarks.throughput import Run

_CUSTOMERS: Final = 200
_SECONDS: Final = 20.0
_IDLE_SECONDS: Final = 20.0
_LATE_SECONDS: Final = 60.0
#: The first part is left out: batches settle.
_SETTLES_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Paced:
    """What payments at a rate took. Milliseconds."""

    per_second: float
    events: int
    committed_to_visible_p50_ms: float
    committed_to_visible_p99_ms: float
    sent_to_visible_p50_ms: float
    sent_to_visible_p99_ms: float
    cpu_us_per_event: float
    statements_per_decision: float
    commits_per_decision: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    """A worker with nothing to do."""

    cpu_percent_of_a_core: float
    memory_mb: float


def idle(service: Service) -> Idle:
    """What it uses while it waits."""
    used = cpu_seconds(service.pid)
    time.sleep(_IDLE_SECONDS)
    used = cpu_seconds(service.pid) - used
    return Idle(cpu_percent_of_a_core=round(100 * used / _IDLE_SECONDS, 2), memory_mb=round(memory_mb(service.pid), 1))


def paced(arena: Arena, service: Service, observer: Observer, run: Run, per_second: float) -> Paced:
    """Send at this rate, and measure each payment."""
    count = round(per_second * (_SECONDS + _SETTLES_SECONDS))
    records = list(run.next_payments(count))
    before, used = observer.written(), cpu_seconds(service.pid)
    sent, seen = asyncio.run(_sent_and_seen(arena.kafka, records, per_second))
    used = cpu_seconds(service.pid) - used
    written = observer.written().since(before)
    committed = {
        event_id: at.timestamp()
        for event_id, at in observer.rows("SELECT event_id, committed_at FROM decisions")
        if event_id in sent
    }
    first = min(sent.values()) + _SETTLES_SECONDS
    counted = [event_id for event_id, at in sent.items() if at >= first]
    visible = [1000 * (seen[event_id] - committed[event_id]) for event_id in counted]
    whole = [1000 * (seen[event_id] - sent[event_id]) for event_id in counted]
    return Paced(
        per_second=per_second,
        events=len(counted),
        committed_to_visible_p50_ms=_percentile(visible, 50),
        committed_to_visible_p99_ms=_percentile(visible, 99),
        sent_to_visible_p50_ms=_percentile(whole, 50),
        sent_to_visible_p99_ms=_percentile(whole, 99),
        cpu_us_per_event=round(used / count * 1e6, 1),
        statements_per_decision=round(written.statements / count, 4),
        commits_per_decision=round(written.commits / count, 4),
    )


def _percentile(values: Sequence[float], percent: int) -> float:
    return round(statistics.quantiles(values, n=100)[percent - 1], 1)


async def _sent_and_seen(
    kafka: str, records: Sequence[Payment], per_second: float
) -> tuple[Mapping[str, float], Mapping[str, float]]:
    """When each was sent, and when what followed from it was there; by the id of the payment."""
    sent: dict[str, float] = {}
    seen: dict[str, float] = {}
    consumer = AIOKafkaConsumer(TOPIC, bootstrap_servers=kafka, auto_offset_reset="latest", fetch_max_wait_ms=100)
    await consumer.start()
    try:
        await consumer.seek_to_end()
        reading = asyncio.create_task(_see(consumer, seen, len(records)))
        async with AIOKafkaProducer(bootstrap_servers=kafka, acks="all") as producer:
            await _send(producer, records, per_second, sent)
        async with asyncio.timeout(_LATE_SECONDS):
            await reading
    finally:
        await consumer.stop()
    return sent, seen


async def _send(
    producer: AIOKafkaProducer, records: Iterable[Payment], per_second: float, sent: dict[str, float]
) -> None:
    began = time.monotonic()
    for number, record in enumerate(records):
        await asyncio.sleep(max(0.0, began + number / per_second - time.monotonic()))
        sent[orjson.loads(record.value)["id"]] = time.time()
        await producer.send(TOPIC, record.value, record.key, headers=list(record.headers))


async def _see(consumer: AIOKafkaConsumer, seen: dict[str, float], wanted: int) -> None:
    while len(seen) < wanted:
        for records in (await consumer.getmany(timeout_ms=1000)).values():
            now = time.time()
            for record in records:
                event = orjson.loads(record.value)
                if event["type"] == "FraudScored":
                    seen.setdefault(event["causationid"], now)


def measure(directory: Path, rates: Sequence[float]) -> tuple[Idle, list[Paced]]:
    """A fresh worker, idle, then at each rate, with full windows."""
    with Arena(directory) as arena:
        asyncio.run(arena.create_topics(TOPIC))
        service = ours().made(arena, directory / "worker")
        try:
            service.start()
            with closing(Observer(arena.observer_url)) as observer:
                resting = idle(service)
                run = Run(arena, service, observer, _CUSTOMERS)
                run.warm_up()
                run.fill()
                return resting, [paced(arena, service, observer, run, rate) for rate in rates]
        finally:
            service.release()


def main() -> None:
    """Print what the command line asks for, as JSON."""
    parser = argparse.ArgumentParser(prog="benchmarks.pace", description=__doc__)
    parser.add_argument("--rates", default="60", help="payments a second, separated by commas")
    arguments = parser.parse_args()
    resting, found = measure(Path("var/bench/pace").absolute(), [float(rate) for rate in arguments.rates.split(",")])
    told = {"idle": dataclasses.asdict(resting), "paced": [dataclasses.asdict(one) for one in found]}
    print(orjson.dumps(told, option=orjson.OPT_INDENT_2).decode())


if __name__ == "__main__":
    main()
