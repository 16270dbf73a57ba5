"""Sending: plays the records of a simulation into Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaProducer

from app.simulator.records import Produced


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
