"""Orders whose money does not add up, sent by a stranger: nothing wrong is given back, and a person hears."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from observe import eventually, get, read, rows
from shop import Record, send

from app.sandbox import Sandbox
from app.sandbox.worker_process import WorkerProcess

TEN: Final = datetime(2025, 3, 1, 10, tzinfo=UTC)
PLACED: Final = (
    "orders",
    "OrderPlaced",
    {"items": [{"sku": "s1", "quantity": 1, "price_minor": 10_000}], "total_minor": 10_000, "currency": "EUR"},
)
RAISED: Final = ("orders", "PriceChanged", {"sku": "s1", "old_minor": 10_000, "new_minor": 10_500})
SHORT: Final = ("orders", "InventoryShort", {"sku": "s1", "wanted": 1, "available": 0})
FAILED: Final = (
    "platform",
    "ErrorOccurred",
    {"service": "money-api", "step": "label", "error": "Timeout", "message": "timed out"},
)

Told = tuple[str, str, Mapping[str, Any]]


def paid(payment_id: str, amount_minor: int, currency: str = "EUR") -> Told:
    card = {"method": "card", "country": "DE", "device_id": "d1"}
    return "payments", "PaymentSucceeded", {
        "payment_id": payment_id, "amount_minor": amount_minor, "currency": currency, **card
    }  # fmt: skip


#: What happens to each order before it fails.
ORDERS: Final[Mapping[str, Sequence[Told]]] = {
    "money-split": (PLACED, paid("money-gift", 6000), paid("money-card", 4000)),
    "money-yen": (PLACED, RAISED, paid("money-yen", 17_250, "JPY")),
    "money-pieces": (PLACED, SHORT, paid("money-pieces", 6000), paid("money-pieces", 4000)),
    "money-reports": (PLACED, SHORT, *[paid("money-reports", 10_000)] * 6),
    "money-first": (PLACED, SHORT, paid("money-shared", 10_000)),
    "money-second": (PLACED, SHORT, paid("money-shared", 10_000)),
}


def record(order_id: str, number: int, told: Told) -> Record:
    topic, kind, data = told
    event = {
        "specversion": "1.0",
        "id": f"{order_id}-{number}",
        "source": "urn:shop:money",
        "type": kind,
        "time": (TEN + timedelta(seconds=number)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "data": {"order_id": order_id, "customer_id": f"{order_id}-customer", **data},
    }
    structured = (("content-type", b"application/cloudevents+json"),)
    return Record(json.dumps(event).encode(), structured, order_id.encode(), topic)


@pytest.fixture(scope="module")
def failed(sandbox: Sandbox, first_worker: WorkerProcess) -> str:
    """The database when every order has failed and recovery has answered it; each error comes after all the rest."""
    first_worker.start()
    stories = {order_id: [*enumerate(told)] for order_id, told in ORDERS.items()}
    before = [record(order_id, *each) for order_id, told in stories.items() for each in told]
    asyncio.run(send(sandbox.kafka, before))
    payments = sum(kind == "PaymentSucceeded" for told in ORDERS.values() for _, kind, _ in told)
    eventually(lambda: answered(sandbox.database_url, "FraudScored"), lambda count: count == payments)
    asyncio.run(send(sandbox.kafka, [record(order_id, 60, FAILED) for order_id in ORDERS]))
    eventually(lambda: answered(sandbox.database_url, "RootCauseIdentified"), lambda count: count >= len(ORDERS))
    eventually(lambda: rows(sandbox.database_url, "SELECT count(*) FROM outbox_messages"), lambda left: left == [(0,)])
    return sandbox.database_url


def answered(database_url: str, kind: str) -> int:
    """How many events of a type recovery has decided on, of the orders of this test."""
    query = "SELECT count(*) FROM decisions WHERE agent = 'recovery' AND event_type = %s AND entity_id = ANY (%s)"
    [(count,)] = rows(database_url, query, kind, list(ORDERS))
    return int(count)


def test_no_order_gets_back_more_than_its_account_explains(failed: str) -> None:
    query = "SELECT payment_id, amount_minor FROM refunds WHERE order_id = ANY (%s) ORDER BY payment_id"

    assert rows(failed, query, list(ORDERS)) == [("money-reports", 10_000), ("money-shared", 10_000)]


def test_a_person_hears_of_every_order_whose_money_does_not_add_up(failed: str, sandbox: Sandbox) -> None:
    [(rejected,)] = rows(
        failed, "SELECT entity_id FROM decisions WHERE status = 'rejected' AND entity_id = ANY (%s)", list(ORDERS)
    )

    heard = escalated(sandbox)

    assert rejected in {"money-first", "money-second"}
    assert heard & ORDERS.keys() == {"money-split", "money-yen", "money-pieces", rejected}


def test_a_refund_that_postgresql_refused_says_so_and_is_no_dead_letter(
    failed: str, first_worker: WorkerProcess
) -> None:
    query = "SELECT id::text FROM decisions WHERE status = 'rejected' AND entity_id = ANY (%s)"
    [(decision_id,)] = rows(failed, query, list(ORDERS))

    status, decision = get(first_worker.url, f"/decisions/{decision_id}")

    assert (status, decision["outcome"], decision["approval"]["answer"]) == (200, "refund_and_cancel", "rejected")
    assert "refunds_payment_id_order_id_currency_fkey" in decision["approval"]["answered_by"]
    assert rows(failed, "SELECT detail FROM dead_letters WHERE consumer = 'recovery'") == []


def test_one_payment_under_six_event_ids_is_approved_each_time(failed: str) -> None:
    query = "SELECT outcome, count(*) FROM decisions WHERE agent = 'fraud' AND entity_id = %s GROUP BY 1"

    assert rows(failed, query, "money-reports-customer") == [("approve", 6)]


def test_a_refund_that_has_no_table_is_given_up_after_a_while_and_a_person_hears(
    failed: str, sandbox: Sandbox, first_worker: WorkerProcess
) -> None:
    """The worker waits 30 s for it (`EFFECTS_WAIT_SECONDS`)."""
    order_id = "money-away"
    rows(failed, "ALTER TABLE refunds RENAME TO away")
    try:
        told = [PLACED, SHORT, paid("money-away", 10_000), FAILED]
        asyncio.run(send(sandbox.kafka, [record(order_id, *each) for each in enumerate(told)]))
        query = "SELECT outcome FROM decisions WHERE status = 'rejected' AND agent = 'recovery' AND entity_id = %s"
        eventually(lambda: rows(failed, query, order_id), lambda found: len(found) == 1)
    finally:
        rows(failed, "ALTER TABLE away RENAME TO refunds")

    eventually(lambda: order_id in escalated(sandbox))
    assert rows(failed, "SELECT 1 FROM refunds WHERE order_id = %s", order_id) == []
    eventually(lambda: get(first_worker.url, "/health/ready")[0], lambda status: status == 200)


def test_a_chargeback_is_known_to_postgresql_and_nothing_is_refunded_on_top(failed: str, sandbox: Sandbox) -> None:
    order_id = "money-back"
    back = ("payments", "ChargebackReceived", paid("money-back", 10_000)[2])
    told = [PLACED, paid("money-back", 10_000), back, SHORT, FAILED]
    asyncio.run(send(sandbox.kafka, [record(order_id, *each) for each in enumerate(told)]))

    query = "SELECT kind, payment_id, amount_minor FROM given_back WHERE order_id = %s"
    found = eventually(lambda: rows(failed, query, order_id))

    assert found == [("chargeback", "money-back", 10_000)]
    decided = (
        "SELECT 1 FROM decisions WHERE agent = 'recovery' AND event_type = 'RootCauseIdentified' AND entity_id = %s"
    )
    eventually(lambda: rows(failed, decided, order_id))
    assert rows(failed, "SELECT 1 FROM refunds WHERE order_id = %s", order_id) == []


def escalated(sandbox: Sandbox) -> set[str]:
    """The orders of which a person hears."""
    events = [json.loads(record.value or b"") for record in read(sandbox.kafka, "recovery")]
    return {event["data"].get("order_id") for event in events if event["type"] == "EscalationRequested"}
