"""What counts as an open failure of an order, what makes it good, and which event is to blame."""

from __future__ import annotations

import pytest
from fakes import NOON, history_of
from stories import booked, captured, error, happened, label, moved, placed, priced, refunded, reserved, short

from agents.shop.events import ChargebackReceived, PaymentFailed, ShipmentDispatched, ShipmentRetryRequested
from agents.shop.facts.causes import Candidate, candidates
from agents.shop.facts.story import Chronicle, Story, deviations
from agents.shop.failures import Failure
from tables.event import Event

ORDINARY = (placed(), reserved("r-lamp", 99), reserved("r-cup", 99, "cup", 1, 1), captured("paid", 60), booked("b", 50))


def story(*events: Event, blamed: tuple[tuple[str, str], ...] = ()) -> Story:
    return Story(Chronicle(history_of(error(), *events)), NOON, frozenset(blamed))


def found(*events: Event, blamed: tuple[tuple[str, str], ...] = ()) -> list[tuple[str, str]]:
    return [(each.failure.value, each.culprit.id) for each in candidates(story(*events, blamed=blamed))]


def only(*events: Event) -> Candidate:
    [candidate] = candidates(story(*events))
    return candidate


def ids(*events: Event) -> list[str]:
    return [each.id for each in deviations(story(*events))]


def test_an_ordinary_order_shows_no_failure_and_no_deviation() -> None:
    assert found(*ORDINARY) == []
    assert ids(*ORDINARY) == []


def test_a_shortage_of_an_ordered_sku_is_open_until_as_many_are_reserved() -> None:
    assert found(placed(), short("s", 30)) == [("stock_shortage", "s")]
    assert found(placed(), short("s", 30), reserved("r", 20, wanted=1)) == [("stock_shortage", "s")]
    assert found(placed(), short("s", 30), reserved("r", 20, "cup")) == [("stock_shortage", "s")]
    assert found(placed(), short("s", 30), reserved("r", 20)) == []


def test_a_reservation_before_the_shortage_does_not_make_it_good() -> None:
    assert found(placed(), reserved("r", 40), short("s", 30)) == [("stock_shortage", "s")]


def test_a_shortage_of_a_sku_that_was_not_ordered_is_harmless_unless_the_order_is_unknown() -> None:
    assert found(placed(), short("s", 30, "vase")) == []
    assert found(short("s", 30, "vase")) == [("stock_shortage", "s")]


def test_the_first_shortage_of_the_open_run_is_to_blame() -> None:
    run = (short("s1", 50), reserved("r", 45), short("s2", 40), short("s3", 30))
    candidate = only(placed(), *run)
    assert (candidate.culprit.id, [each.id for each in candidate.repeats]) == ("s2", ["s3"])
    assert [each.id for each in only(placed(), *run, short("c", 20, "cup", 1)).repeats] == ["s3", "c"]


def test_the_second_payment_taken_is_to_blame_and_the_first_is_its_context() -> None:
    candidate = only(placed(), captured("one", 60), captured("two", 50, "p-2"))
    assert (candidate.failure, candidate.culprit.id) == (Failure.DUPLICATE_CAPTURE, "two")
    assert [each.id for each in candidate.context] == ["one"]


def test_the_same_payment_reported_again_is_no_second_capture() -> None:
    assert found(placed(), captured("one", 60), captured("again", 50)) == []
    assert ids(placed(), captured("one", 60), captured("again", 50)) == []


@pytest.mark.parametrize(
    ("refunds", "expected"),
    [
        ((refunded("x", 40, "p-2"),), []),
        ((refunded("x", 40, "p-1"),), []),
        ((refunded("x", 40, "p-2", 1999),), [("duplicate_capture", "two")]),
        ((refunded("x", 40, "p-2", 1999), refunded("y", 30, "p-2", 1)), []),
        ((refunded("x", 40, "p-9"),), [("duplicate_capture", "two")]),
        ((happened(ChargebackReceived, "x", 40, **(captured("c", 0, "p-2").data)),), []),
    ],
)
def test_a_capture_given_back_in_full_is_made_good(refunds: tuple[Event, ...], expected: list[tuple[str, str]]) -> None:
    assert found(placed(), captured("one", 60), captured("two", 50, "p-2"), *refunds) == expected


def test_of_three_captures_the_second_that_was_kept_is_to_blame() -> None:
    three = (captured("one", 60), captured("two", 50, "p-2"), captured("three", 45, "p-3"))
    assert found(placed(), *three) == [("duplicate_capture", "two")]
    assert found(placed(), *three, refunded("x", 40, "p-2")) == [("duplicate_capture", "three")]
    assert found(placed(), *three, refunded("x", 40, "p-1")) == [("duplicate_capture", "three")]


def test_a_refund_that_answers_an_earlier_error_does_not_clear_the_capture_to_blame_for_it() -> None:
    twice = (placed(), captured("one", 60), captured("two", 50, "p-2"), refunded("x", 40, "p-2"))
    assert found(*twice, blamed=(("urn:test:shop", "two"),)) == [("duplicate_capture", "two")]
    third = captured("three", 30, "p-3")
    assert found(*twice, third, blamed=(("urn:test:shop", "two"),)) == [("duplicate_capture", "three")]


