"""When an order may be packed: once, when it is known and paid, and again when told."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from fakes import history_of
from shop_catalogue import parse_data
from stories import captured, happened, placed

from agents.model.decision import Decision
from agents.shop.events import (
    FulfilmentCancelled,
    FulfilmentRequested,
    OrderCancelled,
    ShipmentDispatched,
    ShipmentRetryRequested,
)
from agents.shop.fulfilment.rules import request
from tables.event import Event


def decide(event: Event, *earlier: Event) -> Decision:
    data: Any = parse_data(event)
    return request(data, history_of(event, *earlier))


def told_to_retry() -> Event:
    return happened(ShipmentRetryRequested, "retry", 0, reason="try again")


@pytest.mark.parametrize("timeline", [*permutations([placed(90), captured("paid", 60), captured("again", 50, "p-2")])])
def test_an_order_is_requested_once_in_whatever_order_it_becomes_known_and_paid(timeline: tuple[Event, ...]) -> None:
    decisions = [decide(event, *timeline[:position]) for position, event in enumerate(timeline)]

    requests = [event for decision in decisions for event in decision.emit]

    first_paid = next(event for event in timeline if event.type == "PaymentSucceeded")
    assert requests == [
        FulfilmentRequested(order_id="o-1", customer_id="ada", payment_id=first_paid.data["payment_id"])
    ]


def test_a_retry_requests_the_order_again() -> None:
    decision = decide(told_to_retry(), placed(90), captured("paid", 60))

    assert decision.outcome == "retried"
    assert decision.emit == [FulfilmentRequested(order_id="o-1", customer_id="ada", payment_id="p-1")]


@pytest.mark.parametrize("earlier", [(), (placed(90),), (captured("paid", 60),)])
def test_there_is_nothing_to_retry_before_an_order_is_known_and_paid(earlier: tuple[Event, ...]) -> None:
    assert decide(told_to_retry(), *earlier).emit == ()


@pytest.mark.parametrize(
    "end",
    [
        happened(OrderCancelled, "end", 30, reason="no stock"),
        happened(FulfilmentCancelled, "end", 30, reason="fraud"),
        happened(ShipmentDispatched, "end", 30, carrier="post"),
    ],
    ids=lambda event: event.type,
)
def test_an_order_that_has_ended_is_not_requested_any_more(end: Event) -> None:
    decision = decide(told_to_retry(), placed(90), captured("paid", 60), end)

    assert (decision.outcome, decision.emit) == ("ended", ())
    assert decide(captured("paid", 0), placed(90), end).emit == ()
