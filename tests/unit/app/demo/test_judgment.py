"""Judgment: what the agents did, held against a small shop whose truth is written by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from fakes import NOON

from app.demo.judgment import Judgment, judge
from app.simulator import WAVE, Capture, Case, Moment, Outcome, Plan, Simulation, Truth

Message = dict[str, Any]

TWICE = Outcome(refund_minor={"p-2": 1000}, notified=True)
ASKED = Outcome(escalated=True)


def case(*outcomes: Outcome) -> Case:
    return Case(order_id="o-1", kind="duplicate_capture", outcomes=outcomes)


def shop(*cases: Case, stolen: frozenset[str] = frozenset(), owed_later: int | None = None) -> Simulation:
    """One order, paid twice before its error; its customer complains. Another one is an ordinary order."""
    captures = [
        Capture(payment_id=payment, order_id=order, amount_minor=1000, currency="EUR", at=NOON)
        for payment, order in (("p-1", "o-1"), ("p-2", "o-1"), ("p-3", "o-2"))
    ]
    moments = [
        Moment(event_id="paid-1", owed_minor=0, left_minor={"p-1": 1000}),
        Moment(event_id="paid-2", owed_minor=1000, left_minor={"p-1": 1000, "p-2": 1000}),
    ]
    if owed_later is not None:
        moments.append(Moment(event_id="later", owed_minor=owed_later, left_minor={"p-1": 1000, "p-2": owed_later}))
    return Simulation(
        records=(),
        truth=(
            Truth(
                error_event_id="error",
                order_id="o-1",
                failure="duplicate_capture",
                culprit_event_id="paid-2",
                plan=Plan(),
                captures=tuple(captures[:2]),
                owed_minor=1000,
            ),
        ),
        captures=captures,
        broken=0,
        cases=cases,
        moments={
            "o-1": moments,
            "o-2": [Moment(event_id="paid-3", owed_minor=0, left_minor={"p-3": 1000})],
        },
        stolen=stolen,
        moods={"complaint": "angry"},
    )


def event(event_id: str, kind: str, *, source: str = "urn:shop", cause: str | None = None, **data: Any) -> Message:
    return {
        "id": event_id,
        "source": source,
        "type": kind,
        "time": NOON.isoformat(),
        "causationid": cause,
        "data": {"order_id": "o-1", "customer_id": "c-1", **data},
    }


def said(event_id: str, kind: str, *, cause: str = "error", **data: Any) -> Message:
    return event(event_id, kind, source="urn:innervate:agent:any", cause=cause, **data)


def verdict(culprit: str = "paid-2", confidence: float = 0.9, **data: Any) -> Message:
    named: Message = {
        "failure": "duplicate_capture",
        "culprit_event_id": culprit,
        "confidence": confidence,
        "alternatives": [],
    }
    return said("verdict", "RootCauseIdentified", error_event_id="error", **named | data)


def refund(
    payment_id: str, minor: int, *, cause: str = "verdict", currency: str = "EUR", order: str = "o-1"
) -> Message:
    money = {"payment_id": payment_id, "amount_minor": minor, "currency": currency, "reason": "told"}
    return said(f"refund-{payment_id}-{minor}", "RefundIssued", cause=cause, **money, order_id=order)


def told(cause: str = "verdict") -> Message:
    return said("notified", "CustomerNotified", cause=cause)


BEFORE = (event("paid-1", "PaymentSucceeded"), event("paid-2", "PaymentSucceeded"), event("error", "ErrorOccurred"))


def judged(*log: Message, **shop_of: Any) -> Judgment:
    return judge(shop(case(TWICE), **shop_of), [*BEFORE, *log])


def outcomes(judgment: Judgment) -> Mapping[str, int]:
    return judgment.recovery["duplicate_capture"]


def test_what_is_owed_given_back_by_itself_is_right() -> None:
    judgment = judged(verdict(), refund("p-2", 1000), told())

    assert (judgment.owed, judgment.given_back, judgment.over_refunds) == ({"EUR": 1000}, {"EUR": 1000}, 0)
    assert (outcomes(judgment), judgment.recovery["ordinary"]) == ({"right": 1}, {"right": 1})
    assert (judgment.by_itself, judgment.unescalated, judgment.wrong) == (1.0, 0, [])


@pytest.mark.parametrize(
    "too_much",
    [
        [refund("p-2", 1000), refund("p-1", 1)],
        [refund("p-2", 1001)],
        [refund("p-9", 1)],
        [refund("p-2", 1000, currency="JPY")],
        [refund("p-3", 1, order="o-2")],
    ],
    ids=["beyond what is owed", "beyond the payment", "no payment of it", "another currency", "an ordinary order"],
)
def test_more_than_is_owed_is_an_over_refund(too_much: list[Message]) -> None:
    assert judged(verdict(), *too_much, told()).over_refunds == 1


def test_money_of_a_payment_that_is_owed_may_not_go_back_as_another_kind_of_outcome() -> None:
    judgment = judged(verdict(), refund("p-1", 1000), told())

    assert (judgment.over_refunds, outcomes(judgment)) == (0, {"wrong": 1})


def test_a_copy_of_a_refund_counts_once() -> None:
    assert judged(verdict(), refund("p-2", 1000), refund("p-2", 1000), told()).given_back == {"EUR": 1000}


def test_news_that_was_on_its_way_does_not_make_a_refund_wrong_but_news_before_its_cause_does() -> None:
    later = event("later", "ChargebackReceived")
    on_its_way = [*BEFORE, later, verdict(), refund("p-2", 1000), told()]
    known = [*BEFORE[:2], later, BEFORE[2], verdict(), refund("p-2", 1000), told()]

    assert judge(shop(case(TWICE), owed_later=0), on_its_way).over_refunds == 0
    assert judge(shop(case(TWICE), owed_later=0), known).over_refunds == 1


def test_a_case_left_to_people_is_neither_right_nor_wrong_and_seen() -> None:
    judgment = judged(verdict(), said("escalated", "EscalationRequested", failure="unknown", cause="verdict"))

    assert (outcomes(judgment), judgment.by_itself, judgment.unescalated) == ({"left_to_people": 1}, 0.0, 0)


def test_a_doubtful_case_is_right_when_a_person_heard_and_unescalated_when_nobody_did() -> None:
    heard = said("escalated", "EscalationRequested", failure="unknown", cause="verdict")
    doubtful = shop(case(ASKED))

    assert outcomes(judge(doubtful, [*BEFORE, heard])) == {"right": 1}
    assert judge(doubtful, [*BEFORE, heard]).unescalated == 0
    assert judge(doubtful, [*BEFORE, refund("p-2", 1000)]).unescalated == 1
    assert judge(doubtful, BEFORE).unescalated == 1


def test_a_case_with_which_nothing_was_done_is_unescalated() -> None:
    assert judged(verdict()).unescalated == 1


def test_a_stopped_ordinary_order_is_wrong() -> None:
    judgment = judged(verdict(), said("off", "OrderCancelled", order_id="o-2"))

    assert judgment.recovery["ordinary"] == {"wrong": 1}


def test_a_wrong_verdict_that_claims_much_is_falsely_confident_and_stands_in_its_tenth() -> None:
    sure, unsure = judged(verdict("paid-1", 0.85)).verdicts, judged(verdict("paid-1", 0.79)).verdicts

    assert (sure.top1, sure.false_confidence, unsure.false_confidence) == (0.0, 1.0, 0.0)
    assert [(tenth, each.verdicts, each.claimed, each.right) for tenth, each in sure.calibration.items()] == [
        ("0.8", 1, 0.85, 0.0)
    ]
    assert judged(verdict(confidence=1.0)).calibration.keys() == {"0.9"}


def test_the_last_verdict_on_an_error_counts_and_verdicts_of_others_do_not() -> None:
    first = verdict("paid-1") | {"id": "first"}
    forged = verdict("paid-1") | {"source": "urn:shop:forger", "id": "forged"}

    assert judged(first, verdict(), forged).verdicts.top1 == 1.0


def test_payments_are_counted_by_what_they_are_and_how_they_were_judged() -> None:
    scores = [
        said(f"score-{payment}", "FraudScored", payment_id=payment, verdict=verdict)
        for payment, verdict in (("p-1", "review"), ("p-2", "approve"), ("p-3", "block"))
    ]
    found = judged(*scores, stolen=frozenset({"p-1", "p-2"})).fraud

    assert (found.caught, found.missed, found.honest_reviewed, found.honest_blocked) == (1, 1, 0, 1)


@pytest.mark.parametrize(("tone", "days", "violations"), [("cheerful", 6, 1), ("cheerful", 8, 0), ("warm", 0, 0)])
def test_cheer_to_a_customer_who_complained_lately_is_a_violation(tone: str, days: int, violations: int) -> None:
    complaint = event("complaint", "SupportMessageReceived")
    later = {"time": (NOON + timedelta(days=days)).isoformat()}
    paid = event("paid-3", "PaymentSucceeded", order_id="o-2") | later
    confirmed = said("confirmed", "ConfirmationRequested", cause="paid-3", tone=tone, order_id="o-2")

    assert judged(complaint, paid, confirmed).tone_violations == violations
    assert judged(paid, complaint, confirmed).tone_violations == 0


def test_an_order_packed_before_it_is_paid_in_full_is_seen() -> None:
    packed = said("packed", "FulfilmentRequested", cause="paid-3", order_id="o-2")
    paid = event("paid-3", "PaymentSucceeded", order_id="o-2")
    unpaid = shop(case(TWICE))
    in_full = Moment(event_id="paid-3", owed_minor=0, left_minor={"p-3": 1000}, is_paid=True)

    assert judge(unpaid, [paid, packed]).packed_unpaid == 1
    assert judge(replace(unpaid, moments={"o-2": [in_full]}), [paid, packed]).packed_unpaid == 0


def test_people_who_heard_of_a_service_heard_of_the_orders_its_incident_hit() -> None:
    heard = said("escalated", "EscalationRequested", failure="unknown", order_id=None, service="shipping")
    hit = replace(case(ASKED), service="shipping")

    assert outcomes(judge(shop(hit), [*BEFORE, heard])) == {"right": 1}
    assert outcomes(judge(shop(replace(hit, service="payments")), [*BEFORE, heard])) == {"wrong": 1}


def test_a_storm_of_escalations_is_wrong() -> None:
    heard = [said(f"escalated-{number}", "EscalationRequested", failure="unknown") for number in range(3)]
    once = replace(case(ASKED), most_escalations=2)

    assert outcomes(judge(shop(once), [*BEFORE, *heard[:2]])) == {"right": 1}
    assert outcomes(judge(shop(once), [*BEFORE, *heard])) == {"wrong": 1}
    assert judge(shop(once), [*BEFORE, *heard]).escalations == 3


def test_an_apology_for_nothing_is_wrong_even_when_a_person_heard() -> None:
    heard = said("escalated", "EscalationRequested", failure="unknown")
    quiet = shop(case(Outcome(refund_minor={"p-2": 1000}, notified=False)))

    assert outcomes(judge(quiet, [*BEFORE, heard])) == {"left_to_people": 1}
    assert outcomes(judge(quiet, [*BEFORE, heard, told("error")])) == {"wrong": 1}


def test_a_repeated_error_needs_no_verdict_but_a_wrong_one_counts() -> None:
    story = shop(case(TWICE))
    again = [replace(story.truth[0], error_event_id=f"error-{number}", repeats=True) for number in (2, 3)]
    storm = replace(story, truth=(*story.truth, *again))
    wrong = said("second", "RootCauseIdentified", error_event_id="error-2") | {"id": "second"}
    wrong["data"] |= {"failure": "unknown", "culprit_event_id": None, "confidence": 0.1, "alternatives": []}

    assert judge(storm, [*BEFORE, verdict()]).verdicts.errors == 1
    found = judge(storm, [*BEFORE, verdict(), wrong]).verdicts
    assert (found.errors, found.top1) == (2, 0.5)


def test_a_verdict_may_be_as_right_as_the_truth() -> None:
    story = shop(case(TWICE))
    either = replace(story.truth[0], also=frozenset({("duplicate_capture", "paid-1")}))

    assert judge(replace(story, truth=(either,)), [*BEFORE, verdict("paid-1")]).verdicts.top1 == 1.0
    assert judge(story, [*BEFORE, verdict("paid-1")]).verdicts.top1 == 0.0


def test_the_money_of_an_order_stopped_for_good_reason_is_owed_whatever_comes_later() -> None:
    story = shop(case(Outcome(refund_minor={"p-1": 1000}, cancelled=True)))
    short = Moment(event_id="paid-2", owed_minor=1000, left_minor={"p-1": 1000}, can_be_delivered=False)
    found = Moment(event_id="later", owed_minor=0, left_minor={"p-1": 1000})
    stopped = said("stopped", "OrderCancelled", cause="error")
    later = [
        event("later", "InventoryReserved"),
        said("again", "Verdict", cause="later"),
        refund("p-1", 1000, cause="again"),
    ]

    back = replace(story, moments={"o-1": [short, found]})
    assert judge(back, [*BEFORE, stopped, *later]).over_refunds == 0
    assert judge(back, [*BEFORE, *later]).over_refunds == 1
    fine = replace(story, moments={"o-1": [replace(short, can_be_delivered=True), found]})
    assert judge(fine, [*BEFORE, stopped, *later]).over_refunds == 1


def test_asking_to_look_at_a_payment_tells_nobody_of_what_else_is_wrong() -> None:
    look = said("look", "EscalationRequested", failure="review")

    assert judge(shop(case(ASKED)), [*BEFORE, look]).unescalated == 1


def test_what_people_heard_of_a_wave_is_counted_over_its_orders_and_its_service() -> None:
    hit = Case(order_id="o-1", kind=WAVE, outcomes=(ASKED,), service="shipping")
    of_an_order = said("of-an-order", "EscalationRequested", failure="bad_deployment", service="shipping")
    of_the_service = of_an_order | {"id": "of-the-service"}
    of_the_service = of_the_service | {"data": {"service": "shipping", "failure": "bad_deployment"}}
    elsewhere = said("elsewhere", "EscalationRequested", failure="unknown", order_id="o-2")

    assert judge(shop(hit), [*BEFORE, of_an_order, of_the_service, elsewhere]).wave_escalations == 2
