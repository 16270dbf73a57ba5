"""Recovery's choice: the plan of the table for this failure in this state, or a person.

A model carries out no plan that the table does not have for exactly this case, so it can withhold a compensation but
never make one up, enlarge one or send one elsewhere. When it escalates, the escalation is the one that is published
when a person rejects the plan: by it recovery knows later on that nothing was given back.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field

from agents.model.choice import Choice
from agents.model.decision import Decision
from agents.model.forms import not_permitted, told
from agents.model.history import History
from agents.shop.events import RootCauseIdentified
from agents.shop.recovery.plans import ESCALATE
from agents.shop.recovery.rules import recovery


class RecoveryChoice(Choice):
    """Choose how the failure of the order that the verdict names is made good.

    There is one plan for each failure in each state of an order, and it can always be left to a person instead
    ("escalate"); no other answer is accepted. Choose the plan when the events show what the verdict says, and
    "escalate" when they speak against it. Amounts and messages follow from the plan and are not yours to choose.
    """

    plan: Annotated[
        Literal[
            "refund_and_cancel",
            "cancel",
            "refund_capture",
            "refunded_before",
            "retry_shipment",
            "ask_for_address",
            "tried_before",
            "nothing_to_ship",
            "refund_difference",
            "refund_and_stop",
            "stop",
            "escalate",
        ],
        Field(
            description=(
                "stock_shortage: refund_and_cancel, or cancel when nothing is paid. duplicate_capture: refund_capture. "
                "label_failed: retry_shipment. address_invalid: ask_for_address, or retry_shipment when it was "
                "corrected. price_changed: refund_difference. Other failures, and escalate: a person decides."
            )
        ),
    ]


@recovery.model(
    RecoveryChoice,
    on=(RootCauseIdentified,),
    settled=(
        "already_recovered",
        "already_escalated",
        "already_done",
        "refunded_before",
        "tried_before",
        "nothing_to_ship",
        "left_to_operators",
        "escalate",
    ),
)
def recover(choice: RecoveryChoice, _event: RootCauseIdentified, _history: History, by_rules: Decision) -> Decision:
    """Carry out the plan of the table, or leave it to a person."""
    if choice.plan == by_rules.outcome:
        return replace(by_rules, reason=told(by_rules.outcome, by_rules, choice))
    if choice.plan != ESCALATE.name:
        raise not_permitted(f"the plan for this case is {by_rules.outcome}, and {choice.plan} is another")
    return Decision(
        outcome=ESCALATE.name,
        reason=told(ESCALATE.name, by_rules, choice),
        confidence=by_rules.confidence,
        emit=by_rules.otherwise,
    )
