"""A worker in the fenced mode on Apache Kafka: `read_committed` readers see each score once, whatever is killed."""

from __future__ import annotations

import asyncio
import json
import signal
import threading
from collections import Counter
from collections.abc import Iterator

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from observe import read, settled, under_way
from promises import assert_histories_are_exact, assert_nothing_lost_or_doubled
from shop import Payment, ids, records, sending, series
from waiting import PATIENCE_SECONDS

from app.sandbox import Sandbox
from app.sandbox.worker_process import WorkerProcess

pytestmark = pytest.mark.apache

PAYMENTS = 240
CUSTOMERS = 4


@pytest.fixture(scope="module")
def fenced_process(
    sandbox: Sandbox, first_worker: WorkerProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WorkerProcess]:
    first_worker.stop()  # it would publish without transactions
    process = WorkerProcess(sandbox, tmp_path_factory.mktemp("fenced") / "worker", {"OUTBOX_FENCED": "true"})
    try:
        yield process
    finally:
        process.release()


@pytest.fixture
def fenced_worker(fenced_process: WorkerProcess) -> WorkerProcess:
    """A worker that publishes in transactions, ready."""
    fenced_process.start()
    return fenced_process


def committed_scores(kafka: str, payments: list[Payment]) -> dict[str, int]:
    """How many scores a `read_committed` reader finds for each of these payments."""
    found = Counter(asyncio.run(_read_committed_scores(kafka)))
    return {payment.event_id: found[payment.event_id] for payment in payments}


async def _read_committed_scores(kafka: str) -> list[str]:
    """Read up to the end of the log, for which such a reader waits while a transaction before it is open."""
    ends = await ends_of_payments(kafka)
    consumer = AIOKafkaConsumer(
        "payments", bootstrap_servers=kafka, auto_offset_reset="earliest", isolation_level="read_committed"
    )
    found = []
    async with consumer, asyncio.timeout(PATIENCE_SECONDS):
        while [place for place, end in ends.items() if await consumer.position(place) < end]:
            for batch in (await consumer.getmany(timeout_ms=100)).values():
                scores = [record.value for record in batch if b'"FraudScored"' in (record.value or b"")]
                found += [json.loads(score)["causationid"] for score in scores]
    return found


async def ends_of_payments(kafka: str) -> dict[TopicPartition, int]:
    async with AIOKafkaConsumer("payments", bootstrap_servers=kafka) as consumer:
        return dict(await consumer.end_offsets(consumer.assignment()))


def marks_of_transactions(kafka: str) -> int:
    """Offsets of the payments topic that hold no record: the end of a transaction takes one."""
    ends = asyncio.run(ends_of_payments(kafka))
    return sum(ends.values()) - len(read(kafka, "payments"))


def test_every_payment_has_exactly_one_score(sandbox: Sandbox, fenced_worker: WorkerProcess) -> None:
    payments = series("fenced", CUSTOMERS, PAYMENTS)
    marks_before = marks_of_transactions(sandbox.kafka)

    with sending(sandbox.kafka, records(payments)):
        pass
    settled(sandbox.database_url, ids(payments))

    assert marks_of_transactions(sandbox.kafka) > marks_before
    assert committed_scores(sandbox.kafka, payments) == dict.fromkeys(ids(payments), 1)
    assert_nothing_lost_or_doubled(sandbox, payments)


def test_a_worker_that_is_killed_publishes_no_score_twice(sandbox: Sandbox, fenced_worker: WorkerProcess) -> None:
    payments = series("fenced-killed", CUSTOMERS, PAYMENTS)

    rest = threading.Event()
    with sending(sandbox.kafka, records(payments), rest=rest):
        under_way(sandbox.database_url, ids(payments))
        rest.set()
        fenced_worker.send(signal.SIGKILL)
        fenced_worker.start()
    settled(sandbox.database_url, ids(payments))

    assert committed_scores(sandbox.kafka, payments) == dict.fromkeys(ids(payments), 1)
    assert_histories_are_exact(sandbox, payments)