def test_the_latest_label_that_failed_for_a_passing_reason_is_to_blame_until_a_shipment_is_booked() -> None:
    retried = happened(ShipmentRetryRequested, "retry", 25, reason="again")
    failed = (placed(), label("l1", 30), retried, label("l2", 20))
    assert (only(*failed).culprit.id, [each.id for each in only(*failed).repeats]) == ("l2", ["l1"])
    assert found(*failed, booked("b", 10)) == []
    assert found(*failed, happened(ShipmentDispatched, "d", 10, carrier="post")) == []
    assert found(*failed[:2], booked("b", 25), failed[3]) == [("label_failed", "l2")]


def test_a_label_that_failed_for_good_is_a_deviation_but_explains_nothing() -> None:
    assert found(placed(), label("l", 30, transient=False)) == []
    assert ids(placed(), label("l", 30, transient=False)) == ["l"]


@pytest.mark.parametrize("transient", [True, False])
def test_a_label_that_failed_on_an_invalid_address_is_only_its_symptom(transient: bool) -> None:
    candidate = only(placed(), moved("a", 40, valid=False), label("l", 30, transient=transient))
    assert (candidate.failure, candidate.culprit.id) == (Failure.ADDRESS_INVALID, "a")
    assert [each.id for each in candidate.symptoms] == ["l"]


def test_a_label_that_failed_before_the_address_became_invalid_is_a_failure_of_its_own() -> None:
    assert found(placed(), label("l", 50), moved("a", 40, valid=False)) == [
        ("label_failed", "l"),
        ("address_invalid", "a"),
    ]


def test_a_corrected_address_is_no_culprit() -> None:
    assert found(placed(), moved("a", 40, valid=False), moved("b", 30, valid=True)) == []
    assert found(placed(), moved("b", 50, valid=True), moved("a", 40, valid=False)) == [("address_invalid", "a")]
    assert ids(placed(), moved("a", 40, valid=False), moved("b", 30, valid=True)) == ["a"]


def test_the_label_that_failed_after_the_correction_is_a_failure_again() -> None:
    corrected = (moved("a", 40, valid=False), moved("b", 30, valid=True))
    assert found(placed(), *corrected, label("l", 20)) == [("label_failed", "l")]


def test_of_two_invalid_addresses_the_one_the_label_failed_on_is_to_blame() -> None:
    two = (placed(), moved("a1", 50, valid=False), moved("a2", 40, valid=False))
    assert found(*two) == [("address_invalid", "a2")]
    assert found(*two, label("l", 30)) == [("address_invalid", "a2")]
    assert found(*two, label("l", 45)) == [("address_invalid", "a1")]


def test_a_price_that_differed_at_the_capture_is_open() -> None:
    candidate = only(placed(), priced("p", 80, 700, 900), captured("paid", 60))
    assert (candidate.failure, candidate.culprit.id) == (Failure.PRICE_CHANGED, "p")
    assert [each.id for each in candidate.context] == ["paid"]


@pytest.mark.parametrize(
    "changes",
    [
        (priced("p", 50, 700, 900),),
        (priced("p", 110, 700, 900),),
        (priced("p", 80, 700, 700),),
        (priced("p", 80, 700, 900, "vase"),),
        (priced("p", 80, 700, 900), priced("q", 70, 900, 700)),
    ],
    ids=["after the capture", "before the order", "to the same", "of another sku", "taken back"],
)
def test_a_price_change_that_made_no_difference_to_the_customer_is_harmless(changes: tuple[Event, ...]) -> None:
    assert found(placed(), *changes, captured("paid", 60), captured("again", 40)) == []


def test_a_price_change_without_a_capture_explains_nothing() -> None:
    assert found(placed(), priced("p", 80, 700, 900)) == []


def test_the_last_change_that_made_the_difference_is_to_blame_and_of_several_articles_the_first_of_those() -> None:
    first = (priced("p1", 90, 700, 900), priced("p2", 80, 900, 800), priced("p3", 75, 800, 800))
    assert found(placed(), *first, priced("late", 50, 800, 700), captured("paid", 60)) == [("price_changed", "p2")]
    cup = priced("c", 70, 600, 500, "cup")
    several = only(placed(), *first, cup, captured("paid", 60))
    assert (several.culprit.id, [each.id for each in several.repeats]) == ("p2", ["p1", "c"])


def test_with_two_captures_the_price_counts_at_the_first() -> None:
    twice = (captured("one", 60), captured("two", 40, "p-2"))
    assert found(placed(), priced("p", 50, 700, 900), *twice) == [("duplicate_capture", "two")]


def test_what_happened_after_the_error_neither_breaks_nor_makes_good() -> None:
    assert found(placed(), short("s", -1)) == []
    assert found(placed(), short("s", 30), reserved("r", -1)) == [("stock_shortage", "s")]
    assert found(placed(), short("s", 0)) == [("stock_shortage", "s")]


def test_what_an_ordinary_order_does_not_have_is_a_deviation_in_order_of_time() -> None:
    refused = happened(PaymentFailed, "refused", 70, **{**captured("c", 0).data, "reason": "declined"})
    odd = (captured("two", 20, "p-2"), label("l", 30), refused, priced("p", 80, 700, 700), short("s", -1))
    assert ids(*ORDINARY, *odd) == ["p", "refused", "l", "two"]


def test_events_of_the_same_time_are_ordered_by_the_log() -> None:
    assert found(placed(), short("s", 30), reserved("r", 30)) == []
    assert found(placed(), reserved("r", 30), short("s", 30)) == [("stock_shortage", "s")]
