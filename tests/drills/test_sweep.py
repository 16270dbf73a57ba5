"""Windows of customers that were silent for long leave the worker's disk and Kafka; those of others do not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.partitioner import DefaultPartitioner
from drill import Drill
from standing import windows_told
from witness import rows

from app.worker.sweep import RECORDS

TIMELINE, CHANGELOG = "timeline-customer", "innervate-fraud-fraud-windows-changelog"
PARTITIONS = range(8)
#: Longer than `fraud` remembers (120 days) and than events may be late (7 days).
LONG_AGO = datetime.now(UTC) - timedelta(days=200)


def partition_of(customer: str) -> int:
    return int(DefaultPartitioner()(customer.encode(), list(PARTITIONS), list(PARTITIONS)))


#: All of one partition, which the silent ones do not share with the whole shop by chance.
CUSTOMERS = [name for name in (f"c-{number}" for number in range(200)) if partition_of(name) == partition_of("c-0")]
SILENT, HEARD = CUSTOMERS[:5], CUSTOMERS[5:10]


def payment(customer: str, event_id: str, at: datetime) -> bytes:
    """A payment as the router writes it to a timeline."""
    data = {
        "payment_id": event_id,
        "order_id": f"o-{event_id}",
        "customer_id": customer,
        "amount_minor": 1000,
        "currency": "EUR",
        "method": "card",
        "country": "DE",
        "device_id": f"d-{customer}",
    }
    event = {
        "specversion": "1.0",
        "id": event_id,
        "source": "urn:shop",
        "type": "PaymentSucceeded",
        "time": at.isoformat(),
        "data": data,
    }
    return json.dumps(event, separators=(",", ":")).encode()


def write(kafka: str, customers: Sequence[str], times: int, at: datetime) -> list[str]:
    """Payments that happened, and were written to the timeline, at this time; returns their ids."""

    async def send() -> list[str]:
        sent = []
        async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
            for number in range(times):
                for customer in customers:
                    event_id = f"{customer}-{number}-{at.timestamp():.0f}"
                    await producer.send_and_wait(
                        TIMELINE,
                        payment(customer, event_id, at),
                        key=customer.encode(),
                        timestamp_ms=int(at.timestamp() * 1000),
                    )
                    sent.append(event_id)
        return sent

    return asyncio.run(send())


def left_in_changelog(kafka: str) -> Mapping[bytes, bytes | None]:
    """The last record of each key: what Kafka keeps when it has compacted, but for the removals."""

    async def read() -> Mapping[bytes, bytes | None]:
        place = TopicPartition(CHANGELOG, partition_of("c-0"))
        found: dict[bytes, bytes | None] = {}
        async with AIOKafkaConsumer(bootstrap_servers=kafka, auto_offset_reset="earliest") as consumer:
            consumer.assign([place])
            [end] = (await consumer.end_offsets([place])).values()
            while await consumer.position(place) < end:
                for record in (await consumer.getmany(place, timeout_ms=500)).get(place, ()):
                    found[record.key] = record.value
        return found

    return asyncio.run(read())


def decided(drill: Drill, ids: Sequence[str]) -> bool:
    [(count,)] = rows(drill.database_url, "SELECT count(*) FROM decisions WHERE event_id = ANY (%s)", list(ids))
    return int(count) == len(ids)


def windows(drill: Drill, worker: int) -> dict[str, list[str]]:
    told = windows_told(drill.process(worker), "fraud", [*SILENT, *HEARD])
    return {customer: [event_id for _, event_id in window] for customer, window in told.items()}


def test_silent_windows_leave_the_disk_and_the_changelog_and_all_others_stay(drill: Drill) -> None:
    worker = drill.seat({"AGENTS": "fraud"})
    drill.start(worker)
    ids = write(drill.kafka, SILENT, 3, LONG_AGO)
    ids += write(drill.kafka, HEARD, 2, LONG_AGO) + write(drill.kafka, HEARD, RECORDS, datetime.now(UTC))
    drill.wait_for(lambda: decided(drill, ids), what="all payments to be decided on")
    before = windows(drill, worker)
    assert {customer: len(window) for customer, window in before.items()} == {
        **dict.fromkeys(SILENT, 3),
        **dict.fromkeys(HEARD, 2 + RECORDS),
    }
    drill.leave(worker)

    # A sweep begins when the windows are read back.
    drill.start(worker)
    due = {customer: [] if customer in SILENT else window for customer, window in before.items()}
    drill.wait_for(lambda: windows(drill, worker) == due, what="silent windows to leave")
    kept = left_in_changelog(drill.kafka)
    assert {any(name.encode() in key for name in SILENT) for key, value in kept.items() if value is not None} == {False}
    assert len([key for key, value in kept.items() if value is None]) == 3 * len(SILENT)

    # Whoever reads them back without the disk has the same, and one that is heard of again begins anew.
    drill.kill(worker)
    drill.process(worker).forget()
    again = write(drill.kafka, SILENT[:1], 1, datetime.now(UTC))
    drill.start(worker)
    drill.wait_for(lambda: decided(drill, again), what="the payment of a customer that was silent to be decided on")
    assert windows(drill, worker) == {**due, SILENT[0]: again}
    [(known,)] = rows(
        drill.database_url,
        "SELECT plain_history(history) -> 'offsets' FROM decisions WHERE event_id = %s",
        again[0],
    )
    assert known == []
    assert [one.last_words for one in drill.arena.exits] == []
