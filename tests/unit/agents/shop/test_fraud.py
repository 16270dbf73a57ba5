"""The signs of fraud: what each one scores, where it begins, what it leaves out, and when a payment is blocked."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from fakes import NOON, history_of
from fraud_cases import ABROAD, DAY, MINUTE, bought, cards, disputed, now, orders, refusals, refused
from shop_catalogue import AGENTS, parse_data

from agents.model.decision import Decision
from agents.shop.events import FraudScored
from agents.shop.fraud.rates import PER_EURO, euros
from agents.shop.fraud.rules import fraud, score
from tables.event import Event

#: Three ordinary orders of 30 EUR from Germany with one device, days ago.
USUAL = tuple(bought(f"usual-{days}", days * DAY) for days in (9, 6, 3))

MEDIAN = "the customer's median (30.00 EUR)"


def decide(payment: Event, *earlier: Event) -> Decision:
    return score(parse_data(payment), history_of(payment, *earlier))  # type: ignore[arg-type]


def scored(payment: Event, *earlier: Event) -> FraudScored:
    [emitted] = decide(payment, *earlier).emit
    assert isinstance(emitted, FraudScored)
    return emitted


def result(payment: Event, *earlier: Event) -> tuple[int, tuple[str, ...]]:
    emitted = scored(payment, *earlier)
    return emitted.score, emitted.reasons


def test_a_first_payment_and_an_ordinary_one_are_approved() -> None:
    assert result(now()) == (0, ())
    assert result(now(), *USUAL) == (0, ())
    decision = decide(now(), *USUAL)
    assert (decision.outcome, decision.reason, decision.confidence) == ("approve", "score 0: nothing unusual", 0.95)
    assert decide(now()).confidence == 0.75


@pytest.mark.parametrize(
    ("count", "known", "new"),
    [(2, 0, 0), (3, 15, 25), (5, 15, 25), (6, 25, 40), (9, 25, 40), (10, 35, 40), (30, 35, 40)],
)
def test_many_orders_within_ten_minutes_are_a_sign_and_more_of_one_of_a_new_customer(
    count: int, known: int, new: int
) -> None:
    reasons = (f"velocity: {count} other orders paid within 10 minutes",) if new else ()
    assert result(now(), *USUAL, *orders(count, 0.1)) == (known, reasons)
    assert result(now(), *orders(count, 0.1)) == (new, reasons)


@pytest.mark.parametrize(("hours", "points"), [(10 * MINUTE, 15), (10.1 * MINUTE, 0), (0, 15), (-10 * MINUTE, 15)])
def test_a_burst_reaches_ten_minutes_back_and_as_far_ahead_for_clocks_differ(hours: float, points: int) -> None:
    three = [bought(f"burst-{number}", hours) for number in range(3)]
    last_by_the_log = bought("last", 5 * DAY)
    assert result(now(), *USUAL, *three, last_by_the_log)[0] == points


def test_a_burst_directly_before_in_the_log_counts_whatever_the_payments_clock_says() -> None:
    reasons = ("velocity: 6 other orders paid within 10 minutes",)
    for days in (-29, -1, 1, 29):
        moved = replace(now(), time=NOON + timedelta(days=days))
        assert result(moved, *USUAL, *orders(6)) == (25, reasons)


def test_several_payments_of_one_order_are_no_burst_and_are_one_amount() -> None:
    pieces = orders(9, amount_minor=9000, order_id="o-now")
    assert result(now(9000), *USUAL, *pieces) == (40, (f"amount: 30 times {MEDIAN}",))


def test_payments_of_one_order_more_than_a_day_apart_are_instalments() -> None:
    instalments = [bought(f"instalment-{days}", days * DAY, 40_000, order_id="o-now") for days in (90, 60, 30)]
    assert result(now(40_000), *USUAL, *instalments, bought("last", 2 * DAY)) == (30, (f"amount: 13 times {MEDIAN}",))
    assert result(now(40_000), *USUAL, bought("tender", 0.9 * DAY, 40_000, order_id="o-now"))[0] == 40


def test_cards_accepted_at_once_are_a_sign_though_they_pay_one_order() -> None:
    pieces = [bought(f"piece-{number}", 0.1, order_id="o-now", card_id=f"k-{number}") for number in range(5)]
    assert result(now(card_id="k-9"), *pieces[:2]) == (0, ())
    assert result(now(card_id="k-9"), *pieces[:3]) == (25, ("velocity: 4 cards accepted within 10 minutes",))
    assert result(now(card_id="k-9"), *pieces) == (40, ("velocity: 6 cards accepted within 10 minutes",))
    assert (
        result(now(card_id="k-1"), *[replace(each, data=dict(each.data) | {"card_id": "k-1"}) for each in pieces])[0]
        == 0
    )


def test_a_payment_is_known_by_its_order_as_well_and_happened_when_it_was_first_reported() -> None:
    numbered_alike = [bought(f"order-{number}", 0.1, payment_id="1") for number in range(3)]
    reported_again = [
        replace(bought(name, hours), id=f"{name}-{hours}") for name in "abc" for hours in (20 * MINUTE, MINUTE)
    ]

    assert result(now(), *numbered_alike)[0] == 25
    assert result(now(), *reported_again, bought("later", 40 * MINUTE)) == (0, ())


@pytest.mark.parametrize(
    ("amount_minor", "points", "times"),
    [
        (11_999, 0, 0),
        (12_000, 15, 4),
        (29_999, 15, 10),
        (30_000, 30, 10),
        (59_999, 30, 20),
        (60_000, 40, 20),
        (0, 0, 0),
    ],
)
def test_an_amount_far_above_the_customers_median_is_a_sign(amount_minor: int, points: int, times: int) -> None:
    reasons = (f"amount: {times} times {MEDIAN}",) if points else ()
    assert result(now(amount_minor), *USUAL) == (points, reasons)


def test_less_than_25_euros_is_never_the_usual() -> None:
    coffee = [bought(f"coffee-{days}", days * DAY, 100) for days in (1, 2, 3)]
    assert result(now(9_999), *coffee) == (0, ())
    assert result(now(10_000), *coffee) == (15, ("amount: 4 times the least taken for usual (25.00 EUR)",))


def test_the_median_is_not_moved_by_one_large_payment() -> None:
    outlier = bought("outlier", 2 * DAY, 900_000)
    assert result(now(60_000), *USUAL, outlier)[0] == 40


def test_what_was_paid_two_weeks_ago_and_not_charged_back_is_not_unusual_again() -> None:
    large = bought("large", 20 * DAY, 60_000)
    assert result(now(119_999), large, *USUAL) == (0, ())
    assert result(now(120_001), large, *USUAL)[0] == 40
    assert result(now(60_000), *USUAL, bought("large", 2 * DAY, 60_000))[0] == 40
    assert result(now(60_000), large, *USUAL, disputed("large", 10 * DAY))[0] == 60


def test_the_two_weeks_are_those_of_the_log_so_that_a_payment_stamped_ahead_gains_nothing() -> None:
    ahead = replace(now(60_000), time=NOON + timedelta(days=29))
    assert result(ahead, *USUAL, bought("large", 1, 60_000))[0] == 40


@pytest.mark.parametrize(
    ("amount_minor", "points"), [(99_999, 0), (100_000, 20), (499_999, 20), (500_000, 40), (9_000_000, 40)]
)
def test_a_high_amount_of_a_customer_without_a_past_is_a_sign(amount_minor: int, points: int) -> None:
    told = f"amount: about {amount_minor / 100:.2f} EUR from a customer with {{}} orders before"
    assert result(now(amount_minor)) == (points, (told.format(0),) if points else ())
    assert result(now(amount_minor), *USUAL[1:]) == (points, (told.format(2),) if points else ())


def test_several_orders_at_once_of_a_new_customer_are_one_amount_that_blocks_nothing() -> None:
    eleven = orders(11, amount_minor=50_000)
    assert scored(now(50_000), *eleven).reasons == (
        "velocity: 11 other orders paid within 10 minutes",
        "amount: about 6000.00 EUR from a customer with 0 orders before",
    )
    assert (scored(now(50_000), *eleven).score, scored(now(50_000), *eleven).verdict) == (69, "review")


@pytest.mark.parametrize(
    ("currency", "amount_minor"), [("EUR", 60_000), ("USD", 64_800), ("JPY", 98_400), ("KWD", 199_200)]
)
def test_amounts_of_other_currencies_are_compared_by_the_table_of_rates_with_their_own_decimals(
    currency: str, amount_minor: int
) -> None:
    at_rates = "" if currency == "EUR" else f", of {', '.join(sorted(['EUR', currency]))} at reference rates"
    assert result(now(amount_minor, currency=currency), *USUAL) == (
        40,
        (f"amount: 20 times the customer's median (30.00 EUR{at_rates})",),
    )
    assert result(now(amount_minor // 10, currency=currency), *USUAL) == (0, ())


def test_a_currency_without_a_rate_is_not_compared_and_the_reasons_say_so() -> None:
    unknown = [replace(each, data=dict(each.data) | {"currency": "VES"}) for each in USUAL]
    assert result(now(900_000_000, currency="VES"), *USUAL) == (
        0,
        ("amount: not compared, no reference rate for VES",),
    )
    assert result(now(900_000), *unknown) == (0, ("amount: not compared, no reference rate for what was paid before",))


def test_rates_are_of_iso_codes_and_minor_units_are_counted() -> None:
    assert all(len(code) == 3 and code.isupper() and rate > 0 for code, rate in PER_EURO.items())
    assert euros(12_345, "EUR") == 123.45
    assert euros(164, "JPY") == pytest.approx(1)
    assert euros(332, "KWD") == pytest.approx(1)
    assert euros(1, "XXX") is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"country": "BR"}, (20, ("novelty: first payment from BR",))),
        ({"device_id": "d-9"}, (10, ("novelty: first payment from this device",))),
        (ABROAD, (35, ("novelty: first payment from BR and from this device",))),
    ],
)
def test_a_new_country_or_device_is_one_sign_once_three_orders_are_known(changes: Any, expected: Any) -> None:
    assert result(now(**changes), *USUAL) == expected
    assert result(now(**changes), *USUAL[:2]) == (0, ())


def test_a_place_used_once_before_is_not_new_unless_that_order_was_unusual_itself_or_of_the_same_burst() -> None:
    assert result(now(**ABROAD), bought("abroad", 20 * DAY, **ABROAD), *USUAL) == (0, ())
    assert result(now(**ABROAD), *USUAL, bought("abroad", DAY, 90_000, **ABROAD))[0] == 35
    assert result(now(**ABROAD), *USUAL, bought("abroad", DAY, **ABROAD), disputed("abroad", 1))[0] == 35 + 20
    assert result(now(**ABROAD), *USUAL, *orders(3, **ABROAD))[0] == 35 + 15


def test_another_country_and_device_is_nothing_new_for_those_who_change_them_always() -> None:
    changing = [bought(f"c-{n}", (9 - n) * DAY, country="DEFRUSJP"[2 * n :][:2], device_id=f"d-{n}") for n in range(4)]
    assert result(now(**ABROAD), *changing) == (0, ())


def test_three_countries_at_once_are_a_sign_that_needs_no_past() -> None:
    two = [bought("us", 0.1, country="US"), refused("br", 0.1, country="BR")]
    declined = [refused("us", 0.1, country="US"), refused("br", 0.1, country="BR")]
    assert result(now(), *two)[0] == 10
    assert result(now(), *declined) == (
        45,
        ("novelty: tried from 3 countries at once", "declines: 2 cards declined within an hour"),
    )


@pytest.mark.parametrize(("count", "points"), [(1, 10), (2, 10), (3, 25), (4, 40), (7, 40), (8, 45), (40, 45)])
def test_declined_cards_within_an_hour_are_a_sign(count: int, points: int) -> None:
    told = (f"declines: {count} card{'s' if count > 1 else ''} declined within an hour",)
    assert result(now(), *refusals(count, 0.5)) == (points, told)
    assert result(now(), *cards(count, 0.5)) == (points, told)


def test_a_card_is_counted_once_and_so_is_a_payment_of_a_card_that_is_not_named() -> None:
    one_card = refusals(9, card_id="k-1")
    one_payment = [replace(refused("one", 0.5 - n / 100), id=f"report-{n}") for n in range(9)]
    of_both = [refused("one", 0.4), refused("one", 0.3, card_id="k-1")]
    several_cards = [refused("one", 0.4 - n / 100, card_id=f"k-{n}") for n in range(4)]

    for declined in (one_card, one_payment, of_both):
        assert result(now(), *declined) == (10, ("declines: 1 card declined within an hour",))
    assert result(now(), *several_cards)[0] == 40


def test_declines_count_that_are_near_or_came_after_the_last_accepted_payment() -> None:
    long_ago = refusals(4, 3 * DAY)
    assert result(now(), *long_ago)[0] == 40
    assert result(now(), *long_ago, bought("since", 2 * DAY)) == (0, ())
    assert result(now(), *refusals(4, 0.9), bought("since", 0.5))[0] == 40
    assert result(now(), *[refused(f"slow-{n}", n * 21 * MINUTE) for n in range(9)])[0] == 25


def test_declines_before_the_last_accepted_payment_count_for_one_that_came_late() -> None:
    late = replace(now(), time=NOON - timedelta(days=2))
    assert result(late, *refusals(4, 0.9), bought("since", 0.5))[0] == 40
    assert result(late, *refusals(4, 5), bought("since", 0.5)) == (0, ())


@pytest.mark.parametrize(("count", "points"), [(1, 20), (2, 40), (3, 50), (5, 50)])
def test_orders_charged_back_are_a_sign_however_long_ago_and_often_reported(count: int, points: int) -> None:
    back = [disputed(f"c{number}", 119 * DAY) for number in range(count)]
    again = [replace(each, id=f"{each.id}-again") for each in back]
    told = f"disputes: {count} order{'s' if count > 1 else ''} charged back of {count + 1} payments"
    assert result(now(), *back, *again) == (points, (told,))


def test_few_chargebacks_of_many_payments_are_a_small_sign() -> None:
    many = [bought(f"many-{n}", (60 - n) * DAY) for n in range(20)]
    assert result(now(), *many, disputed("many-3", 9)) == (10, ("disputes: 1 order charged back of 21 payments",))
    assert result(now(), *many, *(disputed(f"many-{n}", 9) for n in range(3)))[0] == 50


@pytest.mark.parametrize(
    ("earlier", "payment", "points", "verdict"),
    [
        ([*USUAL, *refusals(3)], now(), 25, "approve"),
        ([*USUAL, *refusals(4)], now(), 40, "review"),
        ([*USUAL], now(60_000, **ABROAD), 75, "block"),
        ([*USUAL], now(59_999, **ABROAD), 65, "review"),
        ([*USUAL], now(60_000, country="BR"), 60, "review"),
        ([*USUAL, disputed("c", DAY)], now(59_999, **ABROAD), 69, "review"),
        ([*USUAL, *orders(10), *cards(10)], now(), 69, "review"),
        ([*USUAL, *orders(10), *cards(10)], now(60_000), 100, "block"),
        ([*(disputed(f"c{n}", DAY) for n in range(5))], now(100_000), 69, "review"),
        ([*(disputed(f"c{n}", DAY) for n in range(5))], now(500_000), 90, "block"),
    ],
)
def test_a_payment_is_blocked_only_where_two_independent_families_have_a_strong_sign(
    earlier: list[Event], payment: Event, points: int, verdict: str
) -> None:
    decision = decide(payment, *earlier)
    [emitted] = decision.emit
    assert isinstance(emitted, FraudScored)
    assert (emitted.score, emitted.verdict, decision.outcome) == (points, verdict, verdict)


def test_a_score_that_is_held_at_review_says_what_it_would_have_been() -> None:
    decision = decide(now(), *USUAL, *orders(10), *cards(10))
    assert decision.reason == (
        "score 69 (of 80: strong signs of 2 independent families are missing): "
        "velocity: 10 other orders paid within 10 minutes; declines: 10 cards declined within an hour"
    )


def test_the_score_names_the_payment_it_is_about() -> None:
    emitted = scored(now(payment_id="p-9", order_id="o-9", customer_id="bob"), disputed("c", DAY))
    assert emitted == FraudScored(
        payment_id="p-9",
        order_id="o-9",
        customer_id="bob",
        score=20,
        verdict="approve",
        reasons=("disputes: 1 order charged back of 2 payments",),
    )


def test_the_same_payment_and_history_give_the_same_decision_in_any_year() -> None:
    earlier = [*USUAL, *orders(3), *refusals(2), disputed("c", DAY)]
    moved = [replace(event, time=event.time + timedelta(days=3000)) for event in (now(**ABROAD), *earlier)]
    assert decide(now(**ABROAD), *earlier) == decide(now(**ABROAD), *earlier) == decide(*moved)


def test_the_agent_decides_by_these_rules_on_payments_of_a_customer() -> None:
    assert AGENTS["fraud"].by_rules(history_of(now(), *refusals(4))).outcome == "review"
    assert (fraud.entity.name, fraud.reacts_to) == ("customer", frozenset({"PaymentSucceeded"}))
    assert fraud.remembers == {"PaymentSucceeded", "PaymentFailed", "ChargebackReceived"}
