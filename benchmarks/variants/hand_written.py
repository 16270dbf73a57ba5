"""Hand-written: the two hops and the amplification of ours, as a loop over aiokafka, rocksdict and psycopg2.

The router reads the payments and what is published about them, and writes each to a timeline of its customer and of its
order. The agent reads the customers' timeline 500 at a time: windows are rings in RocksDB with a changelog in Kafka,
decisions and messages go into PostgreSQL in one transaction, offsets are committed after that. The relay publishes the
messages and deletes them.

What it does not guarantee, and ours does: it owns all partitions, so a second process and a rebalance are not provided
for; windows are not read back from the changelog; copies of an event under another offset are counted twice in a
window; a payment that cannot be read, or that PostgreSQL refuses, stops it for good; two relays would break the order;
its decision does not say what was known when it was made; nothing says whether it keeps up.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import Any, Final

import orjson
import psycopg2
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord
from psycopg2.extras import execute_values
from rocksdict import Options, Rdict, WriteBatch

from agents.model.history import Past
from agents.shop.events import PaymentSucceeded
from benchmarks.payments import TOPIC
from benchmarks.variants import shared

BATCH: Final = 500
CUSTOMERS_TIMELINE: Final = "hand-timeline-customer"
ORDERS_TIMELINE: Final = "hand-timeline-order"
CHANGELOG: Final = "hand-changelog"
TOPICS: Final = (CUSTOMERS_TIMELINE, ORDERS_TIMELINE, CHANGELOG)
#: Customers whose windows are kept in memory.
_IN_MEMORY: Final = 20_000
_LOOK_SECONDS: Final = 0.02

Window = deque[shared.Remembered]


class Windows:
    """The last payments of each customer: in memory, and as a ring of slots in RocksDB."""

    def __init__(self, directory: str) -> None:
        options = Options(raw_mode=True)
        options.create_if_missing(True)  # noqa: FBT003 - it takes no name
        self._store = Rdict(directory, options=options)
        self._recent: OrderedDict[str, tuple[Window, int]] = OrderedDict()
        self.batch = WriteBatch(raw_mode=True)
        self.changes: list[tuple[bytes, bytes]] = []

    def of(self, customer: str) -> Window:
        """What is known of a customer, oldest first."""
        if customer not in self._recent:
            self._recent[customer] = self._read(customer)
            if len(self._recent) > _IN_MEMORY:
                self._recent.popitem(last=False)
        self._recent.move_to_end(customer)
        return self._recent[customer][0]

    def add(self, customer: str, payment: Past[PaymentSucceeded], offset: int, value: bytes) -> None:
        """Remember a payment; `save` writes it."""
        window, count = self._recent[customer]
        window.append(shared.kept(payment))
        self._recent[customer] = window, count + 1
        key = f"{customer}/{count % shared.WINDOW:02}".encode()
        slot = count.to_bytes(8, "big") + offset.to_bytes(8, "big") + value
        self.batch.put(key, slot)
        self.changes.append((key, slot))

    def save(self) -> list[tuple[bytes, bytes]]:
        """Write what was added to the disk; what the changelog has to hear."""
        self._store.write(self.batch)
        self.batch = WriteBatch(raw_mode=True)
        changes, self.changes = self.changes, []
        return changes

    def _read(self, customer: str) -> tuple[Window, int]:
        start = f"{customer}/".encode()
        slots = []
        for key, value in self._store.items(from_key=start):
            if not bytes(key).startswith(start):  # type: ignore[arg-type] # raw mode has bytes only
                break
            slots.append((int.from_bytes(value[:8], "big"), value[16:]))
        slots.sort()
        window = deque((shared.kept(shared.read(orjson.loads(value))) for _, value in slots), maxlen=shared.WINDOW)
        return window, slots[-1][0] + 1 if slots else 0


async def route(producer: AIOKafkaProducer) -> None:
    """Copy every event to the timelines of its customer and its order."""
    consumer = AIOKafkaConsumer(TOPIC, group_id="hand-router", **_CONSUMER)
    await consumer.start()
    while True:
        sent = []
        for records in (await consumer.getmany(timeout_ms=100, max_records=BATCH)).values():
            for record in records:
                data = orjson.loads(record.value)["data"]
                for topic, key in ((CUSTOMERS_TIMELINE, data["customer_id"]), (ORDERS_TIMELINE, data["order_id"])):
                    headers = list(record.headers)
                    sent.append(await producer.send(topic, record.value, key.encode(), headers=headers))
        if sent:
            await asyncio.gather(*sent)
            await consumer.commit()


async def decide(producer: AIOKafkaProducer) -> None:
    """Decide on the payments of the customers' timeline."""
    consumer = AIOKafkaConsumer(CUSTOMERS_TIMELINE, group_id="hand-agent", **_CONSUMER)
    await consumer.start()
    windows = Windows(shared.DATADIR)
    connection = psycopg2.connect(shared.DATABASE_URL)
    while True:
        batches = await consumer.getmany(timeout_ms=100, max_records=BATCH)
        decided = [row for records in batches.values() for record in records if (row := _decided(record, windows))]
        if not batches:
            continue
        changed = [await producer.send(CHANGELOG, value, key) for key, value in windows.save()]
        if decided:
            await asyncio.to_thread(_commit, connection, decided)
        await asyncio.gather(*changed)
        await consumer.commit()


