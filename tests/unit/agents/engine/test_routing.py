"""Where a message goes, and which message goes nowhere."""

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from cloudevents.core.bindings import kafka
from cloudevents.core.v1.event import CloudEvent
from shop_catalogue import CATALOGUE, ENTITIES

from agents.engine.routing import EntityRef, Routed, route, timeline
from tables.event import Headers, InvalidEvent, Unreadable, parse

MIB = 2**20
PAYMENT: dict[str, Any] = {
    "payment_id": "p-1",
    "order_id": "o-1",
    "customer_id": "c-1",
    "amount_minor": 1999,
    "currency": "EUR",
    "method": "card",
    "country": "DE",
    "device_id": "d-1",
}


def message(name: str, data: object) -> bytes:
    return orjson.dumps(
        {
            "specversion": "1.0",
            "id": "e-1",
            "source": "/shop",
            "type": name,
            "time": "2024-05-01T12:00:00Z",
            "data": data,
        }
    )


def routed(name: str, data: object) -> Routed:
    return route(message(name, data), (), max_bytes=MIB, catalogue=CATALOGUE)


def refusal(value: bytes | None, headers: Headers = (), max_bytes: int = MIB) -> tuple[str, str]:
    with pytest.raises(InvalidEvent) as caught:
        route(value, headers, max_bytes=max_bytes, catalogue=CATALOGUE)
    return caught.value.reason, str(caught.value)


def test_there_is_one_timeline_for_each_entity_type() -> None:
    assert [timeline(entity) for entity in ENTITIES] == [
        "timeline-customer",
        "timeline-order",
        "timeline-service",
    ]


def test_a_payment_belongs_to_its_customer_and_its_order() -> None:
    assert routed("PaymentSucceeded", PAYMENT).entities == (
        EntityRef("customer", "c-1"),
        EntityRef("order", "o-1"),
    )


def test_an_error_may_belong_to_all_three() -> None:
    error = {"service": "pricing", "step": "total", "error": "KeyError", "message": "sku"}
    assert routed("ErrorOccurred", error).entities == (EntityRef("service", "pricing"),)
    assert routed("ErrorOccurred", {**error, "order_id": "o-1", "customer_id": "c-1"}).entities == (
        EntityRef("customer", "c-1"),
        EntityRef("order", "o-1"),
        EntityRef("service", "pricing"),
    )


def test_an_unknown_type_is_routed_by_the_same_fields() -> None:
    assert routed("LoyaltyPointsEarned", {"customer_id": "c-1", "points": 3}).entities == (
        EntityRef("customer", "c-1"),
    )


def test_a_field_the_model_does_not_know_still_names_an_entity() -> None:
    assert routed("OrderCancelled", {"order_id": "o-1", "reason": "", "customer_id": "c-1"}).entities == (
        EntityRef("customer", "c-1"),
        EntityRef("order", "o-1"),
    )


def test_a_null_entity_field_counts_as_absent() -> None:
    review = {"customer_id": "c-1", "order_id": None, "stars": 5, "text": ""}
    assert routed("ReviewPosted", review).entities == (EntityRef("customer", "c-1"),)
    assert routed("Unknown", {"customer_id": None, "order_id": ""}).entities == ()


def test_an_event_without_entity_is_valid_and_routed_nowhere() -> None:
    assert routed("Unknown", {}).entities == ()
    assert routed("EscalationRequested", {"failure": "f", "reason": "r", "evidence": []}).entities == ()


@pytest.mark.parametrize("wrong", [1, True, [], ["c-1"], {}, 1.5])
@pytest.mark.parametrize("name", ["Unknown", "OrderCancelled"])
def test_an_entity_field_of_the_wrong_type_is_refused_whatever_the_event_type(name: str, wrong: object) -> None:
    data = {"order_id": "o-1", "reason": "", "customer_id": wrong}
    assert refusal(message(name, data)) == ("invalid_data", "data.customer_id must be a text")


def test_an_entity_id_has_at_most_256_bytes_in_utf8() -> None:
    assert routed("Unknown", {"service": "é" * 128}).entities == (EntityRef("service", "é" * 128),)
    expected = ("invalid_data", "data.service must have at most 256 bytes in UTF-8")
    assert refusal(message("Unknown", {"service": "é" * 129})) == expected
    assert refusal(message("ServiceDeployed", {"service": "é" * 129, "version": "1"})) == expected


