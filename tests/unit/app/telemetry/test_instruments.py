"""What is measured when it happens: models, effects, the event loop, garbage."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from refunding import refund
from shop_catalogue import CATALOGUE
from waiting import until

from agents.shop.refunds import Refund
from app.telemetry.metrics.instruments import Instruments
from outbox.journal import LlmCall

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def instruments() -> Instruments:
    return Instruments(CATALOGUE)


def samples(instruments: Instruments, name: str) -> Mapping[tuple[str, ...], float]:
    """By the values of the labels, sorted by the labels' names."""
    return {
        tuple(value for _, value in sorted(sample.labels.items())): sample.value
        for family in instruments.families()
        for sample in family.samples
        if sample.name == name
    }


def call(**said: Any) -> LlmCall:
    known: dict[str, Any] = {
        "agent": "fraud",
        "event_source": "urn:shop",
        "event_id": "e-1",
        "attempt": 1,
        "model": "small",
        "prompt_sha256": "0" * 64,
        "prompt": "",
        "reply": "{}",
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "latency_ms": 1500,
        "error": None,
        "called_at": NOON,
    }
    return LlmCall(**known | said)


def test_a_call_of_a_model_counts_with_what_came_of_it_its_time_and_its_tokens(instruments: Instruments) -> None:
    instruments.model_call(call())
    instruments.model_call(call(error="timeout", reply=None, prompt_tokens=None, completion_tokens=None))
    instruments.model_call(call(error="invalid: verdict: Field required"))

    assert samples(instruments, "innervate_model_calls_total") == {
        ("fraud", "small", "valid"): 1,
        ("fraud", "small", "timeout"): 1,
        ("fraud", "small", "invalid"): 1,
    }
    assert samples(instruments, "innervate_model_tokens_total") == {
        ("fraud", "prompt", "small"): 200,
        ("fraud", "completion", "small"): 40,
    }
    assert samples(instruments, "innervate_model_call_seconds_sum") == {("fraud", "small"): 4.5}
    # 1.5 s each: none within a second, all within two.
    within = samples(instruments, "innervate_model_call_seconds_bucket")
    assert (within["fraud", "1.0", "small"], within["fraud", "2.0", "small"]) == (0, 3)


def test_a_server_that_always_names_another_model_or_reason_makes_a_bounded_number_of_series(
    instruments: Instruments,
) -> None:
    for number in range(100):
        instruments.model_call(call(model=f"m-{number}" + "x" * 1000, error=f"reason-{number}: x"))

    found = samples(instruments, "innervate_model_calls_total")
    assert len(found) == 21
    assert found["fraud", "other", "other"] == 80
    assert max(len(model) for _, model, _ in found) == 100


def test_a_refund_counts_by_its_currency_in_minor_units(instruments: Instruments) -> None:
    instruments.measures.note([refund(1, 1250, currency="EUR"), refund(1, 300, currency="EUR")])
    instruments.measures.note([refund(1, 700, currency="USD")])

    assert samples(instruments, "innervate_shop_refunds_total") == {("EUR",): 2, ("USD",): 1}
    assert samples(instruments, "innervate_shop_refunded_minor_total") == {("EUR",): 1550, ("USD",): 700}


def test_an_effect_that_is_not_as_its_class_says_is_not_counted_and_stops_nothing(
    instruments: Instruments, caplog: pytest.LogCaptureFixture
) -> None:
    broken = Refund.model_construct(currency="EUR")  # type: ignore[call-arg]

    instruments.measures.note([broken, broken, refund(1, 5, currency="EUR")])

    assert samples(instruments, "innervate_shop_refunded_minor_total") == {("EUR",): 5}
    assert [record.message for record in caplog.records] == ["innervate_shop_refunded_minor_total is not counted"]


async def test_a_loop_that_stood_still_shows_by_how_much(instruments: Instruments) -> None:
    watching = asyncio.create_task(instruments.watch_loop())

    def looked() -> float:
        return samples(instruments, "innervate_event_loop_delay_seconds_count").get((), 0)

    await until(looked)
    watching.cancel()


def test_a_collection_of_garbage_is_timed_between_start_and_stop_only(instruments: Instruments) -> None:
    def collected() -> float:
        return samples(instruments, "innervate_gc_pause_seconds_count").get(("2",), 0)

    gc.collect()
    assert collected() == 0
    instruments.start()
    gc.collect()
    before = collected()
    instruments.stop()
    gc.collect()

    assert before >= 1
    assert collected() == before


def test_an_id_makes_no_label(instruments: Instruments) -> None:
    made = refund(1, 1, currency="EUR")
    instruments.measures.note([made])
    told = {value for family in instruments.families() for sample in family.samples for value in sample.labels.values()}
    assert not told & {made.order_id, made.payment_id, made.refund_id, made.customer_id}
