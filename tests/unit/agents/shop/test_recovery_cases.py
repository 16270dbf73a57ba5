"""The table of cases (`recovery_cases`): each comes out as it is written, whether messages are back early or late."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from fakes import history_of
from recovery_cases import CASES, Case
from test_recovery import decide, published

from agents.model.decision import Decision
from agents.shop.events import EscalationRequested
from agents.shop.recovery.rules import recovery
from agents.shop.refunds import Refund
from tables.event import Event


@dataclass
class Played:
    """What came of all events of a case together."""

    back: Counter[str] = field(default_factory=Counter)
    said: Counter[str] = field(default_factory=Counter)
    decisions: list[Decision] = field(default_factory=list)
    refund_ids: list[str] = field(default_factory=list)


def play(events: Sequence[Event], *, comes_back: bool) -> Played:
    """Decide on each event that recovery reacts to; what it says is in the log behind it, or not yet."""
    played, log = Played(), list[Event]()
    for event in events:
        if event.type in recovery.reacts_to:
            decision = decide(event, *log)
            played.decisions.append(decision)
            refunds = [effect for effect in decision.effects if isinstance(effect, Refund)]
            played.back.update({refund.payment_id: refund.amount_minor for refund in refunds})
            played.refund_ids += [refund.refund_id for refund in refunds]
            played.said.update(type(each).__name__ for each in decision.emit)
            log.append(event)
            log += published(decision.events, event) if comes_back else []
        else:
            log.append(event)
    return played


@pytest.mark.parametrize("comes_back", [False, True], ids=["not-back", "back"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_each_case_comes_out_as_it_is_written(case: Case, comes_back: bool) -> None:
    played = play(case.events, comes_back=comes_back)

    assert dict(played.back) == case.back
    assert played.said == +Counter(
        EscalationRequested=case.escalated,
        OrderCancelled=case.cancelled,
        FulfilmentCancelled=case.called_off,
        CustomerNotified=case.told,
        ShipmentRetryRequested=case.retried,
    )
    assert len(set(played.refund_ids)) == len(played.refund_ids)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_who_is_asked_is_given_the_account_line_by_line(case: Case) -> None:
    decisions = play(case.events, comes_back=False).decisions
    asked = [event for each in decisions for event in each.emit if isinstance(event, EscalationRequested)]

    captures = {event.data["payment_id"] for event in case.events if event.type == "PaymentSucceeded"}
    for escalation in asked:
        assert "the order is " in escalation.reason
        # Of more than 20 pieces the first are told.
        assert len(captures) > 20 or all(f"payment {each}: " in escalation.reason for each in captures)


def test_the_table_has_cases_of_every_plan() -> None:
    outcomes = {each.outcome for case in CASES.values() for each in play(case.events, comes_back=False).decisions}

    assert len(CASES) >= 60
    assert outcomes >= {
        "refund_and_cancel", "cancel", "refund_capture", "refunded_before", "retry_shipment", "ask_for_address",
        "tried_before", "nothing_to_ship", "refund_difference", "refund_and_stop", "stop", "escalate", "already_done",
        "already_recovered", "already_escalated", "packing_held", "fulfilment_cancelled", "refund_late_payment",
        "not_trusted", "not_blocked", "nothing",
    }  # fmt: skip


def test_it_is_said_how_often_there_was_a_reason_to_ask() -> None:
    events = CASES["verdict: sixty errors without a cause"].events

    decision = decide(events[-1], *events[:-1])

    assert "a person was asked about unknown before; there were 59 reasons to ask so far" in decision.reason
    assert not recovery.leaves_open(history_of(events[-1], *events[:-1]), decision)
