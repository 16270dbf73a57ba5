"""Scoring: a perfect publication scores 1.0, and every way to be wrong is seen."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from fakes import NOON

from app.demo.scoring import Score, score
from app.simulator import Capture, Plan, Truth, plan_for, simulate

Message = dict[str, Any]


def taken(payment_id: str, order_id: str, amount_minor: int) -> Capture:
    return Capture(payment_id=payment_id, order_id=order_id, amount_minor=amount_minor, currency="EUR", at=NOON)


def true(order_id: str, failure: str, culprit: str | None, plan: Plan, *captures: Capture, owed: int = 2000) -> Truth:
    return Truth(
        error_event_id=f"error-{order_id}",
        order_id=order_id,
        failure=failure,
        culprit_event_id=culprit,
        plan=plan,
        captures=captures,
        owed_minor=owed,
    )


SHORT, UNPAID, TWICE, LABEL, ADDRESS = "short", "unpaid", "twice", "label", "address"
OVERPAID, SETTLED, DEPLOYED, UNKNOWN = "overpaid", "settled", "deployed", "unknown"

CAPTURES = [
    taken("p-short", SHORT, 2000),
    taken("p-twice-1", TWICE, 2000),
    taken("p-twice-2", TWICE, 2000),
    taken("p-label", LABEL, 2000),
    taken("p-overpaid", OVERPAID, 2000),
    taken("p-settled", SETTLED, 2000),
]
PAID = {order: tuple(each for each in CAPTURES if each.order_id == order) for order in (SHORT, TWICE, LABEL, OVERPAID)}
TRUTH = [
    true(
        SHORT,
        "stock_shortage",
        "short-1",
        Plan(refund_minor={"p-short": 2000}, cancelled=True, notified=True),
        *PAID[SHORT],
    ),
    true(UNPAID, "stock_shortage", "short-2", Plan(cancelled=True, notified=True)),
    true(TWICE, "duplicate_capture", "paid-2", Plan(refund_minor={"p-twice-2": 2000}, notified=True), *PAID[TWICE]),
    true(LABEL, "label_failed", "label-1", Plan(retried=True), *PAID[LABEL]),
    true(ADDRESS, "address_invalid", "address-1", Plan(notified=True)),
    true(
        OVERPAID,
        "price_changed",
        "price-1",
        Plan(refund_minor={"p-overpaid": 300}, notified=True),
        *PAID[OVERPAID],
        owed=1700,
    ),
    true(SETTLED, "price_changed", "price-2", Plan(escalated=True), taken("p-settled", SETTLED, 2000)),
    true(DEPLOYED, "bad_deployment", "deploy-1", Plan()),
    true(UNKNOWN, "unknown", None, Plan(escalated=True)),
]


def message(event_id: str, kind: str, cause: str | None, **data: Any) -> Message:
    return {"id": event_id, "source": "urn:agent", "type": kind, "causationid": cause, "data": data}


def verdict(order: str, failure: str, culprit: str | None, *, number: int = 1, others: tuple[str, ...] = ()) -> Message:
    return message(
        f"verdict-{order}-{number}",
        "RootCauseIdentified",
        f"error-{order}",
        order_id=order,
        error_event_id=f"error-{order}",
        failure=failure,
        culprit_event_id=culprit,
        alternatives=list(others),
    )


def done(order: str, kind: str, *, number: int = 1) -> Message:
    return message(f"{kind}-{order}-{number}", kind, f"verdict-{order}-{number}", order_id=order)


def refund(order: str, payment_id: str, amount_minor: int, *, number: int = 1, currency: str = "EUR") -> list[Message]:
    name = f"r-{payment_id}-{number}"
    money = {"refund_id": name, "order_id": order, "amount_minor": amount_minor, "currency": currency}
    cause = f"verdict-{order}-{number}"
    return [
        message(f"refund-{payment_id}-{number}", "RefundIssued", cause, payment_id=payment_id, **money),
        message(f"entry-{payment_id}-{number}", "LedgerEntryPosted", cause, debit="returns", credit="cash", **money),
    ]


def perfect() -> list[Message]:
    return [
        verdict(SHORT, "stock_shortage", "short-1"),
        *refund(SHORT, "p-short", 2000),
        done(SHORT, "OrderCancelled"),
        done(SHORT, "CustomerNotified"),
        verdict(UNPAID, "stock_shortage", "short-2"),
        done(UNPAID, "OrderCancelled"),
        done(UNPAID, "CustomerNotified"),
        verdict(TWICE, "duplicate_capture", "paid-2"),
        *refund(TWICE, "p-twice-2", 2000),
        done(TWICE, "CustomerNotified"),
        verdict(LABEL, "label_failed", "label-1"),
        done(LABEL, "ShipmentRetryRequested"),
        verdict(ADDRESS, "address_invalid", "address-1"),
        done(ADDRESS, "CustomerNotified"),
        verdict(OVERPAID, "price_changed", "price-1"),
        *refund(OVERPAID, "p-overpaid", 300),
        done(OVERPAID, "CustomerNotified"),
        verdict(SETTLED, "price_changed", "price-2"),
        done(SETTLED, "EscalationRequested"),
        verdict(DEPLOYED, "bad_deployment", "deploy-1"),
        verdict(UNKNOWN, "unknown", None),
        done(UNKNOWN, "EscalationRequested"),
    ]


def scored(published: list[Message]) -> Score:
    return score(truth=TRUTH, captures=CAPTURES, published=published)


def without(event_id: str) -> list[Message]:
    left = [each for each in perfect() if each["id"] != event_id]
    assert len(left) == len(perfect()) - 1
    return left


def changed(event_id: str, **data: Any) -> list[Message]:
    assert event_id in {each["id"] for each in perfect()}
    return [each | {"data": each["data"] | data} if each["id"] == event_id else each for each in perfect()]


def test_a_perfect_publication_has_no_mistakes() -> None:
    assert scored(perfect()) == Score(
        root_cause_top1=1.0,
        root_cause_top3=1.0,
        recovery_correct=1.0,
        ledger_balanced=True,
        refunds_over_captures=0,
        mistakes=[],
        recovery_mistakes=[],
        money_mistakes=[],
    )


def test_the_plans_written_by_hand_are_those_computed_for_the_true_failure() -> None:
    for each in TRUTH:
        assert plan_for(each.failure, each.captures, each.owed_minor) == each.plan


def test_copies_of_a_message_count_once() -> None:
    assert scored([*perfect(), *perfect()]) == scored(perfect())


def test_a_late_copy_of_an_early_verdict_is_not_the_last_verdict() -> None:
    early, late = verdict(LABEL, "unknown", None), verdict(LABEL, "label_failed", "label-1", number=2)
    assert scored([early, late, early]).root_cause_top1 == 0.1111


def test_without_failures_and_without_verdicts_nothing_is_wrong() -> None:
    nothing = score(truth=[], captures=[], published=[])
    assert (nothing.root_cause_top1, nothing.root_cause_top3, nothing.recovery_correct) == (1.0, 1.0, 1.0)


def test_errors_without_a_verdict_are_mistakes() -> None:
    silent = scored([])
    assert (silent.root_cause_top1, silent.root_cause_top3) == (0.0, 0.0)
    assert str(silent.mistakes[0]) == "error-short: stock_shortage by short-1, named nothing by nothing"


def test_a_wrong_culprit_is_a_mistake_at_the_top_but_not_among_three() -> None:
    near = scored(changed("verdict-label-1", culprit_event_id="label-0", alternatives=["x", "label-1", "y"]))
    assert (near.root_cause_top1, near.root_cause_top3) == (0.8888, 1.0)
    assert [str(each) for each in near.mistakes] == [
        "error-label: label_failed by label-1, named label_failed by label-0"
    ]
    far = scored(changed("verdict-label-1", culprit_event_id="label-0", alternatives=["x", "y", "label-1"]))
    assert far.root_cause_top3 == 0.8888


def test_the_right_culprit_with_the_wrong_failure_is_a_mistake_at_the_top() -> None:
    wrong = scored(changed("verdict-deployed-1", failure="bad_configuration"))
    assert (wrong.root_cause_top1, wrong.root_cause_top3, wrong.recovery_correct) == (0.8888, 1.0, 1.0)


def test_an_unknown_failure_with_a_culprit_is_a_mistake() -> None:
    wrong = scored(changed("verdict-unknown-1", culprit_event_id="innocent"))
    assert (wrong.root_cause_top1, wrong.root_cause_top3) == (0.8888, 0.8888)


def test_the_last_verdict_counts_and_each_verdict_escalates_for_itself() -> None:
    first = [verdict(DEPLOYED, "unknown", None, number=0), done(DEPLOYED, "EscalationRequested", number=0)]
    assert scored([*first, *perfect()]) == scored(perfect())
    assert scored([*perfect(), *first]).root_cause_top1 == 0.8888


@pytest.mark.parametrize(
    "event_id",
    [
        "OrderCancelled-short-1",
        "CustomerNotified-twice-1",
        "ShipmentRetryRequested-label-1",
        "CustomerNotified-address-1",
        "EscalationRequested-settled-1",
        "EscalationRequested-unknown-1",
    ],
)
def test_a_missing_compensation_is_a_mistake(event_id: str) -> None:
    wrong = scored(without(event_id))
    assert wrong.recovery_correct == 0.8888
    assert len(wrong.recovery_mistakes) == 1
    assert (wrong.root_cause_top1, wrong.ledger_balanced) == (1.0, True)


def test_a_missing_refund_is_told_with_what_was_expected() -> None:
    published = [each for each in without("refund-p-short-1") if each["id"] != "entry-p-short-1"]
    (line,) = scored(published).recovery_mistakes
    assert line.startswith(
        "error-short (stock_shortage): OrderCancelled x1, CustomerNotified x1, expected p-short 2000"
    )
    assert scored(published).ledger_balanced


def test_a_doubled_notification_is_a_mistake() -> None:
    again = done(ADDRESS, "CustomerNotified") | {"id": "once more"}
    assert scored([*perfect(), again]).recovery_correct == 0.8888


@pytest.mark.parametrize("amount_minor", [299, 301])
def test_a_wrong_amount_is_a_mistake_even_when_it_is_booked(amount_minor: int) -> None:
    others = [each for each in perfect() if "p-overpaid" not in each["id"]]
    wrong = scored([*others, *refund(OVERPAID, "p-overpaid", amount_minor)])
    assert (wrong.recovery_correct, wrong.ledger_balanced, wrong.refunds_over_captures) == (0.8888, True, 0)


def test_the_refund_of_the_first_capture_is_a_mistake() -> None:
    others = [each for each in perfect() if "p-twice" not in each["id"]]
    assert scored([*others, *refund(TWICE, "p-twice-1", 2000)]).recovery_correct == 0.8888


def test_recovery_is_measured_by_the_failure_named() -> None:
    others = [each for each in perfect() if each["data"]["order_id"] != LABEL]
    wrong = [verdict(LABEL, "stock_shortage", "x"), done(LABEL, "OrderCancelled"), done(LABEL, "CustomerNotified")]
    assert scored([*others, *wrong, *refund(LABEL, "p-label", 2000)]).recovery_correct == 1.0
    assert scored([*others, *wrong]).recovery_correct == 0.8888
    # There is no second capture to give back: people have to look.
    twice = [verdict(LABEL, "duplicate_capture", "x"), done(LABEL, "EscalationRequested")]
    assert scored([*others, *twice]).recovery_correct == 1.0


def test_what_was_recovered_is_not_recovered_again() -> None:
    again = verdict(SHORT, "stock_shortage", "short-1", number=2)
    assert scored([*perfect(), again]).recovery_correct == 1.0
    assert scored([*perfect(), again, done(SHORT, "CustomerNotified", number=2)]).recovery_correct == 0.9


def test_a_verdict_for_people_may_escalate_each_time() -> None:
    again = [verdict(UNKNOWN, "unknown", None, number=2), done(UNKNOWN, "EscalationRequested", number=2)]
    assert scored([*perfect(), *again]).recovery_correct == 1.0


def test_who_heard_of_an_order_need_not_hear_again_of_it() -> None:
    again = verdict(UNKNOWN, "unknown", None, number=2)
    better = verdict(UNKNOWN, "bad_deployment", "deploy-9", number=3)
    assert scored([*perfect(), again, better]).recovery_correct == 1.0
    assert scored([*without("EscalationRequested-unknown-1"), again]).recovery_correct == 0.9


def test_a_second_failure_gives_back_only_what_is_left() -> None:
    second = [
        verdict(OVERPAID, "stock_shortage", "short-9", number=2),
        *refund(OVERPAID, "p-overpaid", 1700, number=2),
        done(OVERPAID, "OrderCancelled", number=2),
        done(OVERPAID, "CustomerNotified", number=2),
    ]
    result = scored([*perfect(), *second])
    assert (result.recovery_correct, result.refunds_over_captures) == (1.0, 0)


@pytest.mark.parametrize(
    ("kind", "order", "right"),
    [
        ("CustomerNotified", LABEL, 0.9),
        ("OrderCancelled", "an order that never failed", 0.9),
        ("EscalationRequested", "an order that never failed", 1.0),
    ],
)
def test_compensation_that_follows_from_no_verdict_is_a_mistake(kind: str, order: str, right: float) -> None:
    stray = message("stray", kind, "something else", order_id=order)
    assert scored([*perfect(), stray]).recovery_correct == right


def test_the_compensation_of_another_order_is_a_mistake() -> None:
    assert scored(changed("ShipmentRetryRequested-label-1", order_id=ADDRESS)).recovery_correct == 0.8888


def test_the_recovery_of_a_blocked_order_is_not_scored_but_its_cause_is() -> None:
    block = message("fraud", "FraudScored", None, order_id=LABEL, verdict="block")
    extra = [block, *refund(LABEL, "p-label", 2000)]
    assert scored([*perfect(), *extra]).recovery_correct == 1.0
    assert scored([*perfect(), *refund(LABEL, "p-label", 2000, number=7)]).recovery_correct == 0.9
    assert scored([*without("verdict-label-1"), *extra]).root_cause_top1 == 0.8888


@pytest.mark.parametrize(
    "data",
    [{"amount_minor": 1999}, {"currency": "PLN"}, {"credit": "returns"}, {"refund_id": "another"}],
    ids=["amount", "currency", "one account", "refund"],
)
def test_a_refund_that_is_not_booked_as_it_is_unbalances_the_ledger(data: Mapping[str, Any]) -> None:
    wrong = scored(changed("entry-p-short-1", **data))
    assert not wrong.ledger_balanced
    assert "r-p-short-1" in " ".join(wrong.money_mistakes)
    assert wrong.recovery_correct == 1.0


def test_a_refund_without_an_entry_and_an_entry_without_a_refund_unbalance_the_ledger() -> None:
    assert not scored(without("entry-p-short-1")).ledger_balanced
    assert scored(without("refund-p-short-1")).money_mistakes == ["r-p-short-1: booked, but not issued"]


def test_a_refund_may_be_booked_in_parts_or_over_an_account_between() -> None:
    (entry,) = [each for each in perfect() if each["id"] == "entry-p-short-1"]
    parts = [entry | {"id": f"part-{n}", "data": entry["data"] | {"amount_minor": n}} for n in (1500, 500)]
    assert scored([*without("entry-p-short-1"), *parts]).ledger_balanced
    hops = [
        entry | {"id": f"{debit}-{credit}", "data": entry["data"] | {"debit": debit, "credit": credit}}
        for debit, credit in (("returns", "payable"), ("payable", "cash"))
    ]
    assert scored([*without("entry-p-short-1"), *hops]).ledger_balanced


def test_payments_and_orders_refunded_beyond_what_was_captured_are_counted() -> None:
    more = scored([*perfect(), *refund(TWICE, "p-twice-2", 1, number=2)])
    assert more.refunds_over_captures == 1
    assert "payment p-twice-2 in EUR: 1 more refunded than captured" in more.money_mistakes
    assert scored([*perfect(), *refund(SHORT, "p-short", 1, number=2)]).refunds_over_captures == 2
    assert scored([*perfect(), *refund("nowhere", "p-nowhere", 1)]).refunds_over_captures == 2


def test_a_simulation_answered_with_its_own_truth_scores_full_marks() -> None:
    simulation = simulate(seed=3, orders=200, failures=60, start=NOON + timedelta(days=1))
    currencies = {each.payment_id: each.currency for each in simulation.captures}
    published = []
    for number, each in enumerate(simulation.truth):
        named = verdict(each.order_id, each.failure, each.culprit_event_id, number=number)
        published.append(named | {"data": named["data"] | {"error_event_id": each.error_event_id}})
        for payment_id, amount_minor in each.plan.refund_minor.items():
            currency = currencies[payment_id]
            published += refund(each.order_id, payment_id, amount_minor, number=number, currency=currency)
        for kind, asked in {
            "OrderCancelled": each.plan.cancelled,
            "ShipmentRetryRequested": each.plan.retried,
            "CustomerNotified": each.plan.notified,
            "EscalationRequested": each.plan.escalated,
        }.items():
            published += [done(each.order_id, kind, number=number)] * asked
    result = score(truth=simulation.truth, captures=simulation.captures, published=published)
    assert (result.root_cause_top1, result.recovery_correct, result.recovery_mistakes) == (1.0, 1.0, [])
    assert (result.ledger_balanced, result.refunds_over_captures) == (True, 0)
