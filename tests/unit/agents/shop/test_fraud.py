"""The signs of fraud: what each one scores, where it begins, and what it leaves out."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from fakes import charged_back, failed, history_of, paid
from shop_catalogue import AGENTS, parse_data

from agents.model.decision import Decision
from agents.shop.events import FraudScored
from agents.shop.fraud.rules import fraud, score
from tables.event import Event

SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
#: Three ordinary payments of 20 EUR from Germany with one device, days ago.
USUAL = tuple(paid(f"usual-{days}", days * DAY) for days in (9, 6, 3))


def decide(payment: Event, *earlier: Event) -> Decision:
    return score(parse_data(payment), history_of(payment, *earlier))  # type: ignore[arg-type]


def scored(payment: Event, *earlier: Event) -> FraudScored:
    [emitted] = decide(payment, *earlier).emit
    assert isinstance(emitted, FraudScored)
    return emitted


def result(payment: Event, *earlier: Event) -> tuple[int, tuple[str, ...]]:
    emitted = scored(payment, *earlier)
    return emitted.score, emitted.reasons


def burst(count: int, before: timedelta = MINUTE) -> list[Event]:
    return [paid(f"burst-{number}", before) for number in range(count)]


def test_a_first_payment_and_an_ordinary_one_are_approved() -> None:
    assert result(paid("now")) == (0, ())
    assert result(paid("now"), *USUAL) == (0, ())
    decision = decide(paid("now"), *USUAL)
    assert (decision.outcome, decision.reason, decision.confidence) == ("approve", "score 0: nothing unusual", 0.95)
    assert decide(paid("now")).confidence == 0.75


@pytest.mark.parametrize(("count", "points"), [(2, 0), (3, 25), (4, 25), (5, 45), (9, 45)])
def test_many_payments_within_ten_minutes_are_a_sign(count: int, points: int) -> None:
    reasons = (f"{count} payments in the 10 minutes before",) if points else ()
    assert result(paid("now"), *burst(count)) == (points, reasons)


@pytest.mark.parametrize(("before", "points"), [(10 * MINUTE, 25), (10 * MINUTE + SECOND, 0), (timedelta(0), 25)])
def test_a_burst_reaches_back_exactly_ten_minutes(before: timedelta, points: int) -> None:
    assert result(paid("now"), *burst(3, before))[0] == points


def test_a_payment_reported_six_times_under_six_event_ids_is_one_payment() -> None:
    reports = [paid(f"report-{number}", number * SECOND, payment_id="p-1") for number in range(5, -1, -1)]

    assert result(reports[-1], *reports[:-1]) == (0, ())
    assert result(paid("now"), *reports, *burst(1)) == (0, ())
    assert result(paid("now"), *reports, *burst(2)) == (25, ("3 payments in the 10 minutes before",))


def test_a_payment_is_known_by_its_order_as_well_and_happened_when_it_was_first_reported() -> None:
    numbered_alike = [paid(f"order-{number}", MINUTE, payment_id="1", order_id=f"o-{number}") for number in range(3)]
    reported_again = [paid(f"{event_id}-{n}", n * MINUTE, payment_id=event_id) for event_id in "abc" for n in (20, 1)]

    assert result(paid("now"), *numbered_alike)[0] == 25
    assert result(paid("now"), *reported_again) == (0, ())


def test_refusals_and_chargebacks_of_one_payment_reported_again_are_one() -> None:
    refusals = [replace(failed("f", MINUTE), id=f"refusal-{number}") for number in range(4)]
    chargebacks = [replace(charged_back("c"), id=f"chargeback-{number}") for number in range(4)]

    assert result(paid("now"), *refusals) == (10, ("1 failed payment in the hour before",))
    assert result(paid("now"), *chargebacks) == (40, ("1 chargeback",))


def test_one_payment_reported_often_is_no_past_to_compare_with() -> None:
    reports = [paid(f"report-{number}", DAY, payment_id="p-1") for number in range(5)]

    assert result(paid("now", amount_minor=50_000, country="BR", device_id="d-9"), *reports) == (0, ())


def test_what_happened_after_the_payment_is_no_burst_though_it_arrived_before() -> None:
    assert result(paid("now"), *burst(5, -SECOND)) == (0, ())
    assert result(paid("now"), *[failed(f"f{number}", -SECOND) for number in range(3)]) == (0, ())


@pytest.mark.parametrize(
    ("amount_minor", "points", "times"),
    [(7_999, 0, ""), (8_000, 20, "4"), (19_999, 20, "10"), (20_000, 40, "10"), (90_000, 40, "45"), (0, 0, "")],
)
def test_an_amount_far_above_the_customers_median_is_a_sign(amount_minor: int, points: int, times: str) -> None:
    reasons = (f"amount is {times} times the customer's median",) if points else ()
    assert result(paid("now", amount_minor=amount_minor), *USUAL) == (points, reasons)


def test_the_median_is_not_moved_by_one_large_payment() -> None:
    outlier = paid("outlier", 2 * DAY, amount_minor=900_000)
    assert result(paid("now", amount_minor=20_000), *USUAL, outlier)[0] == 40


def test_free_payments_before_do_not_divide_by_zero() -> None:
    free = [paid(f"free-{number}", number * DAY, amount_minor=0) for number in (1, 2, 3)]
    assert result(paid("now", amount_minor=3), *free) == (0, ())
    assert result(paid("now", amount_minor=10), *free)[0] == 40


def test_an_amount_is_compared_with_three_payments_of_the_same_currency_or_not_at_all() -> None:
    assert result(paid("now", amount_minor=50_000), *USUAL[:2]) == (0, ())
    assert result(paid("now", amount_minor=50_000, currency="SEK"), *USUAL) == (0, ())


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"country": "BR"}, (25, ("first payment from BR",))),
        ({"device_id": "d-9"}, (15, ("first payment from this device",))),
        ({"country": "BR", "device_id": "d-9"}, (40, ("first payment from BR", "first payment from this device"))),
    ],
)
def test_a_new_country_or_device_is_a_sign_once_three_payments_are_known(changes: Any, expected: Any) -> None:
    assert result(paid("now", **changes), *USUAL) == expected
    assert result(paid("now", **changes), *USUAL[:2]) == (0, ())


def test_a_country_and_a_device_used_once_before_are_not_new() -> None:
    abroad = paid("abroad", 20 * DAY, country="BR", device_id="d-9")
    assert result(paid("now", country="BR", device_id="d-9"), abroad, *USUAL) == (0, ())


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (1, (10, ("1 failed payment in the hour before",))),
        (2, (10, ("2 failed payments in the hour before",))),
        (3, (35, ("3 failed payments in the hour before",))),
        (7, (35, ("7 failed payments in the hour before",))),
    ],
)
def test_failed_payments_within_the_hour_are_a_sign(count: int, expected: Any) -> None:
    assert result(paid("now"), *[failed(f"f{number}", HOUR) for number in range(count)]) == expected
    assert result(paid("now"), *[failed(f"f{number}", HOUR + SECOND) for number in range(count)]) == (0, ())


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (1, (40, ("1 chargeback",))),
        (2, (55, ("2 chargebacks",))),
        (3, (70, ("3 chargebacks",))),
        (5, (70, ("5 chargebacks",))),
    ],
)
def test_chargebacks_are_a_sign_whenever_they_happened(count: int, expected: Any) -> None:
    assert result(paid("now"), *[charged_back(f"c{number}", 29 * DAY) for number in range(count)]) == expected


@pytest.mark.parametrize(
    ("earlier", "changes", "points", "verdict", "confidence"),
    [
        ([*USUAL, *[failed(f"f{n}", MINUTE) for n in range(3)]], {}, 35, "approve", 0.73),
        ([charged_back("c")], {}, 40, "review", 0.5),
        ([*USUAL, charged_back("c")], {"country": "BR"}, 65, "review", 0.73),
        ([charged_back(f"c{n}") for n in range(3)], {}, 70, "block", 0.5),
        ([*USUAL, *burst(5), charged_back("c")], {"country": "BR"}, 100, "block", 0.89),
    ],
)
def test_forty_points_are_for_review_seventy_are_blocked_and_a_hundred_is_the_most(
    earlier: list[Event], changes: Any, points: int, verdict: str, confidence: float
) -> None:
    decision = decide(paid("now", **changes), *earlier)
    [emitted] = decision.emit
    assert isinstance(emitted, FraudScored)
    assert (emitted.score, emitted.verdict, decision.outcome) == (points, verdict, verdict)
    assert decision.confidence == pytest.approx(confidence, abs=0.005)
    assert decision.reason.startswith(f"score {points}: ")


def test_the_score_names_the_payment_it_is_about() -> None:
    emitted = scored(paid("now", payment_id="p-9", order_id="o-9", customer_id="bob"), charged_back("c"))
    assert emitted == FraudScored(
        payment_id="p-9", order_id="o-9", customer_id="bob", score=40, verdict="review", reasons=("1 chargeback",)
    )


def test_the_same_payment_and_history_give_the_same_decision_in_any_year() -> None:
    earlier = [*USUAL, *burst(3), failed("f", MINUTE), charged_back("c")]
    payment = paid("now", country="BR")
    moved = [replace(event, time=event.time + 3000 * DAY) for event in (payment, *earlier)]
    assert decide(payment, *earlier) == decide(payment, *earlier) == decide(*moved)


def test_the_agent_decides_by_these_rules_on_payments_of_a_customer() -> None:
    assert AGENTS["fraud"].by_rules(history_of(paid("now"), charged_back("c"))).outcome == "review"
    assert (fraud.entity.name, fraud.reacts_to) == ("customer", frozenset({"PaymentSucceeded"}))
    assert fraud.remembers == {"PaymentSucceeded", "PaymentFailed", "ChargebackReceived"}
