"""Witness: reads all that Kafka and PostgreSQL hold after a run, past every part of Innervate."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Sequence
from typing import Any

import psycopg2
from aiokafka import AIOKafkaConsumer
from audit import DeadRow, DecisionRow, Evidence, Logged

TOPICS = ("payments", "dead-letters", "timeline-customer")
#: The end of the log counts as read when nothing more comes for this long: markers of transactions have no records.
_QUIET_SECONDS = 2.0


def gather(kafka: str, database_url: str, *, acknowledged: set[str], read_committed: bool = False) -> Evidence:
    """Everything the audit needs; `acknowledged` are the ids of the events Kafka said it has."""
    logs = asyncio.run(_read(kafka, read_committed=read_committed))
    decisions = rows(
        database_url,
        'SELECT agent, event_id, topic, partition, "offset", history::text, messages::text,'
        " extract(epoch FROM committed_at)::double precision"
        ' FROM decisions ORDER BY committed_at, topic, partition, "offset"',
    )
    dead = rows(database_url, 'SELECT consumer, reason, topic, partition, "offset" FROM dead_letters')
    return Evidence(
        acknowledged=frozenset(acknowledged),
        payments=logs["payments"],
        dead_letters=logs["dead-letters"],
        timeline=logs["timeline-customer"],
        decisions=[
            DecisionRow(
                agent=agent,
                event_id=event_id,
                place=(topic, partition, offset),
                history=json.loads(history),
                messages=json.loads(messages),
                committed_at=committed_at,
            )
            for agent, event_id, topic, partition, offset, history, messages, committed_at in decisions
        ],
        dead_rows=[DeadRow(consumer, reason, (topic, part, offset)) for consumer, reason, topic, part, offset in dead],
        unpublished=[name for (name,) in rows(database_url, "SELECT message_id FROM outbox_messages")],
        refused=[name for (name,) in rows(database_url, "SELECT message_id FROM outbox_dead")],
    )


def rows(database_url: str, query: str, *parameters: object) -> list[tuple[Any, ...]]:
    """The rows of one query on a connection of its own."""
    with contextlib.closing(psycopg2.connect(database_url, connect_timeout=10)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(query, parameters)
            return cursor.fetchall() if cursor.description else []


async def _read(kafka: str, *, read_committed: bool) -> dict[str, Sequence[Logged]]:
    found: dict[str, list[Logged]] = {topic: [] for topic in TOPICS}
    # Without a group every partition is assigned at the start.
    consumer = AIOKafkaConsumer(
        *TOPICS,
        bootstrap_servers=kafka,
        auto_offset_reset="earliest",
        isolation_level="read_committed" if read_committed else "read_uncommitted",
    )
    await consumer.start()
    try:
        ends = await consumer.end_offsets(consumer.assignment())
        last_news_at = time.monotonic()
        while True:
            for place, batch in (await consumer.getmany(timeout_ms=200)).items():
                found[place.topic].extend(map(_logged, batch))
                last_news_at = time.monotonic()
            behind = [place for place, end in ends.items() if await consumer.position(place) < end]
            if not behind or time.monotonic() - last_news_at > _QUIET_SECONDS:
                return dict(found)
    finally:
        await consumer.stop()


def _logged(record: Any) -> Logged:
    return Logged(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        at=record.timestamp / 1000,
        key=record.key,
        value=record.value,
        headers=tuple((name, value or b"") for name, value in record.headers),
    )
