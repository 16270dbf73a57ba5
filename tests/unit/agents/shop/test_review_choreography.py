"""A payment under review, through all agents in memory: the parcel is held until a person has looked, and only then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from choreography import Choreography

from app.testing.choreography import Answer
from tables.event import Event, to_json

TEN = datetime(2026, 11, 27, 10, tzinfo=UTC)
PLACED = (
    "OrderPlaced",
    {"items": [{"sku": "s1", "quantity": 1, "price_minor": 9000}], "total_minor": 9000, "currency": "EUR"},
)
PAYMENT = {"payment_id": "p-1", "amount_minor": 9000, "currency": "EUR"}
PAID = ("PaymentSucceeded", PAYMENT | {"method": "card", "country": "DE", "device_id": "d1"})
SCORED = ("FraudScored", {"payment_id": "p-1", "score": 60, "verdict": "review", "reasons": []})
RETRY = ("ShipmentRetryRequested", {"reason": "the label failed"})

Told = tuple[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Record:
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


def shipping(told: Sequence[Told], answer: Answer, latency: int) -> list[str]:
    """What comes to the topic of shipping, and who hears of it, when people answer so."""
    records = []
    for number, (kind, data) in enumerate(told):
        source = "urn:innervate:agent:fraud" if kind == "FraudScored" else "urn:shop"
        event = Event(
            id=f"e-{number}", source=source, type=kind, time=TEN + timedelta(minutes=number),
            data={"order_id": "o-1", "customer_id": "ada"} | dict(data),
        )  # fmt: skip
        records.append(Record(to_json(event)))
    ran = Choreography(latency=lambda _: latency, answer=answer).run(records)
    kinds = {"FulfilmentRequested", "FulfilmentCancelled", "EscalationRequested"}
    return [event["type"] for event in ran.published if event["type"] in kinds]


@pytest.mark.parametrize("latency", [0, 1, 9])
@pytest.mark.parametrize("told", [(PLACED, PAID, SCORED), (PAID, PLACED, SCORED)], ids=["placed", "paid-first"])
def test_what_a_person_agrees_to_is_packed_and_stays_so(told: Sequence[Told], latency: int) -> None:
    said = shipping(told, "approve", latency)

    assert said.count("FulfilmentRequested") == 2
    assert said.count("FulfilmentCancelled") == 1
    assert "EscalationRequested" not in said


@pytest.mark.parametrize("latency", [0, 1, 9])
def test_what_a_person_says_no_to_is_called_off_and_heard_and_no_retry_packs_it(latency: int) -> None:
    said = shipping((PLACED, PAID, SCORED, RETRY), "reject", latency)

    assert said.count("FulfilmentRequested") == 1
    assert "EscalationRequested" in said


@pytest.mark.parametrize("answer", ["wait", "reject"])
def test_a_review_before_the_order_is_known_packs_nothing_without_a_yes(answer: Answer) -> None:
    assert "FulfilmentRequested" not in shipping((PAID, SCORED, PLACED, RETRY), answer, 0)


def test_a_review_before_the_order_is_known_is_packed_by_a_yes() -> None:
    assert shipping((PAID, SCORED, PLACED), "approve", 0) == ["FulfilmentRequested"]
