"""The scenario of the demo: as many payments as asked for, the same for a seed, some broken, some fraudulent."""

from __future__ import annotations

from collections import Counter

import pytest
from fakes import NOON

from agents.routing import Routed, route
from app.scenario import Produced, payments
from tables.event import InvalidEvent


def scenario(seed: int = 7, wanted: int = 200, customers: int = 50) -> list[Produced]:
    return list(payments(seed=seed, payments_wanted=wanted, customers=customers, start=NOON))


def routed(record: Produced) -> Routed:
    return route(record.value, record.headers, max_bytes=512 * 1024)


def reason(record: Produced) -> str:
    try:
        routed(record)
    except InvalidEvent as error:
        return error.reason
    return "valid"


@pytest.fixture(scope="module")
def records() -> list[Produced]:
    return scenario()


def test_the_same_seed_gives_the_same_records_and_another_gives_others(records: list[Produced]) -> None:
    assert scenario() == records
    assert scenario(seed=8) != records


@pytest.mark.parametrize("wanted", [0, 1, 25, 26, 200])
def test_there_are_exactly_as_many_valid_payments_as_asked_for(wanted: int) -> None:
    due = [record for record in scenario(wanted=wanted) if record.payment_id is not None]
    assert [record.payment_id for record in due] == [f"p-{number:05}" for number in range(wanted)]
    assert {routed(record).event.type for record in due} <= {"PaymentSucceeded"}


def test_a_payment_a_decision_is_due_for_names_its_id_and_others_name_none(records: list[Produced]) -> None:
    for record in records:
        if reason(record) != "valid":
            assert record.payment_id is None
            continue
        event = routed(record).event
        assert record.payment_id == (event.data["payment_id"] if event.type == "PaymentSucceeded" else None)


def test_every_50_payments_bring_one_broken_message_of_each_kind(records: list[Produced]) -> None:
    reasons = Counter(map(reason, records))
    del reasons["valid"]
    assert reasons == {"invalid_json": 4, "tombstone": 4, "invalid_utf8": 4}


def test_every_event_has_an_id_of_its_own_and_belongs_to_a_customer_and_an_order(records: list[Produced]) -> None:
    events = [routed(record) for record in records if reason(record) == "valid"]
    assert len({each.event.id for each in events}) == len(events)
    assert {tuple(entity.entity for entity in each.entities) for each in events} == {("customer", "order")}
    assert {entity.id for each in events for entity in each.entities if entity.entity == "customer"} <= {
        f"c-{number:03}" for number in range(50)
    }


def test_payments_come_in_the_order_they_happened_after_the_start(records: list[Produced]) -> None:
    times = [routed(record).event.time for record in records if record.payment_id is not None]
    assert times == sorted(times)
    assert times[0] > NOON


def test_both_content_modes_are_used(records: list[Produced]) -> None:
    binary = [record for record in records if any(name == "ce_id" for name, _ in record.headers)]
    structured = [
        record for record in records if record.headers == (("content-type", b"application/cloudevents+json"),)
    ]
    assert len(binary) + len(structured) + 12 == len(records)
    assert min(len(binary), len(structured)) > 50


def test_there_are_card_testers_and_accounts_taken_over(records: list[Produced]) -> None:
    events = [routed(record).event for record in records if reason(record) == "valid"]
    kinds = Counter(event.type for event in events)
    assert min(kinds["PaymentFailed"], kinds["ChargebackReceived"]) > 0
    assert {event.data["customer_id"][-1] for event in events if event.type == "PaymentFailed"} == {"3"}
    abroad = {event.data["customer_id"][-1] for event in events if event.data["country"] == "BR"}
    assert abroad == {"7"}
