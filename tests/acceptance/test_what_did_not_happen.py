"""What did not happen, on a whole worker: from the payment to the event that nothing followed, over a kill."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from facts import Record, send
from observe import eventually, read, rows
from shop import Payment

from app.sandbox import Sandbox
from app.sandbox.worker_process import WorkerProcess

STATES = "SELECT event_id, state FROM expectations WHERE event_id LIKE 'expected-%%' ORDER BY event_id"


@dataclass(frozen=True)
class Recent(Payment):
    """A payment so long ago that what follows it was due some minutes ago."""

    ago: ClassVar[timedelta] = timedelta(minutes=70)

    def attributes(self) -> dict[str, str]:
        at = datetime.now(UTC) - self.ago
        return super().attributes() | {"time": at.isoformat().replace("+00:00", "Z")}


@dataclass(frozen=True)
class Dispatched(Recent):
    """The parcel of that payment left some minutes later."""

    topic: ClassVar[str] = "shipping"
    ago: ClassVar[timedelta] = timedelta(minutes=60)

    kind: str = "ShipmentDispatched"

    def usual(self) -> dict[str, Any]:
        return {"order_id": f"order-{self.event_id.removesuffix('-gone')}", "carrier": "dhl"}


def produce(sandbox: Sandbox, *records: Record) -> None:
    asyncio.run(send(sandbox.kafka, records))


def events_of(sandbox: Sandbox, topic: str) -> Sequence[Mapping[str, Any]]:
    """What was told there of misses; orders of other tests may be stuck as well."""
    events = [
        json.loads(record.value)
        for record in read(sandbox.kafka, topic)
        if b"ExpectationMissed" in (record.value or b"")
    ]
    return [event for event in events if event["causationid"].startswith("expected-")]


def test_a_paid_order_that_nobody_requests_is_told_of_once_and_one_that_left_is_not(
    sandbox: Sandbox, worker: WorkerProcess
) -> None:
    stuck, gone = Recent("expected-stuck", "expected-ada"), Recent("expected-gone", "expected-bob")
    left = Dispatched("expected-gone-gone", "expected-bob")
    # Nobody knows these orders: fulfilment waits for them.
    produce(sandbox, stuck.structured(), gone.structured(), left.structured())
    eventually(
        lambda: rows(sandbox.database_url, "SELECT count(*) FROM decisions WHERE agent = 'fulfilment'"
                     " AND event_id LIKE 'expected-%%'"),
        lambda found: found == [(2,)],
    )  # fmt: skip
    worker.send(signal.SIGKILL)
    worker.start()

    eventually(lambda: rows(sandbox.database_url, STATES), lambda found: found == [("expected-stuck", "missed")])

    [event] = eventually(lambda: events_of(sandbox, "recovery"), pause_seconds=1.0)
    assert (event["causationid"], event["source"], event["data"]["order_id"]) == (
        "expected-stuck", "urn:innervate:agent:fulfilment", "order-expected-stuck",
    )  # fmt: skip
    [(due_at,)] = rows(sandbox.database_url, "SELECT due_at FROM expectations WHERE event_id = 'expected-stuck'")
    assert datetime.fromisoformat(event["time"]) == due_at
    # Published once, however many looked: one message has one id.
    assert [each["id"] for each in events_of(sandbox, "recovery")] == [event["id"]]
