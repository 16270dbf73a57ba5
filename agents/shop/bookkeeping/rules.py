"""Bookkeeping: writes down what banks and others gave back of an order's payments, so that PostgreSQL knows of it.

What is told of is gone, so it is written down whatever it adds up to. When more was given back of a payment than it
took, or may have been, a person hears of it once.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from agents.model.agent import Agent
from agents.model.decision import Decision
from agents.model.history import History, Past, past_of
from agents.shop.entities import order as order_entity
from agents.shop.events import ChargebackReceived, DomainEvent, EscalationRequested, PaymentSucceeded, RefundIssued
from agents.shop.facts.account import Account
from agents.shop.given_back import GivenBack
from tables.window import WindowSpec

bookkeeping = Agent(
    name="bookkeeping",
    version="1",
    entity=order_entity,
    reacts_to=(ChargebackReceived, RefundIssued),
    remembers=(PaymentSucceeded, ChargebackReceived, RefundIssued),
    # Card schemes let no customer dispute a payment later than 540 days after it.
    window=WindowSpec(events=50, age=timedelta(days=540)),
)

#: What an escalation calls it: more was given back of a payment than it took.
BEYOND: Final = "given_back_beyond_capture"


@bookkeeping.rules
def record(event: ChargebackReceived | RefundIssued, history: History) -> Decision:
    """Write down what was given back."""
    account, payment_id = Account(), event.payment_id
    for past in history.of(DomainEvent):
        account.add(past)
    was_beyond = account.is_beyond(payment_id)
    received: Past[DomainEvent] = past_of(history.event, event)
    account.add(received)
    reports = (past.data for past in history.of(PaymentSucceeded) if past.data.payment_id == payment_id)
    effects = [GivenBack.of(event, next(reports, None))] if event.amount_minor else []
    if was_beyond or not account.is_beyond(payment_id):
        return Decision(outcome="recorded", reason=f"given back of payment {payment_id}", effects=effects)
    told = EscalationRequested(
        **order_entity.named(event.order_id),
        failure=BEYOND,
        reason=f"more was given back of payment {payment_id} than it took; {'; '.join(account.lines())}",
        evidence=(received.id,),
    )
    return Decision(outcome="beyond", reason=told.reason, effects=effects, emit=[told])
