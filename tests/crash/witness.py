"""Witness: reads all that Kafka and PostgreSQL hold after a run, past every part of Innervate."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import psycopg2
from aiokafka import AIOKafkaConsumer
from evidence import CaptureRow, DeadRow, DecisionRow, EntryRow, Evidence, Logged, QuarantineRow, RefundRow
from lenient import lenient_reading
from load import Acknowledged
from trades import SHOP, Trade

DEAD_LETTERS: Final = "dead-letters"
#: Nothing more came for this long, and the end is not reached: that is no evidence.
_STALLED_SECONDS = 120.0

_DECISIONS = """
    SELECT id::text, agent, event_source, event_id, topic, partition, "offset", plain_history(history)::text,
           whole_messages::text, extract(epoch FROM committed_at)::double precision, status, content
    FROM whole_decisions LEFT JOIN approvals ON decision_id = id WHERE status <> 'shadow'
    ORDER BY committed_at, topic, partition, "offset"
"""
# The columns of the rest are in the order of their rows in `evidence`.
_DEAD = 'SELECT consumer, reason, topic, partition, "offset" FROM dead_letters'
_REFUNDS = """
    SELECT decision_id::text, refund_id::text, payment_id, order_id, customer_id, amount_minor, currency FROM refunds
"""
_ENTRIES = """
    SELECT entry_id::text, refund_id::text, order_id, debit, credit, amount_minor, currency FROM ledger_entries
"""
_CAPTURES = "SELECT payment_id, captured_minor, refunded_minor FROM captures"
_QUARANTINES = "SELECT decision_id::text, quarantine_id::text, repository_id, test FROM quarantines"


def gather(kafka: str, database_url: str, sent: Sequence[Acknowledged], trade: Trade = SHOP) -> Evidence:
    """Everything the audit needs; `sent` is what Kafka said it has."""
    with lenient_reading():
        logs = asyncio.run(_read(kafka, (*trade.topics, DEAD_LETTERS, *trade.timelines)))

    def effects(table: str, query: str) -> list[tuple[Any, ...]]:
        # A table is there if its domain is loaded.
        [(is_there,)] = rows(database_url, "SELECT to_regclass(%s) IS NOT NULL", table)
        return rows(database_url, query) if is_there else []

    return Evidence(
        acknowledged=frozenset().union(*(each.ids for each in sent)),
        to_refund={order: payment for each in sent for order, payment in each.to_refund.items()},
        to_quarantine={where: test for each in sent for where, test in each.to_quarantine.items()},
        domain=[record for topic in trade.topics for record in logs[topic]],
        dead_letters=logs[DEAD_LETTERS],
        timelines={topic: logs[topic] for topic in trade.timelines},
        decisions=[
            DecisionRow(
                id=decision_id,
                agent=agent,
                event_source=event_source,
                event_id=event_id,
                place=(topic, partition, offset),
                history_json=history,
                messages_json=messages,
                committed_at=committed_at,
                status=status,
                content=content,
            )
            for (
                decision_id,
                agent,
                event_source,
                event_id,
                topic,
                partition,
                offset,
                history,
                messages,
                committed_at,
                status,
                content,
            ) in rows(database_url, _DECISIONS)
        ],
        dead_rows=[
            DeadRow(consumer, reason, (topic, partition, offset))
            for consumer, reason, topic, partition, offset in rows(database_url, _DEAD)
        ],
        refunds=[RefundRow(*row) for row in effects("refunds", _REFUNDS)],
        entries=[EntryRow(*row) for row in effects("ledger_entries", _ENTRIES)],
        captures=[CaptureRow(*row) for row in effects("captures", _CAPTURES)],
        quarantines=[QuarantineRow(*row) for row in effects("quarantines", _QUARANTINES)],
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


async def _read(kafka: str, topics: Sequence[str]) -> Mapping[str, Sequence[Logged]]:
    found: dict[str, list[Logged]] = {topic: [] for topic in topics}
    # Without a group every partition is assigned at the start.
    consumer = AIOKafkaConsumer(
        *topics,
        bootstrap_servers=kafka,
        auto_offset_reset="earliest",
        # What was aborted is as if it had never been sent, and must be so for everybody.
        isolation_level="read_committed",
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
            if not behind:
                return found
            quiet = time.monotonic() - last_news_at
            assert quiet < _STALLED_SECONDS, (
                f"the witness read nothing for {quiet:.0f} s and is not at the end of {behind}"
            )
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
