"""The simulator: the same story for the same seed, every failure with its culprit before its error, money that fits."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from fakes import NOON
from shop_catalogue import CATALOGUE

from agents.engine.routing import route
from app.simulator import Produced, Simulation, simulate
from tables.event import Event, InvalidEvent

ORDERS, FAILURES = 400, 80


def story(seed: int = 11, orders: int = ORDERS, failures: int = FAILURES, *, noise: bool = True) -> Simulation:
    return simulate(seed=seed, orders=orders, failures=failures, start=NOON, noise=noise)


def read(record: Produced) -> Event | str:
    try:
        return route(record.value, record.headers, max_bytes=512 * 1024, catalogue=CATALOGUE).event
    except InvalidEvent as error:
        return error.reason


def events_of(simulation: Simulation) -> list[Event]:
    return [event for event in map(read, simulation.records) if isinstance(event, Event)]


@pytest.fixture(scope="module")
def simulation() -> Simulation:
    return story()


@pytest.fixture(scope="module")
def events(simulation: Simulation) -> list[Event]:
    return events_of(simulation)


@pytest.fixture(scope="module")
def by_order(events: Sequence[Event]) -> dict[str, list[Event]]:
    orders = defaultdict(list)
    for event in events:
        if event.correlationid:
            orders[event.correlationid].append(event)
    return orders


def kinds(order: Sequence[Event], kind: str) -> Iterator[Event]:
    return (event for event in order if event.type == kind)


def test_the_same_seed_tells_the_same_story_and_another_seed_another(simulation: Simulation) -> None:
    assert story() == simulation
    assert story(seed=12).records != simulation.records


@pytest.mark.parametrize(
    ("orders", "failures"), [(0, 0), (1, 0), (2, 1), (24, 12), (40, 17), (100, 50), (500, 100), (100, 0)]
)
def test_there_are_as_many_orders_and_errors_as_asked_for(orders: int, failures: int) -> None:
    told = story(orders=orders, failures=failures)
    types = Counter(event.type for event in events_of(told))
    assert (types["OrderPlaced"], types["ErrorOccurred"], len(told.truth)) == (orders, failures, failures)


def test_more_failures_than_half_of_the_orders_are_refused() -> None:
    with pytest.raises(ValueError, match="8 failures need at least 16 orders, got 15"):
        story(orders=15, failures=8)


@pytest.mark.parametrize("seed", range(20))
def test_from_12_failures_on_every_kind_is_there(seed: int) -> None:
    assert {each.failure for each in story(seed, orders=24, failures=12).truth} == {
        "stock_shortage",
        "duplicate_capture",
        "label_failed",
        "address_invalid",
        "price_changed",
        "bad_deployment",
        "bad_configuration",
        "unknown",
    }


def test_both_outcomes_of_a_changed_price_and_shortages_with_and_without_a_capture_are_there(
    simulation: Simulation,
) -> None:
    prices = [each.plan for each in simulation.truth if each.failure == "price_changed"]
    assert {(bool(plan.refund_minor), plan.escalated, plan.notified) for plan in prices} == {
        (True, False, True),
        (False, True, False),
    }
    assert {bool(each.captures) for each in simulation.truth if each.failure == "stock_shortage"} == {True, False}


def test_every_event_is_valid_under_an_id_of_its_own_and_the_others_become_dead_letters(
    simulation: Simulation, events: Sequence[Event]
) -> None:
    reasons = Counter(reason for reason in map(read, simulation.records) if isinstance(reason, str))
    assert reasons == {"invalid_json": 8, "tombstone": 8, "invalid_utf8": 8}
    assert simulation.broken == 24
    assert len({event.id for event in events}) == len(events)
    assert "o-00017-OrderPlaced-1" in {event.id for event in events}


def test_records_come_in_the_order_they_happened_and_later_within_an_order(
    simulation: Simulation, by_order: dict[str, list[Event]]
) -> None:
    times = [record.at for record in simulation.records]
    assert times == sorted(times)
    assert times[0] > NOON
    for order in by_order.values():
        assert all(earlier.time < later.time for earlier, later in pairwise(order))


def test_every_third_order_is_told_in_binary_mode(simulation: Simulation) -> None:
    orders = [record for record in simulation.records if record.key.startswith(b"o-")]
    for record in orders:
        binary = any(name == "ce_id" for name, _ in record.headers)
        assert binary == (int(record.key[2:]) % 3 == 0)


def test_records_are_keyed_by_order_else_customer_else_service(simulation: Simulation) -> None:
    for record in simulation.records:
        event = read(record)
        if isinstance(event, Event):
            data = event.data
            assert record.key.decode() == (data.get("order_id") or data.get("customer_id") or data.get("service"))
            assert event.source.startswith("urn:shop:")


def test_the_simulator_tells_nothing_that_agents_decide(events: Sequence[Event]) -> None:
    assert {event.type for event in events} == {
        "PaymentAuthorized",
        "PaymentSucceeded",
        "PaymentFailed",
        "ChargebackReceived",
        "OrderPlaced",
        "PriceChanged",
        "AddressChanged",
        "InventoryReserved",
        "InventoryShort",
        "ShipmentBooked",
        "ShipmentDispatched",
        "LabelFailed",
        "ReviewPosted",
        "SupportMessageReceived",
        "ErrorOccurred",
        "ServiceDeployed",
        "ConfigChanged",
    }


def test_an_order_has_fewer_than_50_events(by_order: dict[str, list[Event]]) -> None:
    assert max(map(len, by_order.values())) < 50


def test_orders_interleave_over_weeks(simulation: Simulation, by_order: dict[str, list[Event]]) -> None:
    assert timedelta(days=19) < simulation.records[-1].at - NOON < timedelta(days=26)
    orders = [by_order[order_id] for order_id in sorted(by_order)]
    assert sum(later[0].time < earlier[-1].time for earlier, later in pairwise(orders)) > 300


def test_captures_are_the_payments_that_succeeded(simulation: Simulation, events: Sequence[Event]) -> None:
    paid = [event.data for event in events if event.type == "PaymentSucceeded"]
    assert [(each.payment_id, each.order_id, each.amount_minor, each.currency) for each in simulation.captures] == [
        (data["payment_id"], data["order_id"], data["amount_minor"], data["currency"]) for data in paid
    ]


def test_a_total_is_the_sum_of_its_lines_and_is_captured_unless_the_price_or_the_capture_failed(
    simulation: Simulation, by_order: dict[str, list[Event]]
) -> None:
    odd = {each.order_id for each in simulation.truth if each.failure in ("price_changed", "duplicate_capture")}
    paid = 0
    for order_id, order in by_order.items():
        placed = order[0].data
        assert placed["total_minor"] == sum(item["quantity"] * item["price_minor"] for item in placed["items"])
        captured = [event.data["amount_minor"] for event in kinds(order, "PaymentSucceeded")]
        if order_id not in odd and captured:
            assert captured == [placed["total_minor"]]
            paid += 1
    assert paid > 300


def test_payments_of_an_honest_customer_lie_an_hour_apart_and_come_from_one_country_and_device(
    simulation: Simulation, events: Sequence[Event]
) -> None:
    twice = {each.culprit_event_id for each in simulation.truth if each.failure == "duplicate_capture"}
    payments = defaultdict(list)
    for event in events:
        if event.type == "PaymentSucceeded" and event.id not in twice:
            payments[event.data["customer_id"]].append(event)
    honest = {f"c-{number:04}" for number in range(100)}
    for customer_id in honest & payments.keys():
        own = payments[customer_id]
        assert len({(each.data["country"], each.data["device_id"]) for each in own}) == 1
        gaps = [later.time - earlier.time for earlier, later in pairwise(own)]
        assert all(gap >= timedelta(hours=1) for gap in gaps)
    assert len(payments.keys() - honest) == 16


def test_frauds_are_card_tests_and_takeovers_without_failures(
    simulation: Simulation, by_order: dict[str, list[Event]]
) -> None:
    frauds = {order_id: order for order_id, order in by_order.items() if int(order[0].data["customer_id"][2:]) >= 100}
    assert not frauds.keys() & {each.order_id for each in simulation.truth}
    assert sum(len(list(kinds(order, "PaymentFailed"))) >= 4 for order in frauds.values()) == 16
    assert sum(bool(list(kinds(order, "ChargebackReceived"))) for order in frauds.values()) == 8
    assert sum(event.data["country"] == "BR" for o in frauds.values() for event in kinds(o, "PaymentSucceeded")) == 16


def test_without_noise_nothing_harmless_happens() -> None:
    quiet = story(noise=False)
    assert quiet.broken == 0
    types = Counter(event.type for event in events_of(quiet))
    failures = Counter(each.failure for each in quiet.truth)
    assert types["PriceChanged"] == failures["price_changed"]
    assert types["InventoryShort"] == failures["stock_shortage"]
    assert types["AddressChanged"] == failures["address_invalid"]
    assert types["LabelFailed"] == failures["label_failed"] + failures["address_invalid"]


def test_the_start_is_the_one_given() -> None:
    first = simulate(seed=1, orders=1, failures=0, start=datetime(2030, 1, 1, tzinfo=UTC)).records[0]
    assert datetime(2030, 1, 1, tzinfo=UTC) < first.at < datetime(2030, 1, 1, 2, tzinfo=UTC)
