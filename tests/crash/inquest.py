"""Inquest: what is written down of a run that failed, while everybody is still there.

The workers' logs with what each thread and task was doing, its readiness, where Kafka's partitions end and where the
groups stand, who is in them, and what PostgreSQL does. Whatever cannot be asked says so, and the rest is written.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from arena import Arena, Seat
from group import GROUPS
from witness import rows

#: What a worker may take to print what it does, in seconds.
_PRINTING_SECONDS = 5.0
_QUERIES = {
    "sessions": "SELECT pid, state, wait_event_type, wait_event, now() - xact_start, now() - state_change, query"
    " FROM pg_stat_activity WHERE datname = current_database() ORDER BY xact_start",
    "locks that are waited for": "SELECT pid, locktype, relation::regclass, mode, pg_blocking_pids(pid)"
    " FROM pg_locks WHERE NOT granted",
    "lanes": "SELECT lane, owner, epoch, leased_until - clock_timestamp() FROM outbox_lanes ORDER BY lane",
    "decisions by agent": "SELECT agent, status, count(*), max(committed_at) FROM decisions GROUP BY 1, 2 ORDER BY 1",
    "pending messages": "SELECT lane, topic, count(*), min(committed_at) FROM outbox_messages GROUP BY 1, 2",
    "buried messages": "SELECT topic, reason, count(*) FROM outbox_dead GROUP BY 1, 2",
    "dead letters": 'SELECT consumer, reason, topic, partition, count(*), max("offset") FROM dead_letters'
    " GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4",
}


@contextmanager
def examined(arena: Arena, into: Path) -> Iterator[None]:
    """Hold an inquest if the block fails."""
    try:
        yield
    except Exception:
        hold_inquest(arena, into)
        raise


def hold_inquest(arena: Arena, into: Path) -> None:
    """Write everything into this folder. Raises nothing that comes of what is examined."""
    into.mkdir(parents=True, exist_ok=True)
    running = [seat for seat in arena.seats if seat.process.is_running and not seat.process.is_stopped]
    for number, seat in enumerate(arena.seats):
        _note(into / f"worker-{number}.ready", partial(_readiness, seat))
    for seat in running:
        _have_it_print(seat)
    if running:
        time.sleep(_PRINTING_SECONDS)
    for number, seat in enumerate(arena.seats):
        if seat.process.log_path.exists():
            shutil.copy(seat.process.log_path, into / f"worker-{number}.log")
    for service in (arena.sandbox.broker, arena.sandbox.postgres):
        if service.log_path.exists():
            shutil.copy(service.log_path, into / f"{service.name}.log")
    _note(into / "kafka", lambda: asyncio.run(_kafka(arena.sandbox.kafka)))
    for name, query in _QUERIES.items():
        _note(into / "postgresql", partial(_answer, arena.sandbox.database_url, name, query))


def keep_logs(found_in: Path, into: Path) -> None:
    """Copy what has been logged below a folder that others may clean up."""
    # Of workers and of services; Kafka and RocksDB have data of that name further down.
    for path in (path for pattern in ("*.log", "*/log", "*/*/log", "*/*/*/log") for path in found_in.glob(pattern)):
        target = into / "-".join(path.relative_to(found_in).parts)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)


def _note(file: Path, ask: Callable[[], str]) -> None:
    try:
        answer = ask()
    except Exception as error:  # noqa: BLE001 - what cannot be asked says so
        answer = f"could not be asked: {error!r}\n"
    with file.open("a") as notes:
        notes.write(answer)


def _readiness(seat: Seat) -> str:
    if not seat.process.is_running:
        return f"does not run, ended with {seat.process.exit_code}\n"
    if seat.process.is_stopped:
        return "is frozen\n"
    try:
        with urllib.request.urlopen(f"{seat.process.url}/health/ready", timeout=10) as response:
            return f"{response.status} {response.read().decode()}\n"
    except urllib.error.HTTPError as error:
        return f"{error.code} {error.read().decode()}\n"


def _have_it_print(seat: Seat) -> None:
    # Mode prints much the same on the other signal, with all local variables, and only while its event loop runs.
    number = signal.SIGQUIT if seat.process.prints_stacks else signal.SIGUSR1
    os.kill(seat.process.pid, number)


def _answer(database_url: str, name: str, query: str) -> str:
    lines = "".join(f"  {' | '.join(map(str, row))}\n" for row in rows(database_url, query))
    return f"{name}:\n{lines}"


async def _kafka(kafka: str) -> str:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    committed = AIOKafkaConsumer(bootstrap_servers=kafka, isolation_level="read_committed")
    everything = AIOKafkaConsumer(bootstrap_servers=kafka)
    await admin.start()
    await committed.start()
    await everything.start()
    try:
        lines = [
            f"{group}: {await admin.describe_consumer_groups([group], await admin.find_coordinator(group))}"
            for group in GROUPS
        ]
        topics = await admin.describe_topics(await admin.list_topics())
        places = sorted(
            TopicPartition(topic["topic"], one["partition"]) for topic in topics for one in topic["partitions"]
        )
        stable, ends = await committed.end_offsets(places), await everything.end_offsets(places)
        stands = {group: await admin.list_consumer_group_offsets(group) for group in GROUPS}
        for place in places:
            at = {group: offsets[place].offset for group, offsets in stands.items() if place in offsets}
            hangs = "" if stable[place] == ends[place] else "  <- an open transaction"
            lines.append(f"{place.topic}[{place.partition}] stable {stable[place]} end {ends[place]} {at}{hangs}")
        return "".join(f"{line}\n" for line in lines)
    finally:
        await admin.close()
        await committed.stop()
        await everything.stop()
