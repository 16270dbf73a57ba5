"""Alerts fire when what they watch is broken at a real worker, by the numbers that it tells a real Prometheus."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg2
import pytest
from aiokafka import AIOKafkaProducer
from waiting import eventually
from watching import DEPLOY, Alert, Prometheus

from app.sandbox import Sandbox
from app.sandbox.worker_process import WorkerProcess


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """Services without anybody else's workers."""
    with Sandbox(tmp_path_factory.mktemp("alerts") / "sandbox", "tansu") as running:
        yield running


@pytest.fixture(scope="module")
def worker(services: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    process = WorkerProcess(services, tmp_path_factory.mktemp("worker") / "watched")
    try:
        process.start()
        yield process
    finally:
        process.release()


@pytest.fixture(scope="module")
def prometheus(worker: WorkerProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Watches the worker; nothing fires."""
    process = Prometheus(tmp_path_factory.mktemp("prometheus") / "data", worker.address)
    try:
        process.start()
        yield process
    finally:
        process.release()


def query(services: Sandbox, statement: str) -> list[tuple[Any, ...]]:
    with contextlib.closing(psycopg2.connect(services.database_url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []


async def send(kafka: str, values: Sequence[bytes]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka)
    await producer.start()
    try:
        for value in values:
            await producer.send_and_wait("payments", value, key=b"c-1")
    finally:
        await producer.stop()


def payment(event_id: str, at: str = "2026-03-01T09:00:00Z") -> bytes:
    data = {
        "payment_id": f"p-{event_id}",
        "order_id": f"o-{event_id}",
        "customer_id": "c-1",
        "amount_minor": 1250,
        "currency": "EUR",
        "method": "card",
        "country": "DE",
        "device_id": "d-1",
    }
    head = {
        "specversion": "1.0",
        "id": event_id,
        "source": "urn:shop",
        "type": "PaymentSucceeded",
        "time": at,
    }
    return json.dumps({**head, "datacontenttype": "application/json", "data": data}).encode()


def fires(prometheus: Prometheus, alert: str) -> Sequence[Alert]:
    """Every alert of this name, when there is one."""
    firing = eventually(prometheus.firing, lambda found: alert in found, what=f"{alert} to fire", pause_seconds=0.5)
    return firing[alert]


def is_over(prometheus: Prometheus, alert: str) -> None:
    eventually(prometheus.firing, lambda found: alert not in found, what=f"{alert} to be over", pause_seconds=0.5)


def test_nothing_fires_while_all_is_well_and_every_rule_can_be_evaluated(
    prometheus: Prometheus, services: Sandbox
) -> None:
    asyncio.run(send(services.kafka, [payment("well")]))
    decided = 'sum(innervate_decisions_total{agent="fraud", status="committed"})'
    eventually(lambda: prometheus.values(decided), lambda found: found == [1])
    eventually(lambda: prometheus.values("min(innervate_partition_commit_age_seconds)"))
    eventually(lambda: prometheus.values("max(innervate_outbox_pending_messages)"), lambda found: found == [0])

    eventually(prometheus.firing, lambda found: not found, pause_seconds=0.5)
    assert prometheus.failed_rules() == []
    eventually(lambda: prometheus.values("min(innervate_metrics_source_up)"), lambda found: found == [1])


def test_a_record_that_is_no_event_wakes_whoever_looks_after_producers(
    prometheus: Prometheus, services: Sandbox
) -> None:
    asyncio.run(send(services.kafka, [b"{"]))

    [alert] = fires(prometheus, "InnervateDeadLetters")
    assert alert["labels"]["consumer"] == "router"
    assert alert["annotations"]["runbook"] == "docs/operations.md#innervatedeadletters"


def test_a_message_that_kafka_refuses_for_good_fires_until_it_is_gone(
    prometheus: Prometheus, services: Sandbox
) -> None:
    query(
        services,
        "INSERT INTO outbox_messages (lane, message_id, topic, key, value, headers) "
        "VALUES (7, 'm-1', 'no topic', '', '{}', '[]')",
    )

    fires(prometheus, "InnervateMessagesBuried")
    eventually(lambda: prometheus.values("sum(innervate_outbox_buried_total)"), lambda found: found == [1])
    query(services, "DELETE FROM outbox_dead")
    is_over(prometheus, "InnervateMessagesBuried")


def test_a_paid_order_that_nobody_requests_in_time_fires_though_nothing_failed(
    prometheus: Prometheus, services: Sandbox
) -> None:
    # Nobody knows this order, so fulfilment waits for it.
    paid_at = datetime.now(UTC) - timedelta(minutes=70)
    asyncio.run(send(services.kafka, [payment("unrequested", paid_at.isoformat().replace("+00:00", "Z"))]))

    [alert] = fires(prometheus, "InnervateExpectationsMissed")
    assert (alert["labels"]["agent"], alert["labels"]["expectation"]) == ("fulfilment", "shipped")


def test_a_partition_that_does_not_move_because_somebody_locks_a_table_fires_until_it_moves(
    prometheus: Prometheus, services: Sandbox
) -> None:
    with contextlib.closing(psycopg2.connect(services.database_url)) as stranger, stranger.cursor() as cursor:
        cursor.execute("LOCK TABLE decisions IN SHARE MODE")
        asyncio.run(send(services.kafka, [payment("stuck")]))
        # Which of the timelines is first is chance.
        for alert in fires(prometheus, "InnervatePartitionStuck"):
            assert alert["labels"]["topic"] in {"timeline-customer", "timeline-order"}
        fires(prometheus, "InnervateNotReady")

    is_over(prometheus, "InnervatePartitionStuck")
    is_over(prometheus, "InnervateNotReady")


def test_a_database_that_is_away_fires_and_the_worker_still_tells_of_itself(
    prometheus: Prometheus, services: Sandbox
) -> None:
    services.postgres.crash()
    try:
        fires(prometheus, "InnervateDatabaseAway")
        eventually(lambda: prometheus.values('up{job="innervate"}'), lambda found: found == [1])
        eventually(lambda: prometheus.values("max(innervate_outbox_pending_messages)"), lambda found: found == [])
    finally:
        services.postgres.restart()
    is_over(prometheus, "InnervateDatabaseAway")


def test_what_a_dashboard_asks_can_be_asked(prometheus: Prometheus) -> None:
    dashboard = json.loads((DEPLOY / "grafana" / "dashboards" / "innervate.json").read_text(encoding="utf-8"))
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]

    assert len(queries) > 40
    for text in queries:
        # What is no query is answered with 400, which is raised.
        prometheus.values(text.replace("$__rate_interval", "5m").replace("$agent", ".*"))


# The last one: nobody starts the worker again.
def test_a_worker_that_is_gone_fires(prometheus: Prometheus, worker: WorkerProcess) -> None:
    worker.stop()

    fires(prometheus, "InnervateNoWorker")
    fires(prometheus, "InnervateWorkerDown")
