"""Parsed events that are kept for the next decision: bounded by bytes, and counted honestly."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Mapping
from typing import Any

import pytest

from agents.model.types import PARSED_FACTOR, Types
from agents.shop.events import SHOP_EVENTS

LIMIT_BYTES = 128 * 1024 * 1024


@pytest.fixture
def types() -> Types:
    return Types(SHOP_EVENTS)


def event(number: int, kind: str, data: Mapping[str, Any]) -> bytes:
    envelope = {"specversion": "1.0", "id": f"e{number}", "source": "urn:shop", "type": kind}
    document = {**envelope, "time": "2024-05-01T12:00:00Z", "data": data}
    return json.dumps(document, separators=(",", ":")).encode()


def order(number: int, items: int) -> bytes:
    item = {"sku": "sku-1", "quantity": 1, "price_minor": 100}
    data = {"order_id": f"o{number}", "customer_id": "ada", "items": [item] * items}
    return event(number, "OrderPlaced", {**data, "total_minor": 1, "currency": "EUR"})


def nested(levels: int) -> Mapping[str, Any]:
    """The dearest JSON there is: a dict for every six bytes."""
    data: Mapping[str, Any] = {}
    for _ in range(levels):
        data = {"a": data}
    return data


def test_a_hundred_large_events_do_not_fill_the_memory(types: Types) -> None:
    payloads = [order(number, 7_500) for number in range(100)]
    assert len(payloads[0]) > 300_000

    for payload in payloads:
        types.read(payload)

    kept = types._received  # noqa: SLF001
    assert 0 < len(kept) < 100
    assert kept.used_bytes <= LIMIT_BYTES


@pytest.mark.parametrize(
    "payload",
    [
        order(1, 0),
        order(1, 1_000),
        event(1, "Unheard", {"deep": [nested(60) for _ in range(200)]}),
        event(1, "Unheard", {"lists": [[[]] for _ in range(5_000)]}),
        event(1, "Unheard", {"texts": [chr(0xE9)] * 5_000}),
    ],
    ids=["short", "long", "nested", "lists", "texts"],
)
def test_no_event_takes_more_memory_than_it_is_counted_with(types: Types, payload: bytes) -> None:
    types.read(payload)  # what is made once is no event's
    types._received.clear()  # noqa: SLF001
    tracemalloc.start()
    try:
        types.read(payload)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert types._received.used_bytes == PARSED_FACTOR * len(payload)  # noqa: SLF001
    assert taken <= PARSED_FACTOR * len(payload)


def test_an_event_that_is_read_again_is_not_parsed_again(types: Types) -> None:
    payload = order(1, 1)

    assert types.read(payload) is types.read(payload)
