"""An agent that leaves its decision to a model: go, wait, or what is not permitted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal

import orjson
from shop_catalogue import shop_history

from agents.model.agent import Agent
from agents.model.choice import Choice
from agents.model.decision import Decision
from agents.model.errors import OutsidePolicy, Violation
from agents.model.history import History
from agents.shop.entities import customer
from agents.shop.events import CustomerNotified, PaymentFailed, PaymentSucceeded
from tables.event import Event
from tables.window import WindowSpec

BY_RULES = Decision(outcome="wait", reason="by rules")
NOTE = CustomerNotified(order_id="o-1", customer_id="ada", message="fixed text")
BY_MODEL = Decision(outcome="go", reason="it looks fine", emit=(NOTE,))
GO = orjson.dumps({"rationale": "it looks fine", "what": "go"}).decode()
WAIT = orjson.dumps({"rationale": "too early", "what": "wait"}).decode()


class WatcherChoice(Choice):
    """Say whether to go."""

    what: Literal["go", "wait", "forbidden", "unknown", "bug"]


def watcher(*, on: Sequence[type[PaymentSucceeded | PaymentFailed]] = (), settled: Sequence[str] = ()) -> Agent:
    agent = Agent(
        name="watcher",
        entity=customer,
        reacts_to=(PaymentSucceeded, PaymentFailed),
        remembers=(PaymentSucceeded,),
        window=WindowSpec(events=5, age=timedelta(days=1)),
    )
    agent.rules(lambda _event, _history: BY_RULES)

    @agent.model(WatcherChoice, on=on, settled=settled)
    def chosen(choice: WatcherChoice, _event: PaymentSucceeded, _history: History, by_rules: Decision) -> Decision:
        if choice.what == "forbidden":
            raise OutsidePolicy(Violation.NOT_PERMITTED, "not here")
        if choice.what == "unknown":
            raise OutsidePolicy(Violation.UNKNOWN_EVENT, "no such event")
        if choice.what == "bug":
            raise KeyError("oops")
        return BY_MODEL if choice.what == "go" else by_rules

    return agent


def payment(event_id: str) -> History:
    """What the watcher knows when it decides on a first payment."""
    data = {
        "payment_id": f"p-{event_id}",
        "order_id": f"o-{event_id}",
        "customer_id": "ada",
        "amount_minor": 2000,
        "currency": "EUR",
        "method": "card",
        "country": "DE",
        "device_id": "d-1",
    }
    at = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
    return shop_history(Event(id=event_id, source="urn:test:shop", type="PaymentSucceeded", time=at, data=data), ())
