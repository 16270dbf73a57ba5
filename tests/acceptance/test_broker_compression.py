"""A broker that packs every topic itself: domain topics, timelines and changelogs are read, and windows recovered."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
from observe import eventually, get, settled
from shop import ids, records, send, series

from app.sandbox import ApacheBroker, Sandbox
from app.sandbox.worker_process import WorkerProcess

pytestmark = pytest.mark.apache

CUSTOMERS = 4
#: What the attributes of a batch say, and where they stand: https://kafka.apache.org/documentation/#recordbatch
NUMBERS = {"gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
ATTRIBUTES = slice(21, 23)


def remembered(worker: WorkerProcess) -> Mapping[str, list[str]]:
    found = {}
    for number in range(CUSTOMERS):
        path = f"/agents/fraud/windows/packed-customer-{number}"
        _, window = eventually(lambda path=path: get(worker.url, path), lambda answer: answer[0] == 200)  # type: ignore[misc]
        found[f"packed-customer-{number}"] = [entry["event"]["id"] for entry in window["events"]]
    return found


def codecs(broker: Path, topic: str) -> set[int]:
    """What the first batches of a topic's partitions on the broker's disk are packed with."""
    logs = [log.read_bytes() for log in broker.glob(f"data/{topic}-*/*.log")]
    return {int.from_bytes(log[ATTRIBUTES], "big") & 7 for log in logs if log}


@pytest.mark.parametrize("codec", ["lz4", "zstd", "snappy"])
def test_whatever_the_broker_packs_all_topics_with_windows_are_whole_before_and_after_a_recovery(
    tmp_path: Path, codec: str
) -> None:
    sandbox = Sandbox(tmp_path / "sandbox", "apache")
    sandbox.broker = ApacheBroker(sandbox.broker.directory, {"compression.type": codec})
    payments = series("packed", CUSTOMERS, 40)
    expected = {f"packed-customer-{n}": [f"packed-{m:04}" for m in range(n, 40, CUSTOMERS)] for n in range(CUSTOMERS)}
    with sandbox:
        worker = WorkerProcess(sandbox, tmp_path / "worker")
        try:
            worker.start()
            asyncio.run(send(sandbox.kafka, records(payments)))
            settled(sandbox.database_url, ids(payments))
            complete = remembered(worker)
            # Payments of several orders lie in several partitions: no order is promised between them.
            assert {customer: sorted(found) for customer, found in complete.items()} == expected

            worker.stop()
            shutil.rmtree(worker.directory / "tables")
            worker.start()
            assert remembered(worker) == complete
        finally:
            worker.release()
        for topic in ("payments", "timeline-customer", "innervate-all-fraud-windows-changelog"):
            assert codecs(sandbox.broker.directory, topic) == {NUMBERS[codec]}
