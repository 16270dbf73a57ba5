"""Unusual orders: what each kind owes at its end, written by hand, and that what is told of it fits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

import pytest
from fakes import NOON
from shop_catalogue import CATALOGUE

from agents.engine.routing import route
from app.simulator import Capture, Case, Simulation, simulate
from app.simulator.unusual import TALES
from tables.event import Event, InvalidEvent

NAMES: Final = sorted({tale.__name__ for tale in TALES})


def everything(captures: Sequence[Capture]) -> int:
    return sum(each.amount_minor for each in captures)


def nothing(_: Sequence[Capture]) -> int:
    return 0


def last(captures: Sequence[Capture]) -> int:
    return captures[-1].amount_minor


def all_but_the_first(captures: Sequence[Capture]) -> int:
    return everything(captures[1:])


#: What is owed when an order of the kind ends, by what was captured for it; kinds that owe another sum are left out.
OWED: Final[Mapping[str, Callable[[Sequence[Capture]], int]]] = {
    "split_tender": nothing,
    "split_tender_in_three": nothing,
    "split_tender_twice": last,
    "card_check": lambda _: 100,
    "third_capture": all_but_the_first,
    "other_currency": nothing,
    "reported_again": nothing,
    "reported_differently": nothing,
    "charged_back_before": nothing,
    "charged_back_in_part": lambda captures: last(captures) - last(captures) // 3,
    "charged_back_after": nothing,
    "charged_back_and_short": nothing,
    "support_was_first": nothing,
    "support_gave_a_part": lambda captures: last(captures) - last(captures) // 4,
    "support_refunded_the_short": nothing,
    "charged_the_lower_price": nothing,
    "shipping_costs": nothing,
    "paid_a_little": nothing,
    "fewer_pieces_before": nothing,
    "without_the_missing_article": nothing,
    "more_pieces": nothing,
    "versions_overtake": nothing,
    "found_in_parts": nothing,
    "two_articles_short": everything,
    "paid_when_stopped": everything,
    "called_off": everything,
    "called_off_on_its_way": nothing,
    "corrected_when_asked": nothing,
    "forged_cause": nothing,
    "forged_block": nothing,
    "shared_payment": everything,
    "storm_of_one": everything,
    "storm_of_the_unknown": nothing,
    "cascade": everything,
    "late_cause": everything,
    "late_second_capture": last,
    "clock_ahead": everything,
    "clock_behind": nothing,
    "abroad": nothing,
    "new_phone": nothing,
    "declined_before": nothing,
    "big_basket": nothing,
    "two_in_a_row": nothing,
}
#: Nobody may decide these by themselves.
DOUBTFUL: Final = {
    "other_currency",
    "reported_differently",
    "more_pieces",
    "versions_overtake",
    "called_off_on_its_way",
    "storm_of_the_unknown",
}


@pytest.fixture(scope="module")
def shops() -> Sequence[Simulation]:
    return [simulate(seed=seed, orders=280, failures=20, start=NOON, unusual=2 * len(TALES)) for seed in (61, 62)]


def told(shops: Sequence[Simulation], kind: str) -> Sequence[tuple[Simulation, Case, Sequence[Capture]]]:
    found = [
        (shop, case, [each for each in shop.captures if each.order_id == case.order_id])
        for shop in shops
        for case in shop.cases
        if case.kind == kind
    ]
    assert len(found) == 2 * len(shops) * [tale.__name__ for tale in TALES].count(kind)
    return found


@pytest.fixture(scope="module")
def events(shops: Sequence[Simulation]) -> Mapping[str, Event]:
    found: dict[str, Event] = {}
    for record in shops[0].records:
        try:
            event = route(record.value, record.headers, max_bytes=512 * 1024, catalogue=CATALOGUE).event
        except InvalidEvent:
            continue
        found[event.id] = event
    return found


@pytest.mark.parametrize("kind", OWED)
def test_an_order_ends_with_what_is_owed_for_its_kind(shops: Sequence[Simulation], kind: str) -> None:
    for shop, case, captures in told(shops, kind):
        assert shop.moments[case.order_id][-1].owed_minor == OWED[kind](captures)


def test_an_amended_order_owes_what_it_costs_less(shops: Sequence[Simulation], events: Mapping[str, Event]) -> None:
    for kind in ("fewer_pieces", "did_without_when_paid"):
        for shop, case, captures in told(shops[:1], kind):
            worth = events[f"{case.order_id}-OrderPlaced-2"].data["total_minor"]
            owed = shop.moments[case.order_id][-1].owed_minor
            assert owed == everything(captures) - worth > 0


def test_a_fallen_price_charged_twice_owes_one_capture_and_the_difference(shops: Sequence[Simulation]) -> None:
    for shop, case, captures in told(shops, "overpaid_twice"):
        one, both = case.outcomes
        assert one.refund_minor == {captures[1].payment_id: captures[1].amount_minor}
        assert both.refund_minor is not None
        assert sum(both.refund_minor.values()) == shop.moments[case.order_id][-1].owed_minor > last(captures)


@pytest.mark.parametrize("kind", NAMES)
def test_no_outcome_gives_back_more_than_was_ever_owed(shops: Sequence[Simulation], kind: str) -> None:
    for shop, case, _ in told(shops, kind):
        most = max(moment.owed_minor for moment in shop.moments[case.order_id])
        assert all(sum((outcome.refund_minor or {}).values()) <= most for outcome in case.outcomes)


@pytest.mark.parametrize("kind", NAMES)
def test_a_kind_is_doubtful_or_not(shops: Sequence[Simulation], kind: str) -> None:
    assert {case.is_doubtful for _, case, _ in told(shops, kind)} == {kind in DOUBTFUL}


def test_every_order_of_a_storm_repeats_one_error(shops: Sequence[Simulation]) -> None:
    for kind in ("storm_of_one", "storm_of_the_unknown"):
        for shop, case, _ in told(shops, kind):
            errors = [each for each in shop.truth if each.order_id == case.order_id]
            assert [each.repeats for each in errors] == [False] + [True] * 59
            assert len({(each.failure, each.culprit_event_id) for each in errors}) == 1


def test_a_deployment_hits_the_last_orders_within_an_hour(
    shops: Sequence[Simulation], events: Mapping[str, Event]
) -> None:
    wave = {case.order_id: case for case in shops[0].cases if case.kind == "wave"}
    errors = [each for each in shops[0].truth if each.order_id in wave]
    times = [events[each.error_event_id].time for each in errors]
    assert len(wave) == len(errors) > 20
    assert len({each.culprit_event_id for each in errors}) == 1
    assert (max(times) - min(times)).total_seconds() < 3600
    assert len({case.service for case in wave.values()}) == 1


def test_a_late_cause_is_sent_after_the_error_it_led_to(shops: Sequence[Simulation]) -> None:
    sent: dict[str, tuple[int, datetime]] = {}
    for place, record in enumerate(shops[0].records):
        try:
            event = route(record.value, record.headers, max_bytes=512 * 1024, catalogue=CATALOGUE).event
        except InvalidEvent:
            continue
        sent.setdefault(event.id, (place, event.time))
    kinds = {case.order_id for case in shops[0].cases if case.kind in ("late_cause", "late_second_capture")}
    late = [each for each in shops[0].truth if each.order_id in kinds]
    assert late
    for each in late:
        cause, error = sent[each.culprit_event_id or ""], sent[each.error_event_id]
        assert (cause[0] > error[0], cause[1] < error[1]) == (True, True)


def test_a_bus_delivers_some_records_twice_and_changes_none(shops: Sequence[Simulation]) -> None:
    records = [(each.topic, each.key, each.value, each.headers) for each in shops[0].records]

    assert 0.01 < 1 - len(set(records)) / len(records) < 0.1
    assert [each.at for each in shops[0].records] == sorted(each.at for each in shops[0].records)


def test_the_same_seed_tells_the_same_unusual_story(shops: Sequence[Simulation]) -> None:
    assert simulate(seed=61, orders=280, failures=20, start=NOON, unusual=2 * len(TALES)) == shops[0]
