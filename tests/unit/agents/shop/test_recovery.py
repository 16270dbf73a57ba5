"""Which compensation answers which failure of an order in which state, and that nothing is done twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from fakes import NOON, history_of
from hypothesis import given
from hypothesis import strategies as st
from shop_catalogue import EVENT_TYPES, parse_data
from stories import captured, happened, label, moved, placed, priced, refunded, short

from agents.engine.record import decision_record
from agents.model.agent import Agent
from agents.model.catalogue import Catalogue
from agents.model.decision import Decision, Verdict
from agents.model.history import agent_source
from agents.platform.incident.rules import incident
from agents.shop import shop
from agents.shop.entities import order
from agents.shop.events import (
    CustomerNotified,
    DomainEvent,
    EscalationRequested,
    FraudScored,
    FulfilmentCancelled,
    FulfilmentRequested,
    OrderCancelled,
    RootCauseIdentified,
    ShipmentDispatched,
    ShipmentRetryRequested,
)
from agents.shop.fulfilment.rules import fulfilment
from agents.shop.recovery.plans import TABLE
from agents.shop.recovery.rules import recover, recovery
from agents.shop.refunds import Refund
from outbox.records import Origin
from tables.event import Event, parse

PAID = (placed(90), captured("paid", 60))


def verdict(failure: str, culprit: str | None, event_id: str = "verdict", confidence: float = 0.9) -> Event:
    return happened(
        RootCauseIdentified,
        event_id,
        0,
        service="checkout",
        failure=failure,
        error_event_id=f"error of {event_id}",
        culprit_event_id=culprit,
        confidence=confidence,
        evidence=["seen-1", "seen-2"],
        alternatives=[],
        source=agent_source("root_cause"),
    )


def scored(payment_id: str = "p-1", kind: str = "block", event_id: str = "score", **rest: Any) -> Event:
    judged: dict[str, Any] = {"score": 80, "verdict": kind, "reasons": [], "source": agent_source("fraud")}
    return happened(FraudScored, event_id, 0, payment_id=payment_id, **(judged | rest))


def requested(event_id: str = "requested") -> Event:
    return happened(FulfilmentRequested, event_id, 50, payment_id="p-1")


def dispatched() -> Event:
    return happened(ShipmentDispatched, "dispatched", 20, carrier="post")


def decide(event: Event, *earlier: Event) -> Decision:
    data: Any = parse_data(event)
    return recover(data, history_of(event, *earlier))


def published(events: Sequence[DomainEvent], cause: Event, by: Agent = recovery) -> list[Event]:
    """What an agent says after a cause, as it comes back in the timeline."""
    verdict_of_all = Verdict(decision=Decision(outcome="said", reason="", emit=events), brain="rules")
    origin = Origin(topic="timeline-order", partition=0, offset=0, at=NOON)
    record = decision_record(by, history_of(cause), verdict_of_all, origin=origin, entity_id="o-1", decided_at=NOON)
    return [parse(message.value, ()) for message in record.messages]


def given_back(decision: Decision) -> dict[str, int]:
    refunds = [effect for effect in decision.effects if isinstance(effect, Refund)]
    assert len(refunds) == len(decision.effects)
    return {refund.payment_id: refund.amount_minor for refund in refunds}


def told(decision: Decision) -> list[type[DomainEvent]]:
    return [type(event) for event in decision.emit]


def test_a_shortage_refunds_what_was_captured_cancels_and_notifies() -> None:
    decision = decide(verdict("stock_shortage", "short"), *PAID, short("short", 40))

    assert given_back(decision) == {"p-1": 2000}
    assert told(decision) == [OrderCancelled, CustomerNotified]
    assert "20.00 EUR" in decision.emit[1].model_dump()["message"]


def test_a_shortage_before_the_payment_cancels_and_notifies_without_a_refund() -> None:
    decision = decide(verdict("stock_shortage", "short"), placed(), short("short", 40))

    assert (decision.outcome, given_back(decision), told(decision)) == (
        "cancel",
        {},
        [OrderCancelled, CustomerNotified],
    )


def test_a_shortage_of_an_order_that_is_on_its_way_is_for_a_person() -> None:
    decision = decide(verdict("stock_shortage", "short"), *PAID, short("short", 40), dispatched())

    assert (given_back(decision), told(decision)) == ({}, [EscalationRequested])


def test_a_duplicate_capture_refunds_the_later_capture_only() -> None:
    decision = decide(verdict("duplicate_capture", "again"), *PAID, captured("again", 40, "p-2"))

    assert (given_back(decision), told(decision)) == ({"p-2": 2000}, [CustomerNotified])


def test_the_only_capture_left_is_never_refunded_as_a_duplicate() -> None:
    twice = (*PAID, captured("again", 40, "p-2"))

    given_back_before = decide(verdict("duplicate_capture", "paid"), *twice, refunded("r-1", 30, "p-2"))
    reported_twice = decide(verdict("duplicate_capture", "again"), *PAID, captured("again", 40, "p-1"))

    assert (given_back_before.outcome, given_back(given_back_before)) == ("refunded_before", {})
    assert (given_back(reported_twice), told(reported_twice)) == ({}, [EscalationRequested])


def test_a_failed_label_is_tried_again_without_a_refund() -> None:
    decision = decide(verdict("label_failed", "label"), *PAID, label("label", 40))

    assert (given_back(decision), told(decision)) == ({}, [ShipmentRetryRequested])


def test_a_label_is_tried_again_three_times_and_then_a_person_looks() -> None:
    timeline: list[Event] = [*PAID]
    answers = []
    for attempt in range(4):
        timeline.append(label(f"label-{attempt}", 40 - attempt))
        found = verdict("label_failed", f"label-{attempt}", f"verdict-{attempt}")
        answers.append(told(decide(found, *timeline)))
        timeline.append(found)

    assert answers == [[ShipmentRetryRequested]] * 3 + [[EscalationRequested]]


def test_an_invalid_address_asks_the_customer_and_refunds_nothing() -> None:
    decision = decide(verdict("address_invalid", "moved"), *PAID, moved("moved", 40, valid=False), label("label", 30))

    assert (given_back(decision), told(decision)) == ({}, [CustomerNotified])


def test_an_address_corrected_since_the_error_is_shipped_to() -> None:
    wrong, right = moved("moved", 40, valid=False), moved("right", -1, valid=True)

    assert told(decide(verdict("address_invalid", "moved"), *PAID, wrong, right)) == [ShipmentRetryRequested]


@pytest.mark.parametrize(
    ("old", "new", "captured_minor", "back"),
    [
        (700, 800, 2200, {"p-1": 200}),
        (700, 600, 2000, {"p-1": 200}),
        (700, 800, 2000, {}),
        (700, 600, 1800, {}),
    ],
    ids=["raised-and-taken", "lowered-and-not-taken-off", "raised-and-not-taken", "lowered-and-taken-off"],
)
def test_a_changed_price_refunds_what_was_paid_too_much_and_else_asks_a_person(
    old: int, new: int, captured_minor: int, back: dict[str, int]
) -> None:
    timeline = (placed(90), priced("change", 70, old, new), captured("paid", 60, amount_minor=captured_minor))

    decision = decide(verdict("price_changed", "change"), *timeline)

    assert given_back(decision) == back
    assert told(decision) == ([CustomerNotified] if back else [EscalationRequested])


def test_a_price_that_was_taken_back_or_is_of_another_article_or_came_too_late_changes_nothing() -> None:
    changes = (
        priced("up", 80, 700, 900),
        priced("down", 79, 900, 700),
        priced("other", 78, 100, 900, "spoon"),
        priced("true", 70, 600, 650, "cup"),
    )
    late = priced("late", 50, 700, 100)
    paid = captured("paid", 60, amount_minor=2050)
    decision = decide(verdict("price_changed", "true"), placed(90), *changes, paid, late)

    assert given_back(decision) == {"p-1": 50}


@pytest.mark.parametrize(
    ("failure", "culprit"), [("bad_deployment", "d-1"), ("bad_configuration", "c-1"), ("unknown", None), ("new", None)]
)
def test_what_no_order_can_make_good_is_escalated_with_its_evidence(failure: str, culprit: str | None) -> None:
    decision = decide(verdict(failure, culprit), *PAID)

    [escalation] = decision.emit
    assert given_back(decision) == {}
    assert isinstance(escalation, EscalationRequested)
    assert (escalation.failure, escalation.service, escalation.evidence) == (failure, "checkout", ("seen-1", "seen-2"))


@pytest.mark.parametrize("failure", ["bad_deployment", "bad_configuration"])
def test_what_operators_were_told_of_once_for_all_orders_is_not_escalated_for_each(failure: str) -> None:
    found = verdict(failure, "d-1")
    by_incident = replace(found, source=agent_source("incident"))
    guess = replace(by_incident, data={**found.data, "confidence": 0.49})

    assert (decide(by_incident, *PAID).outcome, told(decide(by_incident, *PAID))) == ("left_to_operators", [])
    assert told(decide(guess, *PAID)) == told(decide(found, *PAID)) == [EscalationRequested]


@pytest.mark.parametrize(
    "found",
    [
        verdict("stock_shortage", "short", confidence=0.49),
        verdict("stock_shortage", "nowhere"),
        verdict("stock_shortage", "paid"),
        verdict("duplicate_capture", "short"),
    ],
    ids=["a-guess", "a-culprit-not-known-here", "a-culprit-that-is-no-shortage", "a-culprit-that-is-no-capture"],
)
def test_a_verdict_that_is_a_guess_or_not_backed_by_the_events_moves_no_money(found: Event) -> None:
    decision = decide(found, *PAID, short("short", 40))

    assert (given_back(decision), told(decision)) == ({}, [EscalationRequested])


def test_a_blocked_payment_is_refunded_in_full_and_begun_fulfilment_cancelled() -> None:
    begun = decide(scored(), *PAID, requested())
    not_begun = decide(scored(), *PAID)

    assert (given_back(begun), told(begun)) == ({"p-1": 2000}, [FulfilmentCancelled])
    assert (given_back(not_begun), told(not_begun)) == ({"p-1": 2000}, [])


def test_fulfilment_requested_after_the_block_is_cancelled_then() -> None:
    decision = decide(requested(), *PAID, scored())

    assert (given_back(decision), told(decision)) == ({}, [FulfilmentCancelled])


def test_a_payment_taken_after_the_order_was_stopped_is_given_back_too() -> None:
    timeline = (*PAID, short("short", 40), verdict("stock_shortage", "short"), captured("late", 5, "p-2"))

    decision = decide(scored("p-2", "approve"), *timeline)

    assert given_back(decision) == {"p-2": 2000}


def test_a_blocked_payment_that_is_not_known_is_for_a_person() -> None:
    assert told(decide(scored(), placed(90))) == [EscalationRequested]


def test_a_payment_that_is_approved_leads_to_nothing() -> None:
    decision = decide(scored(kind="approve"), *PAID, requested())

    assert (decision.outcome, told(decision), given_back(decision)) == ("not_blocked", [], {})


def test_a_culprit_is_recovered_from_once_before_the_messages_of_the_first_time_are_back() -> None:
    timeline = (*PAID, short("short", 40), verdict("stock_shortage", "short", "first"))

    decision = decide(verdict("stock_shortage", "short", "second"), *timeline)

    assert (decision.outcome, told(decision), given_back(decision)) == ("already_recovered", [], {})


def test_a_verdict_that_was_a_guess_can_be_acted_on_when_it_is_sure() -> None:
    timeline = (*PAID, short("short", 40), verdict("stock_shortage", "short", "guess", confidence=0.3))

    assert given_back(decide(verdict("stock_shortage", "short", "sure"), *timeline)) == {"p-1": 2000}


def test_a_second_failure_refunds_only_what_the_first_has_left() -> None:
    timeline = [*PAID, captured("again", 45, "p-2"), short("short", 40), verdict("duplicate_capture", "again", "first")]
    found = verdict("stock_shortage", "short", "second")
    mine = decide(timeline[-1], *timeline[:-1]).effects[0]
    assert isinstance(mine, Refund)
    come_back = refunded(mine.refund_id, 0, "p-2")

    assert given_back(decide(found, *timeline)) == {"p-1": 2000}
    assert given_back(decide(found, *timeline, come_back)) == {"p-1": 2000}


def test_a_refund_made_by_somebody_else_counts() -> None:
    decision = decide(verdict("stock_shortage", "short"), *PAID, short("short", 40), refunded("theirs", 10, "p-1", 500))

    assert given_back(decision) == {"p-1": 1500}


@pytest.mark.parametrize(
    ("event", "earlier", "plan"),
    [
        (verdict("stock_shortage", "short"), (*PAID, short("short", 40)), "refund_and_cancel"),
        (verdict("stock_shortage", "short"), (placed(90), short("short", 40)), "cancel"),
        (verdict("label_failed", "label"), (*PAID, label("label", 40)), "retry_shipment"),
        (scored(), PAID, "refund_and_stop"),
        (requested(), (*PAID, scored()), "fulfilment_cancelled"),
        (
            scored("p-2", "approve"),
            (*PAID, short("short", 40), verdict("stock_shortage", "short"), captured("late", 5, "p-2")),
            "refund_late_payment",
        ),
    ],
)
def test_a_person_hears_of_a_plan_that_is_not_carried_out(event: Event, earlier: tuple[Event, ...], plan: str) -> None:
    decision = decide(event, *earlier)

    [told_instead] = decision.otherwise
    assert isinstance(told_instead, EscalationRequested)
    assert (decision.outcome, order.id_of(told_instead)) == (plan, "o-1")
    assert f"nothing was done by itself, a person decides; the plan was {plan}; the order is" in told_instead.reason


@pytest.mark.parametrize(
    ("event", "earlier"),
    [
        (verdict("unknown", None), PAID),
        (verdict("price_changed", "change"), (*PAID, priced("change", 70, 700, 800))),
        (scored(), (placed(90),)),
        (verdict("label_failed", "label"), (*PAID, label("label", 40), dispatched())),
        (scored(kind="approve"), PAID),
    ],
    ids=["escalated", "escalated-and-told", "escalated-block", "nothing", "not-blocked"],
)
def test_what_a_person_decides_anyway_or_does_nothing_has_no_otherwise(
    event: Event, earlier: tuple[Event, ...]
) -> None:
    assert decide(event, *earlier).otherwise == ()


#: A plan that refunds everything and cancels the order, and what is said when a person rejects it.
REFUNDS = verdict("stock_shortage", "short", "first")
BEFORE = (*PAID, short("short", 40), captured("again", 30, "p-2"))
REJECTED = published(decide(REFUNDS, *BEFORE).otherwise, REFUNDS)
DUPLICATE = verdict("duplicate_capture", "again", "second")


def test_money_of_a_rejected_plan_counts_as_given_back_until_that_is_told_and_not_any_more_then() -> None:
    waiting = decide(DUPLICATE, *BEFORE, REFUNDS)
    rejected = decide(DUPLICATE, *BEFORE, REFUNDS, *REJECTED)

    assert (waiting.outcome, given_back(waiting)) == ("refunded_before", {})
    assert (rejected.outcome, given_back(rejected)) == ("refund_capture", {"p-2": 2000})


def test_a_rejected_plan_is_not_planned_again_and_the_order_is_not_stopped_by_it() -> None:
    again = decide(verdict("stock_shortage", "short", "second"), *BEFORE, REFUNDS, *REJECTED)
    late = decide(scored("p-3", "approve"), *BEFORE, REFUNDS, *REJECTED, captured("late", 5, "p-3"))

    assert (again.outcome, given_back(again), told(again)) == ("already_escalated", {}, [])
    assert (late.outcome, given_back(late)) == ("not_blocked", {})


def test_a_block_that_a_person_rejected_stops_no_fulfilment() -> None:
    rejected = published(decide(scored(), *PAID).otherwise, scored())

    assert told(decide(requested(), *PAID, scored())) == [FulfilmentCancelled]
    assert told(decide(requested(), *PAID, scored(), *rejected)) == []


def test_what_was_decided_before_a_rejection_was_told_of_stays_as_it_was_decided() -> None:
    """While the first plan counted as carried out there was nothing left to give back as a duplicate."""
    meanwhile = (*BEFORE, REFUNDS, DUPLICATE, *REJECTED)
    lowered = (placed(90), priced("price", 70, 700, 600), *meanwhile[1:])

    decision = decide(verdict("price_changed", "price", "third"), *lowered)
    again = decide(verdict("duplicate_capture", "again", "third"), *meanwhile)
    everything = decide(verdict("stock_shortage", "cup", "third"), *meanwhile, short("cup", 20, "cup", 1))

    assert given_back(decision) == {"p-1": 200}
    assert (again.outcome, given_back(again)) == ("already_recovered", {})
    # Nothing was given back so far, whatever the rules would have done with the duplicate.
    assert given_back(everything) == {"p-1": 2000, "p-2": 2000}


def test_retries_that_were_not_made_are_not_counted() -> None:
    timeline: list[Event] = [*PAID]
    for attempt in range(4):
        timeline.append(label(f"label-{attempt}", 40 - attempt))
        found = verdict("label_failed", f"label-{attempt}", f"verdict-{attempt}")
        decision = decide(found, *timeline)
        assert told(decision) == [ShipmentRetryRequested]
        timeline += [found, *published(decision.otherwise, found)]


@pytest.mark.parametrize("by", [fulfilment, incident], ids=lambda agent: agent.name)
def test_an_escalation_of_somebody_else_undoes_nothing(by: Agent) -> None:
    theirs = published(decide(REFUNDS, *BEFORE).otherwise, REFUNDS, by)

    assert decide(DUPLICATE, *BEFORE, REFUNDS, *theirs).outcome == "refunded_before"


def test_an_escalation_that_was_the_plan_undoes_nothing_of_it() -> None:
    begun = (placed(90), requested(), scored())
    planned = published(decide(scored(), *begun[:2]).emit, scored())

    assert {event.type for event in planned} == {"FulfilmentCancelled", "EscalationRequested"}
    # It counts as stopped, so what is requested later is cancelled as well.
    assert told(decide(requested("later"), *begun, *planned)) == [FulfilmentCancelled]


@pytest.mark.parametrize("found", [verdict("stock_shortage", "short"), scored()], ids=["cause", "block"])
def test_a_source_that_an_operator_trusts_is_believed(found: Event) -> None:
    theirs = replace(found, source="urn:test:checks")
    before = (*PAID, short("short", 40))
    types = Catalogue([shop], trusted=["urn:test:checks"]).types

    decision = recovery.by_rules(replace(history_of(theirs, *before), types=types))

    assert given_back(decision) == {"p-1": 2000}
    assert (given_back(decide(theirs, *before)), told(decide(theirs, *before))) == ({}, [EscalationRequested])


def test_every_failure_has_a_plan_for_every_state() -> None:
    last = {plan.failure: plan.when.__name__ for plan in TABLE}

    assert set(last.values()) == {"always"}
    assert len(last) == 10


@given(st.lists(st.sampled_from([
    *PAID, captured("again", 45, "p-2"), captured("third", 44, "p-3"), short("short", 40), requested(),
    refunded("theirs", 10, "p-1", 700), scored("p-1", "block", "s-1"), scored("p-2", "approve", "s-2"),
    verdict("stock_shortage", "short", "v-1"), verdict("duplicate_capture", "again", "v-2"),
    verdict("duplicate_capture", "paid", "v-3"), verdict("price_changed", "price", "v-4"),
    priced("price", 70, 700, 100), verdict("stock_shortage", "short", "v-5"),
]), unique_by=lambda event: event.id))  # fmt: skip
def test_whatever_comes_in_whatever_order_no_capture_is_refunded_beyond_itself(timeline: Sequence[Event]) -> None:
    back = {"p-1": 700 if any(event.id == "theirs" for event in timeline) else 0}
    ids: list[str] = []
    for position, event in enumerate(timeline):
        if EVENT_TYPES[event.type] in {RootCauseIdentified, FraudScored, FulfilmentRequested}:
            before = [earlier for earlier in timeline[:position] if earlier.id != "theirs"]
            theirs = [earlier for earlier in timeline if earlier.id == "theirs"]
            decision = decide(event, *theirs, *before)
            for payment_id, amount in given_back(decision).items():
                back[payment_id] = back.get(payment_id, 0) + amount
            ids += [effect.refund_id for effect in decision.effects if isinstance(effect, Refund)]

    assert all(amount <= 2000 for amount in back.values())
    assert len(ids) == len(set(ids))
