"""A worker whose right to write is taken away for a while: it waits and says so, and afterwards nothing is missing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from acls import AUTHORIZER, Acls
from observe import decided, eventually, get, rows, scored, settled
from shop import ids, records, send, series

from app.sandbox import ApacheBroker, Sandbox
from app.sandbox.worker_process import WorkerProcess

pytestmark = pytest.mark.apache


@pytest.fixture
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A sandbox whose Kafka has an authorizer."""
    directory = tmp_path_factory.mktemp("guarded")
    sandbox = Sandbox(directory, "apache")
    sandbox.broker = ApacheBroker(directory / "kafka", AUTHORIZER)
    with sandbox:
        yield sandbox


@pytest.fixture(params=["false", "true"], ids=["plain", "fenced"])
def guarded_worker(
    request: pytest.FixtureRequest, guarded: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WorkerProcess]:
    directory = tmp_path_factory.mktemp("guarded-worker") / "worker"
    process = WorkerProcess(guarded, directory, {"OUTBOX_FENCED": request.param})
    process.start()
    try:
        yield process
    finally:
        process.release()


def publishing(worker: WorkerProcess) -> tuple[int, str]:
    """The status of readiness, and what it says about publishing."""
    status, body = get(worker.url, "/health/ready")
    return status, body["checks"]["publishing"]


def test_rights_that_are_missing_for_a_while_cost_nothing_and_are_named(
    guarded: Sandbox, guarded_worker: WorkerProcess
) -> None:
    acls = Acls(guarded.kafka)
    payments = series("denied", 4, 20)

    asyncio.run(acls.deny("topic", "timeline-customer", "WRITE"))
    asyncio.run(send(guarded.kafka, records(payments)))
    status, said = eventually(lambda: publishing(guarded_worker), lambda found: "timeline-customer" in found[1])
    assert status == 503
    assert "TopicAuthorizationFailedError: the right to WRITE to the topic is missing" in said

    asyncio.run(acls.deny("topic", "payments", "WRITE"))
    asyncio.run(acls.restore("topic", "timeline-customer", "WRITE"))
    eventually(lambda: decided(guarded.database_url, ids(payments)), lambda count: count == 20)
    status, said = eventually(lambda: publishing(guarded_worker), lambda found: found[1].startswith("payments"))
    assert status == 503
    # Whatever else was decided is published: only what is for the denied topic is left.
    eventually(
        lambda: rows(guarded.database_url, "SELECT DISTINCT topic FROM outbox_messages"),
        lambda found: found == [("payments",)],
    )

    asyncio.run(acls.restore("topic", "payments", "WRITE"))
    settled(guarded.database_url, ids(payments))
    eventually(lambda: publishing(guarded_worker), lambda found: found == (200, "ok"))

    scores = scored(guarded.kafka)
    assert {payment.event_id: len(scores[payment.event_id]) for payment in payments} == dict.fromkeys(ids(payments), 1)
    assert rows(guarded.database_url, "SELECT reason FROM outbox_dead") == []
    assert rows(guarded.database_url, "SELECT reason FROM dead_letters") == []
