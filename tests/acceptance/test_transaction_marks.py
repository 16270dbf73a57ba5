"""Changelogs and timelines that somebody wrote to in transactions: every start ends, and no window lacks anything.

The last offset of such a topic belongs to no record: it is a mark of Kafka's, or was taken back.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from observe import eventually, get, read, settled
from shop import Payment, ids, records, send, series
from waiting import PATIENCE_SECONDS

from app.sandbox import Sandbox
from app.sandbox.process import clean_environment
from app.sandbox.worker_process import CHECKOUT, WorkerProcess

pytestmark = pytest.mark.apache

CHANGELOG = "innervate-all-fraud-windows-changelog"
TIMELINE = "timeline-customer"
PARTITIONS = 8
CUSTOMERS = 4


@pytest.fixture
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(tmp_path_factory.mktemp("marks"), "apache") as sandbox:
        yield sandbox


def remembered(worker: WorkerProcess, name: str) -> Mapping[str, list[str]]:
    found = {}
    for number in range(CUSTOMERS):
        customer = f"{name}-customer-{number}"
        _, window = eventually(
            lambda customer=customer: get(worker.url, f"/agents/fraud/windows/{customer}"),  # type: ignore[misc]
            lambda answer: answer[0] == 200,
        )
        found[customer] = [entry["event"]["id"] for entry in window["events"]]
    return found


async def leave_marks(kafka: str, topic: str, again: Mapping[int, tuple[bytes, bytes]]) -> None:
    """End every partition with a transaction that wrote what is there once more, and one that took it back."""
    async with AIOKafkaProducer(bootstrap_servers=kafka, transactional_id="marks") as producer:
        for is_kept in (True, False):
            await producer.begin_transaction()
            for partition, (key, value) in again.items():
                content = value if is_kept else b"no entry"
                await producer.send_and_wait(topic, content, key=key, partition=partition)
            await (producer.commit_transaction() if is_kept else producer.abort_transaction())


def last_records(kafka: str, topic: str) -> Mapping[int, tuple[bytes, bytes]]:
    return {record.partition: (record.key, record.value) for record in read(kafka, topic)}


def test_a_changelog_that_ends_in_marks_is_recovered_with_and_without_a_data_directory(
    own: Sandbox, tmp_path: Path
) -> None:
    payments = series("marks", CUSTOMERS, 24)
    worker = WorkerProcess(own, tmp_path / "worker")
    try:
        worker.start()
        asyncio.run(send(own.kafka, records(payments)))
        settled(own.database_url, ids(payments))
        complete = remembered(worker, "marks")
        # Payments of several orders lie in several partitions: no order is promised between them.
        assert {customer: sorted(found) for customer, found in complete.items()} == {
            f"marks-customer-{n}": [f"marks-{m:04}" for m in range(n, 24, CUSTOMERS)] for n in range(CUSTOMERS)
        }
        worker.stop()
        asyncio.run(leave_marks(own.kafka, CHANGELOG, last_records(own.kafka, CHANGELOG)))

        worker.start()
        assert remembered(worker, "marks") == complete
        worker.stop()
        shutil.rmtree(worker.directory / "tables")
        worker.start()
        assert remembered(worker, "marks") == complete

        # What comes behind the marks is remembered like what came before them.
        behind = [Payment("marks-behind", "marks-customer-0", 24)]
        asyncio.run(send(own.kafka, records(behind)))
        settled(own.database_url, ids(behind))
        expected = {**complete, "marks-customer-0": [*complete["marks-customer-0"], "marks-behind"]}
        assert remembered(worker, "marks") == expected
        worker.restart()
        assert remembered(worker, "marks") == expected
    finally:
        worker.release()


def test_a_worker_takes_over_from_a_standby_whose_changelog_ends_in_marks(own: Sandbox, tmp_path: Path) -> None:
    payments = series("standby", CUSTOMERS, 24)
    first, second = WorkerProcess(own, tmp_path / "first"), WorkerProcess(own, tmp_path / "second")
    try:
        first.start()
        second.start()
        asyncio.run(send(own.kafka, records(payments)))
        settled(own.database_url, ids(payments))
        complete = remembered(first, "standby")
        asyncio.run(leave_marks(own.kafka, CHANGELOG, last_records(own.kafka, CHANGELOG)))

        first.send(signal.SIGKILL)
        assert remembered(second, "standby") == complete
    finally:
        first.release()
        second.release()


def test_a_recovery_waits_for_an_open_transaction_since_it_may_hide_windows(own: Sandbox, tmp_path: Path) -> None:
    payments = series("open", CUSTOMERS, 24)
    worker = WorkerProcess(own, tmp_path / "worker")
    try:
        worker.start()
        asyncio.run(send(own.kafka, records(payments)))
        settled(own.database_url, ids(payments))
        asyncio.run(_write_behind_an_open_transaction(own, worker))
    finally:
        worker.release()


async def _write_behind_an_open_transaction(own: Sandbox, worker: WorkerProcess) -> None:
    last = await asyncio.to_thread(last_records, own.kafka, CHANGELOG)
    async with AIOKafkaProducer(bootstrap_servers=own.kafka, transactional_id="open") as producer:
        await producer.begin_transaction()
        for partition, (key, value) in last.items():
            await producer.send_and_wait(CHANGELOG, value, key=key, partition=partition)
        behind = [Payment("open-behind", "open-customer-0", 24)]
        await send(own.kafka, records(behind))
        await asyncio.to_thread(settled, own.database_url, ids(behind))
        complete = await asyncio.to_thread(remembered, worker, "open")
        await asyncio.to_thread(worker.stop)
        shutil.rmtree(worker.directory / "tables")
        starting = asyncio.create_task(asyncio.to_thread(worker.start))
        await asyncio.to_thread(eventually, lambda: "Restoring state from changelog" in worker.log_path.read_text())
        await producer.abort_transaction()
        await starting
    assert complete["open-customer-0"][-1] == "open-behind"
    assert await asyncio.to_thread(remembered, worker, "open") == complete


def test_a_rebuild_ends_where_a_timeline_and_a_changelog_end_in_marks(own: Sandbox, tmp_path: Path) -> None:
    payments = series("rebuilt", CUSTOMERS, 24)
    worker = WorkerProcess(own, tmp_path / "worker")
    try:
        worker.start()
        asyncio.run(send(own.kafka, records(payments)))
        settled(own.database_url, ids(payments))
        complete = remembered(worker, "rebuilt")
        for topic in (TIMELINE, CHANGELOG):
            asyncio.run(leave_marks(own.kafka, topic, last_records(own.kafka, topic)))
        worker.stop()

        for command in (["rebuild", "fraud"], ["replay", "--agents", "fraud"]):
            done = subprocess.run(
                [sys.executable, "-m", "faust", "-A", "app", "--datadir", str(tmp_path / "command"), *command],
                cwd=CHECKOUT,
                env={**clean_environment(), **own.worker_environment()},
                capture_output=True,
                text=True,
                timeout=PATIENCE_SECONDS,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr
        worker.start()
        assert remembered(worker, "rebuilt") == complete
    finally:
        worker.release()
