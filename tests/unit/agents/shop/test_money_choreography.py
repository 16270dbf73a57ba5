"""Whole sequences of a shop through all agents, in memory: whatever they make of it, no wrong refund leaves them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from choreography import Choreography

from tables.event import Event, to_json

TEN = datetime(2026, 11, 27, 10, tzinfo=UTC)
ORDER = {
    "items": [{"sku": "s1", "quantity": 1, "price_minor": 10_000}],
    "total_minor": 10_000,
    "currency": "EUR",
}
PAID = {"payment_id": "p-1", "currency": "EUR", "method": "card", "country": "DE", "device_id": "d1"}
FAILED = ("ErrorOccurred", {"service": "shipping-api", "step": "label", "error": "Timeout", "message": "timed out"})
SHORT = ("InventoryShort", {"sku": "s1", "wanted": 1, "available": 0})

Told = tuple[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Record:
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


def paid(payment_id: str, amount_minor: int, **rest: Any) -> Told:
    return "PaymentSucceeded", PAID | {"payment_id": payment_id, "amount_minor": amount_minor} | rest


def records(told: Iterable[Told]) -> list[Record]:
    """One event every ten seconds from ten o'clock, of one order."""
    return [
        Record(
            to_json(
                Event(
                    id=f"e-{number}",
                    source="urn:shop",
                    type=kind,
                    time=TEN + timedelta(seconds=10 * number),
                    data={"order_id": "o-1", "customer_id": "c-1"} | dict(data),
                )
            )
        )
        for number, (kind, data) in zip(count(), told, strict=False)
    ]


def refunds(published: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    issued = [event["data"] for event in published if event["type"] == "RefundIssued"]
    return {refund["payment_id"]: refund["amount_minor"] for refund in issued}


SPLIT = (("OrderPlaced", ORDER), paid("p-gift", 6000, method="giftcard"), paid("p-card", 4000))


@pytest.mark.parametrize("latency", [0, 3, 40])
@pytest.mark.parametrize(
    "told",
    [
        (*SPLIT, FAILED),
        (*SPLIT, FAILED, FAILED, FAILED),
        (
            ("OrderPlaced", ORDER),
            ("PriceChanged", {"sku": "s1", "old_minor": 10_000, "new_minor": 10_500}),
            paid("p-1", 17_250, currency="JPY"),
            FAILED,
        ),
        (("OrderPlaced", ORDER), paid("p-1", 6000), paid("p-1", 4000), SHORT, FAILED),
        (("OrderPlaced", ORDER), paid("p-check", 100), paid("p-1", 10_000), FAILED),
    ],
    ids=["split-tender", "split-tender-failing-thrice", "paid-in-yen", "two-captures-of-one-id", "check-of-the-card"],
)
def test_no_money_moves_where_accounts_disagree_and_a_person_hears(told: Sequence[Told], latency: int) -> None:
    result = Choreography(latency=lambda _: latency).run(records(told))

    kinds = {event["type"] for event in result.published}
    assert refunds(result.published) == {}
    assert "EscalationRequested" in kinds
    assert not {"OrderCancelled", "LedgerEntryPosted"} & kinds


@pytest.mark.parametrize("latency", [0, 3, 40])
def test_one_payment_reported_six_times_is_approved_each_time_and_given_back_once(latency: int) -> None:
    told = [("OrderPlaced", ORDER), *[paid("p-1", 10_000)] * 6, SHORT, FAILED]

    result = Choreography(latency=lambda _: latency).run(records(told))

    assert [outcome for (agent, _), outcome in result.outcomes().items() if agent == "fraud"] == ["approve"] * 6
    assert refunds(result.published) == {"p-1": 10_000}
    assert sum(event["type"] == "RefundIssued" for event in result.published) == 1


def test_both_tenders_of_an_order_that_cannot_be_delivered_come_back() -> None:
    result = Choreography().run(records([*SPLIT, SHORT, FAILED]))

    assert refunds(result.published) == {"p-gift": 6000, "p-card": 4000}


def test_sixty_errors_ask_a_person_once_and_do_not_push_out_what_was_paid() -> None:
    told = [("OrderPlaced", ORDER), paid("p-1", 10_000), *[FAILED] * 60, SHORT, FAILED]

    result = Choreography().run(records(told))

    asked = [event["data"]["failure"] for event in result.published if event["type"] == "EscalationRequested"]
    assert asked == ["unknown"]
    assert refunds(result.published) == {"p-1": 10_000}


def test_the_customers_own_cancellation_gives_back_what_is_paid_before_and_after_it() -> None:
    told = [
        ("OrderPlaced", ORDER),
        paid("p-1", 6000),
        paid("p-2", 4000),
        ("OrderCancelled", {"reason": "changed my mind"}),
        paid("p-3", 10_000),
    ]

    result = Choreography().run(records(told))

    assert refunds(result.published) == {"p-1": 6000, "p-2": 4000, "p-3": 10_000}
    assert [event["type"] for event in result.published].count("CustomerNotified") == 1
