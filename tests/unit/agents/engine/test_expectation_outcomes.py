"""What is expected after a decision, and what became of it by the times of events, in whatever order they came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from fakes import NOON
from shop_catalogue import TYPES, shop_history
from stories import happened

from agents.engine.expectations import UNKNOWN, Begun, Outcome, expected, outcome_of, told_of
from agents.model.errors import DecisionFailed
from agents.platform.events import ExpectationMissed
from agents.shop.events import (
    ChargebackReceived,
    FulfilmentRequested,
    OrderCancelled,
    PaymentSucceeded,
    PriceChanged,
    RefundIssued,
    ShipmentDispatched,
)
from agents.shop.fulfilment import fulfilment
from outbox.records import Expected
from tables.event import Event, to_json
from tables.window import Entry

[SHIPPED] = fulfilment.expects
#: Minutes are counted back from here by `happened`; the payment is 90 minutes earlier, and due 30 minutes before it.
PAID_AT = 90.0
DUE_AT = 30.0


def paid(event_id: str = "pay") -> Event:
    return happened(
        PaymentSucceeded, event_id, PAID_AT,
        payment_id="p-1", amount_minor=2000, currency="EUR", method="card", country="DE", device_id="d",
    )  # fmt: skip


def requested(minutes: float, event_id: str = "request") -> Event:
    return happened(FulfilmentRequested, event_id, minutes)


def cancelled(minutes: float) -> Event:
    return happened(OrderCancelled, "off", minutes, reason="changed their mind")


def entries(*events: Event) -> Sequence[Entry]:
    """As they lie in the log, from offset 40 on."""
    return [Entry(seq, 40 + seq, each.time, each.id, to_json(each)) for seq, each in enumerate(events)]


def begun(payment: Event | None = None) -> Begun:
    payment = payment or paid()
    return Begun(
        entity_id="o-1",
        event_source=payment.source,
        event_id=payment.id,
        event_at=payment.time,
        due_at=payment.time + timedelta(hours=1),
    )


def outcome(*events: Event) -> Outcome:
    return outcome_of(SHIPPED, begun(), entries(*events), TYPES)


def after(event: Event, outcome: str, decided_at: datetime = NOON) -> tuple[Expected, ...]:
    return expected(fulfilment, shop_history(event), outcome, decided_at=decided_at)


def test_an_order_is_expected_to_be_requested_within_an_hour_of_its_payment() -> None:
    payment = paid()
    due_at = payment.time + timedelta(hours=1)
    for outcome in ("requested", "waiting", "review"):
        assert after(payment, outcome) == (Expected(name="shipped", due_at=due_at),)


@pytest.mark.parametrize("settled", ["ended", "blocked", "requested_before"])
def test_nothing_is_expected_after_an_outcome_that_settles_it(settled: str) -> None:
    assert after(paid(), settled) == ()


def test_nothing_is_expected_after_another_event() -> None:
    assert after(happened(FulfilmentRequested, "e", 1), "waiting") == ()


def test_nothing_is_expected_that_was_due_a_week_before_it_is_decided() -> None:
    late = paid().time + timedelta(hours=1, days=7)
    assert len(after(paid(), "waiting", decided_at=late)) == 1
    assert after(paid(), "waiting", decided_at=late + timedelta(seconds=1)) == ()


@pytest.mark.parametrize("minutes", [PAID_AT, 60, DUE_AT])
def test_what_happens_until_the_very_instant_it_is_due_is_in_time(minutes: float) -> None:
    assert outcome(paid(), requested(minutes)).state == "met"


def test_nothing_by_then_is_a_miss() -> None:
    found = outcome(paid(), happened(PriceChanged, "price", 60, sku="lamp", old_minor=1, new_minor=2))
    assert (found.state, found.ended_by) == ("missed", None)
    assert found.begun_by == paid()


def test_what_happens_after_it_was_due_does_not_undo_the_miss() -> None:
    found = outcome(paid(), requested(DUE_AT - 0.1))
    assert (found.state, found.ended_by and found.ended_by.id) == ("met_late", "request")


def test_what_happened_in_time_and_comes_behind_what_happened_late_is_in_time() -> None:
    assert outcome(paid(), requested(5, "second"), requested(60)).state == "met"


def test_what_happened_after_it_began_and_comes_before_it_in_the_log_counts() -> None:
    assert outcome(requested(60), paid()).state == "met"


def test_what_comes_after_it_began_and_happened_before_counts() -> None:
    # A request takes the time of its cause, here an order that came later than its payment.
    assert outcome(paid(), requested(PAID_AT + 5)).state == "met"


def test_what_was_before_it_in_every_way_is_of_another_time() -> None:
    assert outcome(requested(PAID_AT + 5), paid()).state == "missed"


@pytest.mark.parametrize("event", [cancelled(60), happened(ShipmentDispatched, "gone", 60, carrier="dhl")])
def test_an_order_that_was_called_off_or_has_left_is_no_miss(event: Event) -> None:
    assert outcome(paid(), event).state == "met"


def test_an_order_that_is_called_off_too_late_was_missed_all_the_same() -> None:
    assert outcome(paid(), cancelled(5)).state == "void_late"
    assert outcome(paid(), cancelled(5), requested(1)).state == "met_late"


def test_money_that_the_bank_took_back_makes_it_void() -> None:
    back = happened(
        ChargebackReceived, "back", 60,
        payment_id="p-1", amount_minor=2000, currency="EUR", method="card", country="DE", device_id="d",
    )  # fmt: skip
    assert outcome(paid(), back).state == "met"


def refunded(minutes: float, amount_minor: int, refund_id: str = "r-1") -> Event:
    return happened(
        RefundIssued, refund_id, minutes,
        refund_id=refund_id, payment_id="p-1", amount_minor=amount_minor, currency="EUR", reason="late",
    )  # fmt: skip


def test_an_order_whose_money_was_given_back_in_part_is_still_awaited_and_one_that_has_none_left_is_not() -> None:
    assert outcome(paid(), refunded(60, 500)).state == "missed"
    assert outcome(paid(), refunded(60, 500), requested(50)).state == "met"
    assert outcome(paid(), refunded(60, 500), refunded(50, 1500, "r-2")).state == "met"
    assert outcome(paid(), refunded(60, 500), refunded(5, 1500, "r-2")).state == "void_late"


def test_a_judgement_of_a_domain_that_fails_says_what_failed_and_nothing_that_an_event_says() -> None:
    def fails(event: object, _history: object) -> bool:
        raise RuntimeError(event)

    with pytest.raises(DecisionFailed, match=r"^expectation shipped: void_if: RuntimeError$"):
        outcome_of(replace(SHIPPED, void_if=fails), begun(), entries(paid(), cancelled(60)), TYPES)


def test_each_payment_is_judged_by_itself() -> None:
    log = entries(requested(PAID_AT + 60, "first"), paid("pay"))
    assert outcome_of(SHIPPED, begun(paid("pay")), log, TYPES).state == "missed"


def test_where_the_beginning_is_remembered_no_more_nobody_calls_it_missed() -> None:
    assert outcome() is UNKNOWN
    assert outcome(cancelled(PAID_AT + 5)) is UNKNOWN
    assert outcome(requested(60)).state == "met"


def test_another_source_with_the_same_id_is_another_event() -> None:
    foreign = Event(id="pay", source="urn:other", type="PaymentSucceeded", time=paid().time, data=paid().data)
    assert outcome(foreign) is UNKNOWN


def told(payment: Event) -> Any:
    message = told_of(fulfilment, SHIPPED, begun(payment), payment, TYPES)
    assert message is not None
    assert message.value is not None
    return message, orjson.loads(message.value)


def test_a_miss_is_an_event_of_the_entity_at_the_instant_it_was_due() -> None:
    message, event = told(paid())
    assert (message.topic, event["type"], event["source"]) == (
        "recovery", ExpectationMissed.__name__, "urn:innervate:agent:fulfilment",
    )  # fmt: skip
    assert event["causationid"] == "pay"
    assert datetime.fromisoformat(event["time"]) == paid().time.astimezone(UTC) + timedelta(hours=1)
    assert event["data"] == {
        "order_id": paid().data["order_id"], "service": None, "agent": "fulfilment", "expectation": "shipped",
        "entity": "order", "entity_id": "o-1",
        "begun_by": "pay", "awaited": ["FulfilmentRequested", "ShipmentDispatched"],
    }  # fmt: skip


def test_telling_of_a_miss_again_is_the_same_message_byte_for_byte_and_of_another_one_is_another() -> None:
    assert told(paid())[0] == told(paid())[0]
    assert told(paid())[0].id != told(paid("pay-2"))[0].id
