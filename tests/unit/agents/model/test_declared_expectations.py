"""Expectations: what an agent may expect, and what is refused before anything runs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from agents import DomainInvalid, Expectation
from agents.model.agent import Agent
from agents.model.catalogue import Catalogue
from agents.model.decision import Decision
from agents.model.domain import Domain
from agents.shop.entities import customer, order
from agents.shop.events import OrderCancelled, OrderPlaced, PaymentSucceeded, ShipmentDispatched
from tables.window import WindowSpec

HOUR = timedelta(hours=1)


def expectation(**changes: Any) -> Expectation:
    given: dict[str, Any] = {
        "name": "shipped",
        "after": (PaymentSucceeded,),
        "until": (ShipmentDispatched,),
        "within": HOUR,
    }
    return Expectation(**given | changes)


def agent(expects: Any, remembers: Sequence[type[Any]] = (PaymentSucceeded, ShipmentDispatched)) -> Agent:
    made = Agent(
        name="watcher",
        entity=order,
        reacts_to=(PaymentSucceeded,),
        remembers=remembers,
        window=WindowSpec(events=5, age=timedelta(days=1)),
        expects=expects,
    )

    @made.rules
    def seen(_event: object, _history: object) -> Decision:
        return Decision(outcome="seen", reason="")

    return made


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"name": "Shipped"}, "lower-case"),
        ({"within": timedelta(0)}, "longer than nothing"),
        ({"after": ()}, "expected events"),
        ({"until": ()}, "expected events"),
        ({"until": (PaymentSucceeded,)}, "PaymentSucceeded is awaited and something else"),
        ({"void": (ShipmentDispatched,)}, "ShipmentDispatched is awaited and something else"),
        ({"void": (PaymentSucceeded,)}, "PaymentSucceeded begins and ends"),
    ],
)
def test_an_expectation_that_can_never_be_missed_or_met_is_refused(changes: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        expectation(**changes)


@pytest.mark.parametrize(
    "changes", [{"within": 3600}, {"until": ("ShipmentDispatched",)}, {"settled": "ended"}, {"void_if": True}]
)
def test_what_is_of_another_type_is_refused(changes: Any) -> None:
    with pytest.raises(TypeError, match="shipped"):
        expectation(**changes)


def test_an_agent_remembers_what_it_judges_its_expectations_by() -> None:
    with pytest.raises(ValueError, match=r"^agent watcher: expectation shipped: the agent does not remember Shipment"):
        agent((expectation(),), remembers=(PaymentSucceeded,))
    with pytest.raises(ValueError, match="does not remember OrderCancelled"):
        agent((expectation(void=(OrderCancelled,)),))


def test_an_expectation_begins_with_what_its_agent_decides_on() -> None:
    with pytest.raises(ValueError, match="begins with OrderPlaced, which the agent does not react to"):
        agent((expectation(after=(OrderPlaced,)),))


def test_a_window_outlives_what_is_expected() -> None:
    with pytest.raises(ValueError, match="its window must be older than 1 day"):
        agent((expectation(within=timedelta(days=1)),))


def test_two_expectations_of_one_agent_have_two_names() -> None:
    with pytest.raises(ValueError, match="two expectations are called shipped"):
        agent((expectation(), expectation(within=2 * HOUR)))


def test_an_agent_that_expects_something_needs_a_domain_that_tells_of_a_miss() -> None:
    events = (PaymentSucceeded, ShipmentDispatched)
    silent = Domain(name="silent", entities=[order, customer], events=events, agents=[agent((expectation(),))])
    with pytest.raises(DomainInvalid, match=r"agent watcher: it expects something, and no loaded domain tells"):
        Catalogue([silent])
