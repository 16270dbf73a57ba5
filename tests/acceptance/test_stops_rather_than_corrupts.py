"""A worker whose changelog Kafka refuses stops before it commits past an event that is in no changelog.

Otherwise the event would be missing in the window of whoever recovers it, and nobody would ever know.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from observe import eventually, get, read, settled
from promises import assert_histories_are_exact, assert_nothing_lost_or_doubled
from shop import Payment, ids, send, series
from waiting import PATIENCE_SECONDS

from app.sandbox import Sandbox
from app.sandbox.worker_process import WorkerProcess

pytestmark = pytest.mark.apache

GROUP = "innervate-all"
CHANGELOG = "innervate-all-fraud-windows-changelog"
TIMELINE = "timeline-customer"
USUAL = {"cleanup.policy": "compact"}
#: Smaller than any record.
REFUSING = {**USUAL, "max.message.bytes": "10"}
#: One customer, so one partition; fewer than a window holds.
PAYMENTS = series("refused", 1, 40)
BEFORE, AFTER = PAYMENTS[:10], PAYMENTS[10:]
CUSTOMER = PAYMENTS[0].customer_id


@pytest.fixture
def bare_process(first_worker: WorkerProcess, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The worker of the session without its guard, so that its exit code can be seen."""
    first_worker.stop()
    # Somebody may have its port by now.
    first_worker.take_ports()
    with (
        (tmp_path / "worker.log").open("wb") as log,
        subprocess.Popen(
            first_worker.command(),
            env=dict(first_worker.environment()),
            cwd=first_worker.working_directory(),
            stdout=log,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            eventually(first_worker.answers)
            yield process
        finally:
            process.kill()


@contextmanager
def refusing(kafka: str) -> Iterator[None]:
    """The broker takes no record for the changelog."""
    asyncio.run(_configure(kafka, REFUSING))
    try:
        yield
    finally:
        asyncio.run(_configure(kafka, USUAL))


async def _configure(kafka: str, configs: dict[str, str]) -> None:
    """Replace the configuration of the changelog."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        [answer] = await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, CHANGELOG, configs)])
    finally:
        await admin.close()
    assert [code for code, *_ in answer.resources] == [0]


def committed_offsets(kafka: str) -> dict[TopicPartition, int]:
    """What the agents have committed, by partition of the timeline."""

    async def ask() -> dict[TopicPartition, int]:
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
        await admin.start()
        try:
            offsets = await admin.list_consumer_group_offsets(GROUP)
        finally:
            await admin.close()
        return {place: found.offset for place, found in offsets.items() if place.topic == TIMELINE}

    return asyncio.run(ask())


def missing_in_changelog(kafka: str, payments: Sequence[Payment]) -> set[str]:
    """Ids of the events that are in no record of the changelog."""
    values = [record.value or b"" for record in read(kafka, CHANGELOG)]
    return {one for one in ids(payments) if not any(one.encode() in value for value in values)}


def committed_past(kafka: str, event_ids: Collection[str]) -> list[str]:
    """Those of the events that the agents would not read again after a restart."""
    committed = committed_offsets(kafka)
    return [
        event_id
        for record in read(kafka, TIMELINE)
        if (event_id := json.loads(record.value)["id"]) in event_ids
        if record.offset < committed.get(TopicPartition(TIMELINE, record.partition), 0)
    ]


def window(worker: WorkerProcess, customer_id: str) -> set[str]:
    status, body = get(worker.url, f"/agents/fraud/windows/{customer_id}")
    return {entry["event"]["id"] for entry in body["events"]} if status == 200 else set()


def test_a_worker_stops_before_it_commits_past_an_event_that_kafka_refused_for_the_changelog(
    sandbox: Sandbox, bare_process: subprocess.Popen[bytes], first_worker: WorkerProcess
) -> None:
    asyncio.run(send(sandbox.kafka, [payment.structured() for payment in BEFORE]))
    settled(sandbox.database_url, ids(BEFORE))

    with refusing(sandbox.kafka):
        # Some more than one, because the broker takes the configuration a moment later than it says.
        asyncio.run(send(sandbox.kafka, [payment.structured() for payment in AFTER], 0.01))
        code = bare_process.wait(PATIENCE_SECONDS)
        assert code != 0
        refused = missing_in_changelog(sandbox.kafka, AFTER)
        assert refused, "the broker refused nothing"
        assert committed_past(sandbox.kafka, refused) == []

    first_worker.start()
    settled(sandbox.database_url, ids(PAYMENTS))
    assert_nothing_lost_or_doubled(sandbox, PAYMENTS, repeats_allowed=True)
    assert_histories_are_exact(sandbox, PAYMENTS)
    assert window(first_worker, CUSTOMER) == set(ids(PAYMENTS))

    # The local tables may hold what Kafka never took: the changelog alone has to be enough.
    first_worker.stop()
    shutil.rmtree(first_worker.directory / "tables")
    first_worker.start()
    assert eventually(lambda: window(first_worker, CUSTOMER)) == set(ids(PAYMENTS))
