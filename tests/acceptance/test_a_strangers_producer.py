"""A producer written by somebody else sends payments and reads one `FraudScored` for each."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, to_binary, to_structured
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from observe import read, rows, scored, settled
from shop import Payment, Record, send

from app.sandbox import Sandbox
from app.sandbox.worker_process import WorkerProcess

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def event_of_the_sdk(event_id: str) -> CloudEvent:
    attributes = {
        "id": event_id,
        "source": "urn:shop:sdk",
        "type": "PaymentSucceeded",
        "time": datetime(2025, 3, 1, 9, 30, tzinfo=UTC),
        "datacontenttype": "application/json",
        "correlationid": "checkout-sdk",
    }
    return CloudEvent(attributes=attributes, data=Payment(event_id, "stranger-sdk").fields())


def record_of_the_sdk(message: KafkaMessage) -> Record:
    return Record(message.value, tuple(message.headers.items()), b"order-stranger-sdk")


#: A customer with a past, then a payment that is unlike it.
PAST = [Payment(f"stranger-past-{number}", "stranger-known", number * 600) for number in range(3)]
FAILED = Payment("stranger-failed", "stranger-known", 1790, "PaymentFailed", {"reason": "card declined"})
CHARGEBACK = Payment("stranger-chargeback", "stranger-known", 1795, "ChargebackReceived")
SUSPECT = Payment(
    "stranger-suspect",
    "stranger-known",
    1800,
    data={"amount_minor": 80_000, "country": "BR", "device_id": "device-2"},
)

RECORDS = {
    "stranger-structured": Payment("stranger-structured", "stranger-1").structured(
        correlationid="checkout-structured", traceparent=TRACE
    ),
    "stranger-binary": Payment("stranger-binary", "stranger-2").binary(
        correlationid="checkout-binary", traceparent=TRACE
    ),
    "stranger-alone": Payment("stranger-alone", "stranger-3").structured(),
    "stranger-sdk-structured": record_of_the_sdk(
        to_structured(event_of_the_sdk("stranger-sdk-structured"), JSONFormat())
    ),
    "stranger-sdk-binary": record_of_the_sdk(to_binary(event_of_the_sdk("stranger-sdk-binary"), JSONFormat())),
    # One key: Kafka keeps the order of what one customer did.
    **{
        payment.event_id: replace(payment.structured(), key=b"stranger-known")
        for payment in (*PAST, FAILED, CHARGEBACK, SUSPECT)
    },
}
UNDECIDED = {"stranger-failed", "stranger-chargeback"}


@dataclass(frozen=True)
class Seen:
    """What the stranger finds afterwards."""

    scores: dict[str, list[dict[str, Any]]]
    headers: dict[bytes | None, list[tuple[tuple[str, bytes], ...]]]


@pytest.fixture(scope="module")
def seen(sandbox: Sandbox, first_worker: WorkerProcess) -> Seen:
    first_worker.start()
    asyncio.run(send(sandbox.kafka, list(RECORDS.values())))
    settled(sandbox.database_url, list(RECORDS.keys() - UNDECIDED))
    headers: dict[bytes | None, list[tuple[tuple[str, bytes], ...]]] = {}
    for record in read(sandbox.kafka, "payments"):
        if b'"FraudScored"' in (record.value or b""):
            headers.setdefault(record.key, []).append(record.headers)
    return Seen(scored(sandbox.kafka), headers)


def test_every_payment_gets_exactly_one_score_and_nothing_else_gets_any(seen: Seen) -> None:
    found = {event_id: len(seen.scores.get(event_id, ())) for event_id in RECORDS}

    assert found == {event_id: 0 if event_id in UNDECIDED else 1 for event_id in RECORDS}


@pytest.mark.parametrize("mode", ["structured", "binary"])
def test_a_score_names_its_cause_and_carries_the_story_on(seen: Seen, mode: str) -> None:
    [score] = seen.scores[f"stranger-{mode}"]

    assert {name: score[name] for name in ("specversion", "type", "source", "subject")} == {
        "specversion": "1.0",
        "type": "FraudScored",
        "source": "urn:innervate:agent:fraud",
        "subject": f"order-stranger-{mode}",
    }
    assert score["causationid"] == f"stranger-{mode}"
    assert score["correlationid"] == f"checkout-{mode}"
    assert score["traceparent"] == TRACE
    assert datetime.fromisoformat(score["time"]).tzinfo == UTC
    assert score["data"] == {
        "payment_id": f"pay-stranger-{mode}",
        "order_id": f"order-stranger-{mode}",
        "customer_id": {"structured": "stranger-1", "binary": "stranger-2"}[mode],
        "score": 0,
        "verdict": "approve",
        "reasons": [],
    }


def test_an_event_without_a_story_begins_one(seen: Seen) -> None:
    [score] = seen.scores["stranger-alone"]

    assert score["correlationid"] == "stranger-alone"
    assert "traceparent" not in score


@pytest.mark.parametrize("mode", ["structured", "binary"])
def test_events_of_the_cloudevents_sdk_are_understood(seen: Seen, mode: str) -> None:
    [score] = seen.scores[f"stranger-sdk-{mode}"]

    assert score["correlationid"] == "checkout-sdk"
    assert score["data"]["payment_id"] == f"pay-stranger-sdk-{mode}"


def test_a_score_is_a_structured_cloudevent_keyed_by_its_order(seen: Seen) -> None:
    assert seen.headers[b"order-stranger-alone"] == [(("content-type", b"application/cloudevents+json"),)]


def test_the_past_of_a_customer_counts(seen: Seen) -> None:
    [score] = seen.scores["stranger-suspect"]

    assert (score["data"]["score"], score["data"]["verdict"]) == (100, "block")
    assert score["data"]["reasons"] == [
        "amount: 26 times the customer's median (31.00 EUR)",
        "novelty: first payment from BR and from this device",
        "declines: 1 card declined within an hour",
        "disputes: 1 order charged back of 5 payments",
    ]


def test_the_decision_row_says_what_was_published(sandbox: Sandbox, seen: Seen) -> None:
    [row] = rows(
        sandbox.database_url,
        "SELECT whole_messages, agent, event_source, event_type, event_at, entity, entity_id, topic,"
        " plain_history(history)->'offsets',"
        " brain, model, outcome, reason, status FROM whole_decisions"
        " WHERE event_id = 'stranger-alone' AND agent = 'fraud'",
    )

    messages, *told = row
    assert told == [
        "fraud",
        "urn:shop:till",
        "PaymentSucceeded",
        datetime(2025, 3, 1, 9, 0, tzinfo=UTC),
        "customer",
        "stranger-3",
        "timeline-customer",
        [],
        "rules",
        None,
        "approve",
        "score 0: nothing unusual",
        "committed",
    ]
    [message], [score] = messages, seen.scores["stranger-alone"]
    assert (message["id"], message["topic"], message["value"]) == (score["id"], "payments", score)
