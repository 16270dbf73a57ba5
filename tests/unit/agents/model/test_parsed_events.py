"""Parsed events are kept beside their entries for the next decision: counted honestly, and as long as they are read."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import Field

from agents.model.event import DomainEvent
from agents.model.history import History, Past, keep
from agents.model.types import Received, Types
from agents.shop.events import SHOP_EVENTS, OrderPlaced, PaymentSucceeded
from agents.shop.fraud.past import report
from tables.event import InvalidEvent, parse
from tables.footprint import parsed_bytes
from tables.ring import key
from tables.rings import Rings
from tables.window import UNKEPT, Entry, WindowSpec

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)

SPEC = WindowSpec(events=2, age=timedelta(days=1))


class Anything(DomainEvent):
    """Of a domain that leaves open what it is told."""

    said: Any
    rows: tuple[Any, ...] = Field(default=(), strict=False)


TYPES = Types([*SHOP_EVENTS, Anything])


def event(number: int, kind: str, data: Mapping[str, Any], **envelope: str) -> bytes:
    required = {"specversion": "1.0", "id": f"e{number}", "source": "urn:shop", "type": kind}
    document = {**required, "time": "2024-05-01T12:00:00Z", **envelope, "data": data}
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def order(number: int, items: int) -> bytes:
    item = {"sku": "sku-1", "quantity": 1, "price_minor": 100}
    data = {"order_id": f"o{number}", "customer_id": "ada", "items": [item] * items}
    return event(number, "OrderPlaced", {**data, "total_minor": 1, "currency": "EUR"})


def payment(number: int) -> bytes:
    ids = {"payment_id": f"p-{number}", "order_id": f"o-{number}", "customer_id": "ada", "device_id": "phone"}
    rest = {"amount_minor": 1999, "currency": "EUR", "method": "card", "country": "DE", "card_id": "card-1"}
    return event(number, "PaymentSucceeded", ids | rest, correlationid=f"o-{number}")


def nested(levels: int) -> Mapping[str, Any]:
    """The dearest JSON there is: a dict for every six bytes."""
    data: Mapping[str, Any] = {}
    for _ in range(levels):
        data = {"a": data}
    return data


def entry_of(payload: bytes) -> Entry:
    read = parse(payload, ())
    return Entry(0, 0, read.time, read.id, payload)


def history_of(*entries: Entry, types: Types = TYPES) -> History:
    return History(Received(parse(payment(9), ()), None), entries, types)


def taken_by_reading(payload: bytes) -> int:
    """The bytes of memory that stay when an event is read."""
    history_of(entry_of(payload)).of(DomainEvent)  # what is made once is no event's
    entry = entry_of(payload)
    tracemalloc.start()
    try:
        history_of(entry).of(DomainEvent)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert entry.parsed is not None
    return taken


@pytest.mark.parametrize(
    "payload",
    [
        payment(1),
        order(1, 0),
        order(1, 1_000),
        event(1, "Unheard", {"deep": [nested(60) for _ in range(200)]}),
        event(1, "Anything", {"said": [nested(60) for _ in range(200)]}),
        event(1, "Anything", {"said": 1, "rows": [[[]] for _ in range(5_000)]}),
        event(1, "Anything", {"said": [chr(0xE9) * 2] * 5_000}),
        event(1, "Anything", {"said": chr(0x1F600) + "x" * 50_000}),
        event(1, "Anything", {"said": {f"k{number}": number for number in range(1_000)}}),
        event(1, "Anything", {"said": "x" * 50_000}),
    ],
    ids=["payment", "short", "long", "unknown", "nested", "lists", "texts", "wide", "members", "text"],
)
def test_no_event_takes_more_memory_than_it_is_counted_with(payload: bytes) -> None:
    assert taken_by_reading(payload) <= parsed_bytes(payload)


@pytest.mark.parametrize("payload", [payment(1), order(1, 3), order(1, 1_000)], ids=["payment", "order", "long"])
def test_an_ordinary_event_is_counted_with_no_more_than_twice_what_it_takes(payload: bytes) -> None:
    assert parsed_bytes(payload) <= 2 * taken_by_reading(payload)


def test_an_event_that_is_read_again_is_not_parsed_again() -> None:
    entry = entry_of(payment(1))

    assert history_of(entry).of(PaymentSucceeded)[0] is history_of(entry).of(PaymentSucceeded)[0]


def test_an_event_is_read_as_it_was_received() -> None:
    received = TYPES.receive(parse(payment(1), ()))
    kept, read = entry_of(payment(1)), entry_of(payment(1))
    keep(kept, received, TYPES)

    assert history_of(kept).of(PaymentSucceeded) == history_of(read).of(PaymentSucceeded)
    assert history_of(kept).of(PaymentSucceeded)[0].data is received.data


def test_what_other_types_have_read_is_read_anew() -> None:
    entry = entry_of(payment(1))
    assert len(history_of(entry).of(DomainEvent)) == 1

    assert history_of(entry, types=Types([OrderPlaced])).of(DomainEvent) == []
    assert len(history_of(entry).of(DomainEvent)) == 1


def test_an_event_that_no_history_will_hold_any_more_is_not_kept_parsed() -> None:
    rings = Rings("ada", SPEC, {})
    for number in range(4):
        rings.fold(offset=number, time=NOON, event_id=f"e{number}", payload=payment(number))
    again = Rings("ada", SPEC, {key("ada", number): replace(entry) for number, entry in enumerate(rings.entries)})

    for entries in (rings.entries, again.entries):
        assert len(history_of(*entries).of(DomainEvent)) == 4
        assert [entry.event_id for entry in entries if entry.parsed is not UNKEPT] == ["e2", "e3"]


@pytest.mark.parametrize(
    "payload",
    [
        event(1, "PaymentSucceeded", {"payment_id": 7}),
        b'{"specversion":"1.0","id":"e1","source":1,"type":"Anything","time":"2024-05-01T12:00:00Z","data":{"said":1}}',
        b'{"specversion":"1.0","id":"e1","source":"urn:shop","type":"Anything","time":"2024-05-01T12:00:00Z"}',
        b"[]",
        b"{",
    ],
    ids=["data", "source", "no data", "list", "no JSON"],
)
def test_what_no_model_takes_any_more_is_refused_as_it_is_when_it_arrives(payload: bytes) -> None:
    entry = Entry(0, 0, NOON, "e1", payload)

    with pytest.raises(InvalidEvent):
        history_of(entry).of(DomainEvent)


def test_a_cause_that_is_empty_is_none() -> None:
    entry = entry_of(event(1, "Anything", {"said": 1}, causationid=""))

    assert history_of(entry).of(Anything)[0].causationid is None


def test_what_a_rule_makes_of_an_event_is_made_once_and_kept_beside_it() -> None:
    made = []

    def currency(past: Past[Any]) -> str | None:
        made.append(past.id)
        return past.data.currency if isinstance(past.data, PaymentSucceeded) else None

    first, second = entry_of(payment(1)), entry_of(order(2, 1))

    assert history_of(first, second).made(currency) == ["EUR"]
    assert history_of(first, second).made(currency) == ["EUR"]
    assert made == ["e1", "e2"]


def test_what_another_rule_makes_of_an_event_is_its_own() -> None:
    entry = entry_of(payment(1))

    assert history_of(entry).made(lambda past: past.id) == ["e1"]
    assert history_of(entry).made(lambda past: past.data.currency) == ["EUR"]


def test_nothing_is_made_of_an_event_whose_type_is_unknown() -> None:
    assert history_of(entry_of(event(1, "Unheard", {})), entry_of(payment(2))).made(lambda past: past.id) == ["e2"]


def test_what_is_made_of_an_event_that_is_read_anew_is_made_anew() -> None:
    entry = entry_of(payment(1))
    history_of(entry).made(lambda past: past.id)

    assert history_of(entry, types=Types([OrderPlaced])).made(lambda past: past.id) == []


def test_a_payment_is_counted_with_what_fraud_makes_of_it() -> None:
    history_of(entry_of(payment(1))).made(report)  # what is made once is no event's
    entry = entry_of(payment(1))
    tracemalloc.start()
    try:
        history_of(entry).made(report)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert taken <= parsed_bytes(payment(1))
