"""Quix Streams with row and message in one transaction: a sink of one's own, as its documentation shows, and a relay.

A checkpoint writes its decisions and their messages in one transaction; a thread publishes what was committed and
deletes it. What it does not guarantee, and ours does: a payment that comes again after a crash can be in the list
twice, so later histories are wrong; what cannot be read, or is refused by PostgreSQL, stops it; two processes would
have two relays, and the order of a key's messages would be lost.
"""

from __future__ import annotations

import threading
import time
from typing import Any, Final

import orjson
import psycopg2
from confluent_kafka import Producer
from psycopg2.extras import execute_values
from quixstreams.sinks import BatchingSink, SinkBatch

from benchmarks.variants import quix, shared

BATCH: Final = 500
_LOOK_SECONDS: Final = 0.02


class OutboxSink(BatchingSink):  # type: ignore[misc]
    """Decisions and messages of a checkpoint in one transaction; a decision that is there already brings none."""

    def setup(self) -> None:
        """Connect."""
        self._connection = psycopg2.connect(shared.DATABASE_URL)

    def write(self, batch: SinkBatch) -> None:
        """Write one batch of a partition."""
        rows = [dict(item.value) for item in batch]
        messages = {row["id"]: row.pop("message") for row in rows}
        columns = list(rows[0])
        insert = f"INSERT INTO decisions ({', '.join(columns)}) VALUES %s ON CONFLICT DO NOTHING RETURNING id"
        with self._connection, self._connection.cursor() as cursor:
            values = [tuple(row.values()) for row in rows]
            new = {row[0] for row in execute_values(cursor, insert, values, page_size=BATCH, fetch=True)}
            outbox = [
                (row["customer_id"].encode(), orjson.dumps(messages[row["id"]])) for row in rows if row["id"] in new
            ]
            execute_values(cursor, "INSERT INTO outbox_messages (key, value) VALUES %s", outbox, page_size=BATCH)


def relay() -> None:
    """Publish what was committed, then delete it, for ever."""
    connection: Any = psycopg2.connect(shared.DATABASE_URL)
    producer = Producer({"bootstrap.servers": shared.KAFKA, "acks": "all", "linger.ms": 5, "enable.idempotence": True})
    while True:
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT seq, key, value FROM outbox_messages ORDER BY seq LIMIT %s", (BATCH,))
            rows = cursor.fetchall()
        if not rows:
            time.sleep(_LOOK_SECONDS)
            continue
        failed: list[object] = []
        for _, key, value in rows:
            told = lambda error, _message: failed.append(error) if error else None  # noqa: E731, B023
            producer.produce(shared.SCORES, bytes(value), bytes(key), on_delivery=told)
        producer.flush()
        if failed:
            raise SystemExit(f"not published: {failed[0]}")
        with connection, connection.cursor() as cursor:
            cursor.execute("DELETE FROM outbox_messages WHERE seq = ANY(%s)", ([seq for seq, _, _ in rows],))


def main() -> None:
    """Run for ever."""
    shared.create_tables(shared.DECISIONS, shared.OUTBOX)
    app, stream = quix.application()
    stream.sink(OutboxSink())
    threading.Thread(target=relay, daemon=True).start()
    with shared.say_ready():
        app.run()


if __name__ == "__main__":
    main()
