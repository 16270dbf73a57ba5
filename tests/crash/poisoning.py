"""Poisoning: a rubbish record in a changelog, the end of every worker that recovers from it, and the documented repair.

A worker that loses its disk reads the changelog from its beginning. At the rubbish it must stop and say where that is;
nobody may go on with windows that lack something. `faust -A app rebuild AGENT` must bring everything back.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from aiokafka import AIOKafkaProducer
from arena import Arena
from waiting import PATIENCE_SECONDS

PARTITIONS = 8
#: Key and value that no window writes.
RUBBISH = (b"k", b"\xff")
_POLL_SECONDS = 0.2


def poison(arena: Arena, wait: Callable[[float], None], number: int) -> None:
    """Poison, lose a disk, see a worker stop at that place, repair. `wait` lets time pass and restarts what ended."""
    agent = arena.trade.poisoned[number % len(arena.trade.poisoned)]
    changelog = f"innervate-all-{agent}-windows-changelog"
    running = [seat for seat, one in enumerate(arena.seats) if one.wanted]
    for seat in running:
        arena.kill(seat)
        arena.seats[seat].process.forget()
    places = {asyncio.run(_put(arena.sandbox.kafka, changelog, partition)) for partition in range(PARTITIONS)}
    seen = len(arena.exits)
    for seat in running:
        arena.start(seat)
    until = time.monotonic() + PATIENCE_SECONDS
    while not _named(arena, seen, places):
        assert time.monotonic() < until, f"no worker stopped at one of {sorted(places)} in {PATIENCE_SECONDS:.0f} s"
        wait(_POLL_SECONDS)
    for seat in running:
        arena.kill(seat)
    _rebuild(arena, agent, wait)
    for seat in running:
        arena.start(seat)


def _named(arena: Arena, seen: int, places: set[str]) -> set[str]:
    """The places that workers named as they stopped."""
    words = "\n".join(line for one in arena.exits[seen:] for line in one.last_words)
    return {place for place in places if place in words}


def _rebuild(arena: Arena, agent: str, wait: Callable[[float], None]) -> None:
    """The documented repair; Kafka has to forget the workers that were killed first."""
    until = time.monotonic() + PATIENCE_SECONDS
    while (done := arena.seats[0].process.run_command("rebuild", agent)).returncode != 0:
        assert time.monotonic() < until, f"`rebuild {agent}` does not succeed: {done.stderr[-1000:]}"
        wait(1.0)


async def _put(kafka: str, topic: str, partition: int) -> str:
    key, value = RUBBISH
    async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
        place = await producer.send_and_wait(topic, key=key, value=value, partition=partition)
    return f"{topic}[{partition}]@{place.offset}"
