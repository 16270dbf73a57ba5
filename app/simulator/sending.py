"""Sending: plays the records of a simulation into Kafka; and `simulate`, the command that does so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import orjson
from aiokafka import AIOKafkaProducer
from faust.cli import option

from app.commands.terminal import Terminal, command
from app.kafka.credentials import client_options
from app.settings import Settings
from app.simulator.records import Produced
from app.simulator.schedule import simulated_until_now
from app.simulator.services import faults_until_now, records_of


async def send_records(
    client: Mapping[str, Any],
    records: Sequence[Produced],
    *,
    per_second: float,
    on_sent: Callable[[], None] = lambda: None,
) -> int:
    """Send the records in their order, each when the one before it is in Kafka; returns how many.

    `client` are aiokafka's options (brokers, security). Raises `KafkaError`.
    """
    async with AIOKafkaProducer(**client, acks="all") as producer:
        for record in records:
            await asyncio.sleep(1 / per_second)
            await producer.send_and_wait(record.topic, key=record.key, value=record.value, headers=list(record.headers))
            on_sent()
    return len(records)


@command(
    option("--seed", default=1, show_default=True, help="Same seed, same story."),
    option("--orders", default=200, show_default=True, help="Orders in the story."),
    option("--failures", default=40, show_default=True, help="Errors in them, at most half as many."),
    option(
        "--services", default=0, show_default=True, help="Faults in graphs of services that call each other, beside."
    ),
    option("--per-second", default=100.0, show_default=True, help="Records sent in a second."),
    option("--truth", type=click.Path(dir_okay=False, path_type=Path), help="Write what really happened here."),
)
async def simulate(
    terminal: Terminal,
    settings: Settings,
    *,
    seed: int,
    orders: int,
    failures: int,
    services: int,
    per_second: float,
    truth: Path | None,
) -> None:
    """Send the story of a shop, with failures whose cause is known, to the domain topics.

    Then faults in graphs of services, each a graph of its own, of every kind in turn.
    """
    try:
        story = simulated_until_now(seed=seed, orders=orders, failures=failures)
    except ValueError as error:
        raise SystemExit(f"innervate: {error}") from error
    told = faults_until_now(seed, services)
    if truth is not None:
        answers = [answer for fault in told for answer in fault.answers]
        lines = [orjson.dumps(one) + b"\n" for one in (*story.truth, *answers)]
        await asyncio.to_thread(truth.write_bytes, b"".join(lines))
    records = [*story.records, *(each for fault in told for each in records_of(fault))]
    sent = await send_records(client_options(settings), records, per_second=per_second)
    terminal.say(
        f"{sent} records sent: {orders} orders, {len(story.truth)} errors, {story.broken} broken records,"
        f" {services} faults of services"
    )