def _decided(record: ConsumerRecord, windows: Windows) -> tuple[dict[str, Any], bytes, bytes] | None:
    """The row and the message with its key; None for what is no payment."""
    event = orjson.loads(record.value)
    if event["type"] != "PaymentSucceeded":
        return None
    payment = shared.read(event)
    customer = payment.data.customer_id
    row = shared.judged(payment, windows.of(customer))
    windows.add(customer, payment, record.offset, record.value)
    message = shared.message(row, event["data"], event["time"])
    return row, event["data"]["order_id"].encode(), orjson.dumps(message)


def _commit(connection: Any, decided: Sequence[tuple[dict[str, Any], bytes, bytes]]) -> None:
    """One transaction; a decision that is there already brings no message."""
    with connection, connection.cursor() as cursor:
        columns = list(decided[0][0])
        insert = f"INSERT INTO decisions ({', '.join(columns)}) VALUES %s ON CONFLICT DO NOTHING RETURNING id"
        rows = [tuple(row.values()) for row, _, _ in decided]
        new = {row[0] for row in execute_values(cursor, insert, rows, page_size=BATCH, fetch=True)}
        messages = [(key, value) for row, key, value in decided if row["id"] in new]
        execute_values(cursor, "INSERT INTO outbox_messages (key, value) VALUES %s", messages, page_size=BATCH)


async def relay(producer: AIOKafkaProducer) -> None:
    """Publish what was committed, then delete it."""
    connection = psycopg2.connect(shared.DATABASE_URL)
    while True:
        rows = await asyncio.to_thread(_pending, connection)
        if not rows:
            await asyncio.sleep(_LOOK_SECONDS)
            continue
        headers = [("content-type", b"application/cloudevents+json")]
        sent = [await producer.send(TOPIC, bytes(value), bytes(key), headers=headers) for _, key, value in rows]
        await asyncio.gather(*sent)
        await asyncio.to_thread(_delete, connection, [seq for seq, _, _ in rows])


def _pending(connection: Any) -> list[tuple[int, memoryview, memoryview]]:
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT seq, key, value FROM outbox_messages ORDER BY seq LIMIT %s", (BATCH,))
        return list(cursor.fetchall())


def _delete(connection: Any, seqs: list[int]) -> None:
    with connection, connection.cursor() as cursor:
        cursor.execute("DELETE FROM outbox_messages WHERE seq = ANY(%s)", (seqs,))


_CONSUMER: Final = {
    "bootstrap_servers": shared.KAFKA,
    "enable_auto_commit": False,
    "auto_offset_reset": "earliest",
}


async def main() -> None:
    """Run all three for ever."""
    shared.create_tables(shared.DECISIONS, shared.OUTBOX)
    async with AIOKafkaProducer(bootstrap_servers=shared.KAFKA, acks="all", linger_ms=5) as producer:
        ready = shared.say_ready()
        with ready:
            await asyncio.gather(route(producer), decide(producer), relay(producer))


if __name__ == "__main__":
    asyncio.run(main())