def test_invalid_data_of_a_known_type_is_refused() -> None:
    without_amount = {name: content for name, content in PAYMENT.items() if name != "amount_minor"}
    assert refusal(message("PaymentSucceeded", without_amount)) == (
        "invalid_data",
        "PaymentSucceeded data.amount_minor: field required",
    )
    assert refusal(message("PaymentSucceeded", {**PAYMENT, "amount_minor": "1999"})) == (
        "invalid_data",
        "PaymentSucceeded data.amount_minor: input should be a valid integer",
    )


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "tombstone"),
        (b"", "invalid_json"),
        (b"{not json", "invalid_json"),
        (b'{"id":"\xff"}', "invalid_utf8"),
        (b"{}", "invalid_envelope"),
        (message("Unknown", []), "invalid_data"),
        (message("PaymentSucceeded", {**PAYMENT, "method": "\0"}), "invalid_data"),
        (message("Unknown", {"text": "x" * 2 * MIB}), "too_large"),
        (b"\xff" * 2 * MIB, "too_large"),
    ],
)
def test_what_is_no_event_is_refused_with_its_reason(value: bytes | None, reason: str) -> None:
    assert refusal(value)[0] == reason


def test_value_and_headers_are_bounded_together() -> None:
    value = message("Unknown", {})
    headers: Headers = [("trace", b"12345"), ("empty", None)]
    size = len(value) + len("trace") + 5 + len("empty")
    assert route(value, headers, max_bytes=size, catalogue=CATALOGUE).entities == ()
    assert refusal(value, headers, max_bytes=size - 1) == (
        "too_large",
        f"value with headers must have at most {size - 1} bytes: it has {size}",
    )


def test_the_payload_is_bounded_as_it_will_be_written() -> None:
    value = message("Unknown", {"n": [0] * 100}).replace(b"0,", b"1e9,")
    payload_size = len(route(value, (), max_bytes=MIB, catalogue=CATALOGUE).payload)
    assert payload_size > len(value)
    assert refusal(value, max_bytes=payload_size - 1) == (
        "too_large",
        f"event as structured JSON must have at most {payload_size - 1} bytes: it has {payload_size}",
    )


def test_the_payload_is_the_event_as_structured_json() -> None:
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", b"e-1"),
        ("ce_source", b"/shop"),
        ("ce_type", b"Unknown"),
        ("ce_time", b"2024-05-01T14:00:00+02:00"),
    ]
    binary = route(b'{ "order_id": "o-1" }', headers, max_bytes=MIB, catalogue=CATALOGUE)
    assert binary == routed("Unknown", {"order_id": "o-1"})
    assert binary.payload == (
        b'{"specversion":"1.0","id":"e-1","source":"/shop","type":"Unknown","time":"2024-05-01T12:00:00Z",'
        b'"data":{"order_id":"o-1"}}'
    )
    assert parse(binary.payload, ()) == binary.event


def test_a_message_of_the_cloudevents_sdk_is_routed_the_same_in_both_modes() -> None:
    foreign = CloudEvent(
        attributes={
            "id": "e-1",
            "source": "/shop",
            "type": "PaymentSucceeded",
            "specversion": "1.0",
            "time": datetime(2024, 5, 1, 12, tzinfo=UTC),
            "datacontenttype": "application/json",
        },
        data=PAYMENT,
    )
    structured, binary = (
        route(made.value, tuple(made.headers.items()), max_bytes=MIB, catalogue=CATALOGUE)
        for made in (kafka.to_structured_event(foreign), kafka.to_binary_event(foreign))
    )
    assert structured == binary
    assert structured.entities == (EntityRef("customer", "c-1"), EntityRef("order", "o-1"))


NOON = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize("ahead", [timedelta(days=-900), timedelta(0), timedelta(minutes=5)])
def test_an_event_is_as_old_as_it_says_and_may_be_a_little_ahead_of_its_record(ahead: timedelta) -> None:
    found = route(message("PaymentSucceeded", PAYMENT), (), max_bytes=MIB, latest=NOON - ahead, catalogue=CATALOGUE)

    assert found.event.time == NOON
    assert found.event.extensions == {}


def test_an_event_that_is_further_ahead_happened_when_its_record_was_written() -> None:
    written = NOON - timedelta(days=29)

    found = route(message("PaymentSucceeded", PAYMENT), (), max_bytes=MIB, latest=written, catalogue=CATALOGUE)

    assert found.event.time == written
    assert found.event.extensions == {"claimedtime": "2024-05-01T12:00:00Z"}
    assert parse(found.payload, ()) == found.event
    assert orjson.loads(found.payload)["time"] == "2024-04-02T12:00:00Z"


def test_an_unreadable_record_is_refused_with_its_problem() -> None:
    assert refusal(Unreadable(b"\0\1", "the record cannot be read")) == ("unreadable", "the record cannot be read")
