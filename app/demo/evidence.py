"""Evidence: reads what PostgreSQL and Kafka really hold, past every part of Innervate."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
import psycopg2
from aiokafka import AIOKafkaConsumer
from psycopg2.extras import NamedTupleCursor

from agents.platform.events import ExpectationMissed
from app.demo.checker import Decided, Published

#: The log is taken to be read when its end was reached and nothing more came for this long, in seconds: the embedded
#: broker reports ends that are too low.
QUIET_SECONDS: Final = 1.0
#: What the sources of all agents begin with.
AGENTS_SOURCE: Final = "urn:innervate:"


@dataclass(frozen=True, kw_only=True, slots=True)
class Booked:
    """Totals of the refunds and their ledger in PostgreSQL; amounts in minor units, whatever the currency."""

    refunds: int
    refunded_minor: int
    posted_minor: int
    #: Currencies whose accounts do not add up to 0.
    unbalanced: int
    #: Captures with more given back than taken.
    over: int


def committed_decisions(database_url: str) -> tuple[Sequence[Decided], Mapping[str, float]]:
    """Every decision in the order of the commits, with what has to be in Kafka by it.

    And when each of these messages was committed (seconds since the epoch).
    """
    rows = _rows(
        database_url,
        "SELECT agent, event_source, event_id, status, whole_messages AS messages, content,"
        " extract(epoch FROM committed_at)::double precision AS at"
        " FROM whole_decisions LEFT JOIN approvals ON decision_id = id WHERE status <> 'shadow' ORDER BY committed_at",
    )
    decided, committed_at = [], {}
    for row in rows:
        ids = [message["id"] for message in _due(row.status, row.messages, row.content)]
        decided.append(Decided(agent=row.agent, event=(row.event_source, row.event_id), message_ids=ids))
        committed_at.update(dict.fromkeys(ids, row.at))
    return decided, committed_at


def count_committed(database_url: str) -> tuple[int, int]:
    """How many decisions there are, and how many messages have to be in Kafka by them."""
    [row] = _rows(
        database_url,
        "SELECT count(*) AS decisions,"
        " coalesce(sum(jsonb_array_length(messages)) FILTER (WHERE status = 'committed'), 0)::bigint AS messages,"
        " coalesce(array_agg(content) FILTER (WHERE status = 'rejected'), '{}') AS rejected"
        " FROM decisions LEFT JOIN approvals ON decision_id = id WHERE status <> 'shadow'",
    )
    otherwise = sum(len(_due("rejected", (), content)) for content in row.rejected)
    return int(row.decisions), int(row.messages) + otherwise


def booked(database_url: str) -> Booked:
    """What the ledger says."""
    [totals] = _rows(
        database_url,
        "SELECT (SELECT count(*) FROM refunds) AS refunds,"
        " (SELECT coalesce(sum(amount_minor), 0)::bigint FROM refunds) AS refunded_minor,"
        " (SELECT coalesce(sum(amount_minor), 0)::bigint FROM ledger_entries) AS posted_minor,"
        " (SELECT count(*) FROM (SELECT 1 FROM ledger_balances GROUP BY currency HAVING sum(balance_minor) <> 0) AS b)"
        " AS unbalanced,"
        " (SELECT count(*) FROM captures WHERE refunded_minor > captured_minor) AS over",
    )
    return Booked(**totals._asdict())


def count_brains(database_url: str) -> tuple[Mapping[str, int], Mapping[str, int]]:
    """How many decisions each brain made, and how many of them the rules made in a model's place, by the reason."""
    brains = _rows(
        database_url,
        "SELECT brain, count(*) AS n FROM decisions WHERE status <> 'shadow' GROUP BY 1 ORDER BY 2 DESC, 1",
    )
    fallbacks = _rows(
        database_url,
        "SELECT fallback_reason, count(*) AS n FROM decisions WHERE fallback_reason IS NOT NULL AND status <> 'shadow'"
        " GROUP BY 1 ORDER BY 2 DESC, 1",
    )
    return {row.brain: row.n for row in brains}, {row.fallback_reason: row.n for row in fallbacks}


def count_dead_letters(database_url: str) -> int:
    """How many dead letters there are, but for those of shadows."""
    [row] = _rows(database_url, "SELECT count(*) AS n FROM dead_letters WHERE position('@' IN consumer) = 0")
    return int(row.n)


async def published_messages(kafka: str, topics: Sequence[str], *, source: str) -> Sequence[Published]:
    """Every structured event in `topics` whose source begins with `source`, in the order of each partition."""
    # Without a group every partition is assigned at the start.
    consumer = AIOKafkaConsumer(*topics, bootstrap_servers=kafka, auto_offset_reset="earliest")
    await consumer.start()
    try:
        return await _read(consumer, source)
    finally:
        await consumer.stop()


async def _read(consumer: AIOKafkaConsumer, source: str) -> Sequence[Published]:
    places = sorted(consumer.assignment())
    ends = await consumer.end_offsets(places)
    found = []
    last_news_at = time.monotonic()
    while True:
        batches = await consumer.getmany(timeout_ms=200)
        for records in batches.values():
            last_news_at = time.monotonic()
            for record in records:
                event = _event(record.value)
                if event is None or not is_decided(event["type"]):
                    continue
                if str(event.get("source", "")).startswith(source):
                    found.append(Published(message_id=event["id"], topic=record.topic, key=record.key or b""))
        positions = [await consumer.position(place) >= ends[place] for place in places]
        if all(positions) and time.monotonic() - last_news_at > QUIET_SECONDS:
            return found


def is_decided(event_type: str) -> bool:
    """Whether an agent says this by a decision; what did not happen is told by the clock, at whatever moment."""
    return event_type != ExpectationMissed.__name__


def _event(value: bytes | None) -> dict[str, Any] | None:
    try:
        event = orjson.loads(value or b"")
    except orjson.JSONDecodeError:
        return None
    is_event = isinstance(event, dict) and all(isinstance(event.get(name), str) for name in ("id", "type"))
    return event if is_event else None


def _due(status: str, messages: Sequence[Mapping[str, Any]], content: str | None) -> Sequence[Mapping[str, Any]]:
    """What is published with a decision: its messages if it is committed, what it says otherwise if it was rejected."""
    if status == "committed":
        return messages
    otherwise: Sequence[Mapping[str, Any]] = ()
    if status == "rejected" and content is not None:
        otherwise = orjson.loads(content)["otherwise"]
    return otherwise


def _rows(database_url: str, query: str) -> list[Any]:
    """The rows of a query, their columns by name."""
    connection = psycopg2.connect(database_url)
    try:
        with connection, connection.cursor(cursor_factory=NamedTupleCursor) as cursor:
            cursor.execute(query)
            rows: list[Any] = cursor.fetchall()
            return rows
    finally:
        connection.close()
