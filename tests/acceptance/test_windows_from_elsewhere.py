"""Data directories and changelogs that are not what they were: workers rebuild their windows, or say what to do.

Whatever happens, no window mixes what was remembered here with what was remembered elsewhere.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from observe import eventually, get, read, settled
from shop import Payment, ids, records, send, series
from waiting import PATIENCE_SECONDS

from app.sandbox import Sandbox
from app.sandbox.process import clean_environment
from app.sandbox.worker_process import CHECKOUT, WorkerProcess

FRAUD = "innervate-all-fraud-windows-changelog"
TIMELINE = "timeline-customer"
CUSTOMERS = 3
#: Fewer a customer than a window holds.
HERE, THERE = series("shop", CUSTOMERS, 90), series("shop", CUSTOMERS, 60)

#: Offset and id of each event in a window, oldest first, by customer.
Windows = dict[str, list[tuple[int, str]]]


@pytest.fixture
def here(provider: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(tmp_path_factory.mktemp("here") / "sandbox", provider) as services:
        yield services


@pytest.fixture
def there(provider: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(tmp_path_factory.mktemp("there") / "sandbox", provider) as services:
        yield services


def remembered(worker: WorkerProcess) -> Windows:
    found = {}
    for number in range(CUSTOMERS):
        customer = f"shop-customer-{number}"
        _, window = eventually(
            lambda customer=customer: get(worker.url, f"/agents/fraud/windows/{customer}"),  # type: ignore[misc]
            lambda answer: answer[0] == 200,
        )
        found[customer] = [(entry["offset"], entry["event"]["id"]) for entry in window["events"]]
    return found


def by_definition(kafka: str) -> Windows:
    """The payments of each customer, as they lie in the timeline."""
    found: Windows = {f"shop-customer-{number}": [] for number in range(CUSTOMERS)}
    for record in read(kafka, TIMELINE):
        event = json.loads(record.value or b"{}")
        if event["type"] == "PaymentSucceeded" and record.key is not None:
            found[record.key.decode()].append((record.offset, event["id"]))
    return found


def decide(sandbox: Sandbox, payments: Sequence[Payment]) -> None:
    asyncio.run(send(sandbox.kafka, records(payments)))
    settled(sandbox.database_url, ids(payments))


def lines(worker: WorkerProcess, text: str) -> list[str]:
    return [line for line in worker.log_path.read_text().splitlines() if text in line]


def run_to_its_end(worker: WorkerProcess) -> tuple[int, str]:
    """The exit code and the last line of a worker that cannot go on."""
    done = subprocess.run(
        worker.command(),
        env=dict(worker.environment()),
        cwd=worker.working_directory(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    return done.returncode, done.stdout.rstrip().rpartition("\n")[2]


def rebuild(sandbox: Sandbox, datadir: Path, agent: str) -> str:
    # The embedded broker goes on naming a worker that has ended.
    options = ["--stopped"] if sandbox.provider == "tansu" else []
    done = subprocess.run(
        [sys.executable, "-m", "faust", "-A", "app", "--datadir", str(datadir), "rebuild", agent, *options],
        cwd=CHECKOUT,
        env={**clean_environment(), **sandbox.worker_environment()},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


async def _put(kafka: str, key: bytes | None, value: bytes | None) -> int:
    async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
        sent = await producer.send_and_wait(FRAUD, key=key, value=value, partition=1)
    return int(sent.offset)


async def _replace(kafka: str, *topics: str, partitions: int = 8) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        await admin.delete_topics(list(topics))
        while set(topics) & set(await admin.list_topics()):  # noqa: ASYNC110 - only asking tells
            await asyncio.sleep(0.2)
        await asyncio.sleep(1)
        await admin.create_topics([NewTopic(topic, partitions, 1) for topic in topics])
        while not set(topics) <= set(await admin.list_topics()):  # noqa: ASYNC110 - only asking tells
            await asyncio.sleep(0.2)
    finally:
        await admin.close()


@pytest.mark.apache  # two clusters
@pytest.mark.parametrize("was_here_before", [True, False], ids=["known cluster", "new cluster"])
def test_windows_of_another_cluster_are_rebuilt(
    here: Sandbox, there: Sandbox, tmp_path: Path, *, was_here_before: bool
) -> None:
    moved = WorkerProcess(there, tmp_path / "moved")
    staying = WorkerProcess(here, tmp_path / "staying")
    workers = [moved, staying]
    try:
        moved.start()
        decide(there, THERE)
        assert remembered(moved) == by_definition(there.kafka)
        moved.stop()
        if was_here_before:
            staying.start()
            decide(here, HERE)
            staying.stop()

        moved = WorkerProcess(here, tmp_path / "moved")
        workers.append(moved)
        moved.start()
        if not was_here_before:
            decide(here, HERE)
        assert remembered(moved) == by_definition(here.kafka)
        assert len(lines(moved, "the windows of fraud-windows in")) == 1
    finally:
        for worker in workers:
            worker.release()


def test_a_worker_tells_topics_that_were_created_again(here: Sandbox, tmp_path: Path) -> None:
    worker = WorkerProcess(here, tmp_path / "worker")
    try:
        worker.start()
        decide(here, HERE)
        complete = remembered(worker)
        worker.restart()
        assert remembered(worker) == complete
        assert lines(worker, "are rebuilt") == []

        worker.stop()
        asyncio.run(_replace(here.kafka, FRAUD))
        worker.start()
        assert set(map(tuple, remembered(worker).values())) == {()}
        [line] = lines(worker, "are rebuilt")
        assert "their changelog was deleted and created again" in line

        worker.stop()
        rebuild(here, tmp_path / "command", "fraud")
        worker.start()
        assert remembered(worker) == complete

        worker.stop()
        asyncio.run(_replace(here.kafka, TIMELINE))
        code, last = run_to_its_end(worker)
        assert code == 1
        assert last.startswith("innervate: ")
        assert "their timeline was deleted and created again" in last
        assert last.endswith("and delete the data directories")

        # As it says; confirmation is the other agent of customers.
        for agent in ("fraud", "confirmation"):
            rebuild(here, tmp_path / "command", agent)
        shutil.rmtree(worker.directory / "tables")
        worker.start()
        again = [Payment(f"again-{payment.event_id}", payment.customer_id, payment.number) for payment in THERE]
        decide(here, again)
        assert remembered(worker) == by_definition(here.kafka)

        worker.stop()
        asyncio.run(_replace(here.kafka, FRAUD, partitions=3))
        assert run_to_its_end(worker) == (
            1,
            (
                f"innervate: topic {FRAUD} has 3 partitions, TOPIC_PARTITIONS is 8: windows stay in the partition of"
                ' their entity; see "More partitions" in docs/operations.md'
            ),
        )
    finally:
        worker.release()


@pytest.mark.apache  # five starts; the embedded broker makes each wait
def test_rubbish_in_a_changelog_stops_a_recovery_with_its_place_and_a_rebuild_removes_it(
    here: Sandbox, tmp_path: Path
) -> None:
    worker = WorkerProcess(here, tmp_path / "worker")
    try:
        worker.start()
        decide(here, HERE)
        complete = remembered(worker)
        worker.stop()
        key, value = next((record.key, record.value) for record in read(here.kafka, FRAUD))
        # The data directory knows everything before the rubbish, then nothing.
        for rubbish, datadir_is_lost in (((b"k", b"\xff"), False), ((key, value[:-1]), True)):
            place = asyncio.run(_put(here.kafka, *rubbish))
            if datadir_is_lost:
                shutil.rmtree(worker.directory / "tables")
            code, last = run_to_its_end(worker)
            assert code == 1
            assert last.startswith(f"innervate: {FRAUD}[1]@{place} is no entry of a window: ")
            assert last.endswith("stop every worker of the set and run `faust -A app rebuild fraud`")

            said = rebuild(here, worker.directory / "tables", "fraud")
            assert f"{FRAUD} was deleted and created again: 1 of its records are no entries of windows" in said
            assert f"{FRAUD}[1]@{place}" in said
            worker.start()
            assert remembered(worker) == complete
            worker.stop()
    finally:
        worker.release()
