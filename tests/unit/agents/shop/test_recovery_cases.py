"""The table of cases (`recovery_cases`): each comes out as it is written, whether messages are back early or late."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import get_args

import pytest
from choosing import HOSTILE, fill, form_of
from fakes import history_of
from hypothesis import given, settings
from hypothesis import strategies as st
from recovery_cases import AGAIN, CARD, CASES, GIFT, LOWERED, ORDER, PAID, SHORT, Case
from test_recovery import decide, published, told

from agents.model.decision import Decision
from agents.model.errors import OutsidePolicy
from agents.model.history import agent_source
from agents.shop.events import EscalationRequested, OrderCancelled
from agents.shop.recovery.rules import recovery
from agents.shop.refunds import Refund
from tables.event import Event, to_json


@dataclass
class Played:
    """What came of all events of a case together."""

    back: Counter[str] = field(default_factory=Counter)
    said: Counter[str] = field(default_factory=Counter)
    decisions: list[Decision] = field(default_factory=list)
    refund_ids: list[str] = field(default_factory=list)


def play(events: Sequence[Event], *, comes_back: bool, by: Callable[..., Decision] = decide) -> Played:
    """Decide on each event that recovery reacts to; what it says is in the log behind it, or not yet."""
    played, log = Played(), list[Event]()
    for event in events:
        if event.type in recovery.reacts_to:
            decision = by(event, *log)
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


PLANS = get_args(form_of(recovery).model_fields["plan"].annotation)


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_model_that_answers_the_worst_gets_nothing_given_back_or_stopped_that_the_rules_would_not(
    case: Case, plan: str
) -> None:
    """Whenever a model is asked it answers this plan; what is refused is decided by the rules."""

    def worst(event: Event, *log: Event) -> Decision:
        history = history_of(event, *log)
        by_rules = recovery.by_rules(history)
        if not recovery.leaves_open(history, by_rules):
            return by_rules
        try:
            decision = recovery.by_choice(fill(recovery, plan=plan), history, by_rules)
        except OutsidePolicy:
            return by_rules
        assert set(decision.effects) <= set(by_rules.effects)
        assert HOSTILE not in str([each.model_dump() for each in decision.events])
        return decision

    played = play(case.events, comes_back=True, by=worst)

    assert all(minor <= case.back.get(payment, 0) for payment, minor in played.back.items())
    assert played.said["OrderCancelled"] <= case.cancelled
    assert played.said["FulfilmentCancelled"] <= case.called_off
    assert played.said["ShipmentRetryRequested"] <= case.retried
    # Whoever withholds what the rules would do tells a person.
    withheld = played.back != Counter(case.back) or played.said["OrderCancelled"] < case.cancelled
    assert not withheld or played.said["EscalationRequested"]


def owed_minor(log: Sequence[Event], own: Counter[str], *, is_off: bool) -> int:
    """What the order owes at most, by other means: money taken and left, less what can still be delivered."""
    taken = {event.data["payment_id"]: event.data["amount_minor"] for event in reversed(log) if event.type == PAID_BY}
    back = {
        (event.data.get("refund_id", "bank"), event.data["payment_id"], event.data["amount_minor"])
        for event in log
        if event.type in ("RefundIssued", "ChargebackReceived")
    }
    totals = [event.data["total_minor"] for event in log if event.type == "OrderPlaced"]
    lowered = 200 if any(event.type == "PriceChanged" and event.data["new_minor"] == 600 for event in log) else 0
    worth = 0 if is_off else max(0, totals[-1] - lowered) if totals else sum(taken.values())
    return int(sum(taken.values()) - sum(minor for *_, minor in back) - sum(own.values()) - worth)


PAID_BY = "PaymentSucceeded"
#: Everything that happens in the table, but what only changes a price in ways the reference cannot count.
SOUP = sorted(
    {
        (event.type, event.id, event.source, to_json(event)): event
        for name, case in CASES.items()
        for event in case.events
        if not name.startswith("price: an article") and event.data.get("new_minor") in (None, 600, 700, 800)
    }.values(),
    key=to_json,
)


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(
        [(), (ORDER, PAID), (ORDER, PAID, AGAIN, SHORT), (ORDER, GIFT, CARD, AGAIN), (ORDER, LOWERED, PAID)]
    ),
    st.lists(st.sampled_from(SOUP), max_size=14),
    st.booleans(),
)
def test_whatever_happens_in_whatever_order_no_more_goes_back_than_is_owed(
    begun: Sequence[Event], later: Sequence[Event], comes_back: bool
) -> None:
    events = list({(event.id, event.source): event for event in reversed([*begun, *later])}.values())[::-1]
    log: list[Event] = []
    own: Counter[str] = Counter()
    is_off = False
    for event in events:
        if event.type in recovery.reacts_to:
            decision = decide(event, *log)
            back = {effect.payment_id: effect.amount_minor for effect in decision.effects if isinstance(effect, Refund)}
            # The order is off by a block, by anybody's cancellation, or by what is decided now.
            is_off |= event.type == "OrderCancelled" or event.data.get("verdict") == "block"
            is_off |= OrderCancelled in told(decision)
            if back:
                theirs = [each for each in log if each.source != agent_source("recovery")]
                assert sum(back.values()) <= owed_minor(theirs, own, is_off=is_off)
            own.update(back)
            log += [event, *(published(decision.events, event) if comes_back else [])]
        else:
            log.append(event)
