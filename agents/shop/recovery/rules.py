"""Recovery: undoes what went wrong with an order, by the plan for exactly this failure in this state (see `plans`).

A verdict counts when an agent published it, or a source that is trusted, and when recovery finds the failure and its
culprit open in its own window (see `verdicts`); any other, and one that is a guess, goes to a person, who is asked once
about each failure of an order. Each culprit is recovered from once, however many errors it causes. No more is given
back than the order owes by its own account (`agents.shop.facts.account`), and PostgreSQL holds refunds within what was
captured, whatever the events say.

What was decided before is derived from the events that led to it. A plan that was not carried out, because a person
said no or a language model left it to one, is known by the escalation published in its place. Until that has come back
the plan counts as carried out: nothing is given back twice, but what is paid meanwhile for an order it stops is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable
from datetime import timedelta
from typing import Final

from agents.model.agent import Agent
from agents.model.decision import Decision
from agents.model.history import History, agent_source, past_of
from agents.shop.entities import order
from agents.shop.events import (
    AddressChanged,
    ChargebackReceived,
    DomainEvent,
    EscalationRequested,
    FraudScored,
    FulfilmentCancelled,
    FulfilmentRequested,
    InventoryReserved,
    InventoryShort,
    LabelFailed,
    OrderCancelled,
    OrderPlaced,
    PaymentSucceeded,
    PriceChanged,
    RefundIssued,
    RootCauseIdentified,
    ShipmentBooked,
    ShipmentDispatched,
)
from agents.shop.recovery.answers import answer_to
from agents.shop.recovery.order_state import Done, OrderState
from agents.shop.recovery.verdicts import Verdicts
from tables.window import WindowSpec

recovery = Agent(
    name="recovery",
    version="1",
    entity=order,
    reacts_to=(RootCauseIdentified, FraudScored, FulfilmentRequested, OrderCancelled, AddressChanged),
    remembers=(
        RootCauseIdentified,
        FraudScored,
        FulfilmentRequested,
        FulfilmentCancelled,
        OrderPlaced,
        OrderCancelled,
        PaymentSucceeded,
        RefundIssued,
        ChargebackReceived,
        PriceChanged,
        AddressChanged,
        InventoryReserved,
        InventoryShort,
        LabelFailed,
        ShipmentBooked,
        ShipmentDispatched,
        EscalationRequested,
    ),
    window=WindowSpec(events=50, age=timedelta(days=90)),
    # However often an order fails: what is said of that cannot push out what was paid and ordered.
    slots={(RootCauseIdentified, EscalationRequested): 50},
)

#: The source of recovery's own messages.
_OWN: Final = agent_source(recovery.name)


@recovery.rules
def recover(
    event: RootCauseIdentified | FraudScored | FulfilmentRequested | OrderCancelled | AddressChanged, history: History
) -> Decision:
    """Decide on the compensation, knowing what the events before this one have led to."""
    verdicts = Verdicts(history)
    answer = answer_to(past_of(history.event, event), _state(history, verdicts), verdicts, len(history.entries))
    return Decision(
        outcome=answer.outcome,
        reason=answer.reason,
        confidence=answer.confidence,
        effects=answer.compensation.effects,
        emit=answer.compensation.emit,
        otherwise=answer.otherwise,
    )


def _state(history: History, verdicts: Verdicts) -> OrderState:
    """Decide on each event as it was decided on then: an escalation counts from its place in the log on."""
    state = OrderState()
    # What a person may have said no to, by the id an escalation names: another producer's event may have the same.
    open_to_a_person: dict[str, dict[Hashable, Done]] = defaultdict(dict)
    for place, earlier in history.placed(DomainEvent):
        if isinstance(earlier.data, EscalationRequested) and earlier.source == _OWN:
            named = open_to_a_person.get(earlier.causationid or "", {})
            if len(named) == 1:
                [(cause, left_to_a_person)] = named.items()
                state.put_down(cause, left_to_a_person)
        else:
            answer = answer_to(earlier, state, verdicts, place)
            cause = (earlier.source, earlier.id)
            state.put_down(cause, answer.does)
            if answer.otherwise:
                open_to_a_person[earlier.id][cause] = answer.left_to_a_person
        state.add(earlier)
    return state
