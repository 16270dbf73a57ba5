"""What a test sees from outside: Kafka's topics, PostgreSQL's rows, the web views; and how it waits for them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any

import psycopg2
from aiokafka import AIOKafkaConsumer, ConsumerRecord
from waiting import eventually

__all__ = ["decided", "eventually", "get", "read", "rows", "scored", "settled", "under_way"]

#: The agents that react to a payment.
ON_PAYMENTS = ("fraud", "confirmation", "fulfilment")
#: Nothing more came for this long at the end of a topic: the embedded broker reports ends that are too low.
QUIET_SECONDS = 1.5


def rows(database_url: str, query: str, *parameters: object) -> list[tuple[Any, ...]]:
    """The rows of one query."""
    with contextlib.closing(psycopg2.connect(database_url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(query, parameters)
            return cursor.fetchall() if cursor.description else []


def decided(database_url: str, event_ids: Sequence[str], agents: Sequence[str] = ON_PAYMENTS) -> int:
    """How many of these events every one of the agents has decided on."""
    [(count,)] = rows(
        database_url,
        "SELECT count(*) FROM (SELECT FROM decisions WHERE event_id = ANY (%s) AND agent = ANY (%s)"
        " GROUP BY event_id HAVING count(*) = %s) AS complete",
        list(event_ids),
        list(agents),
        len(agents),
    )
    return int(count)


def under_way(database_url: str, event_ids: Sequence[str], agents: Sequence[str] = ON_PAYMENTS) -> None:
    """Wait until a quarter of the events is decided: work lies before, in and behind the worker.

    That there is work left does not hang on how fast it is: see `rest` of `facts.sending`.
    """
    eventually(lambda: decided(database_url, event_ids, agents), lambda count: count >= len(event_ids) // 4)


def settled(database_url: str, event_ids: Sequence[str], agents: Sequence[str] = ON_PAYMENTS) -> None:
    """Wait until every event is decided on by every one of the agents and nothing is left in the outbox."""
    eventually(lambda: decided(database_url, event_ids, agents), lambda count: count >= len(event_ids))
    eventually(lambda: rows(database_url, "SELECT count(*) FROM outbox_messages"), lambda found: found == [(0,)])


def read(kafka: str, *topics: str) -> list[ConsumerRecord]:
    """Every record of the topics, those of a partition in their order."""
    return asyncio.run(_read(kafka, topics))


async def _read(kafka: str, topics: Sequence[str]) -> list[ConsumerRecord]:
    consumer = AIOKafkaConsumer(*topics, bootstrap_servers=kafka, auto_offset_reset="earliest")
    await consumer.start()
    try:
        ends = await consumer.end_offsets(consumer.assignment())
        found: list[ConsumerRecord] = []
        last_news_at = time.monotonic()
        while True:
            for batch in (await consumer.getmany(timeout_ms=100)).values():
                found.extend(batch)
                last_news_at = time.monotonic()
            behind = [place for place, end in ends.items() if await consumer.position(place) < end]
            if not behind and time.monotonic() - last_news_at > QUIET_SECONDS:
                return found
    finally:
        await consumer.stop()


def scored(kafka: str) -> dict[str, list[dict[str, Any]]]:
    """Every `FraudScored` on the payments topic, by the id of the event that caused it."""
    found: dict[str, list[dict[str, Any]]] = {}
    for record in read(kafka, "payments"):
        with contextlib.suppress(ValueError):
            event = json.loads(record.value or b"")
            if isinstance(event, dict) and event.get("type") == "FraudScored":
                found.setdefault(event["causationid"], []).append(event)
    return found


def get(url: str, path: str, timeout_seconds: float = 60.0) -> tuple[int, Any]:
    """The status and the JSON of one GET request; raises OSError when nobody answers in time."""
    try:
        with urllib.request.urlopen(f"{url}{path}", timeout=timeout_seconds) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)
