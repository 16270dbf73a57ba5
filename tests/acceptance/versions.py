"""Other versions of an agent, as a team writes them in a module of its own."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from agents.model.agent import Agent
from agents.model.decision import Decision
from agents.model.history import History
from agents.shop.entities import customer
from agents.shop.events import ChargebackReceived, FraudScored, PaymentFailed, PaymentSucceeded
from agents.shop.fraud.rules import fraud
from tables.window import WindowSpec

strict = Agent(
    name="fraud",
    entity=customer,
    reacts_to=(PaymentSucceeded,),
    remembers=(PaymentSucceeded, PaymentFailed, ChargebackReceived),
    window=WindowSpec(events=50, age=timedelta(days=30)),
)


@strict.rules
def block_from_25_20(payment: PaymentSucceeded, history: History) -> Decision:
    """As live, but from 25.20 on every payment is blocked, and at 25.99 there is a bug."""
    live = fraud.by_rules(history)
    if payment.amount_minor == 2599:
        raise KeyError("a bug")
    if payment.amount_minor < 2520:
        return live
    [scored] = live.emit
    assert isinstance(scored, FraudScored)
    blocked = scored.model_copy(update={"verdict": "block", "score": 100})
    return replace(live, outcome="block", reason="25.20 or more", emit=[blocked])


def _fraud_remembering(*kinds: type) -> Agent:
    agent = Agent(
        name="fraud",
        entity=customer,
        reacts_to=(PaymentSucceeded,),
        remembers=kinds,
        window=WindowSpec(events=8, age=timedelta(days=30)),
    )

    @agent.rules
    def count(_: PaymentSucceeded, history: History) -> Decision:
        return Decision(outcome="counted", reason=f"{len(history.entries)} known")

    return agent


payments_only = _fraud_remembering(PaymentSucceeded)
with_failures = _fraud_remembering(PaymentSucceeded, PaymentFailed)
