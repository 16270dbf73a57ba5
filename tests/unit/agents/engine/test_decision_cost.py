"""What a decision costs from its event on, counted in functions of Python, not in time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from counting import calls_made
from fakes import NOON
from shop_catalogue import TYPES
from stories import captured

from agents.engine.record import decision_record
from agents.model.decision import Verdict
from agents.model.history import History, keep
from agents.shop.fraud.rules import fraud
from outbox.records import DecisionRecord, Origin
from tables import ring
from tables.event import Event, to_json
from tables.rings import Rings
from tables.window import history

#: Payments of the customer before: more than a ring holds.
BEFORE: Final = 200
#: Counted 493 and 1,195 on CPython 3.11; 2,610 and 5,965 before events were kept beside their entries.
KEPT: Final = 600
EVICTED: Final = 1_450


def payment(number: int) -> Event:
    """One a day, each of an order of its own."""
    event = captured(f"paid-{number}", timedelta(days=BEFORE - number) / timedelta(minutes=1), f"p-{number}")
    return replace(event, data={**event.data, "order_id": f"o-{number}"})


def fold(rings: Rings, number: int) -> tuple[Event, Sequence[tuple[bytes, bytes]]]:
    event = payment(number)
    written = rings.fold(offset=number, time=event.time, event_id=event.id, payload=to_json(event))
    return event, [(key, ring.encode(entry)) for key, entry in written]


def decide(rings: Rings, event: Event, payload: bytes, offset: int) -> DecisionRecord:
    """Everything from a payment that is read to the record that is written."""
    received = TYPES.receive(event)
    rings.fold(offset=offset, time=event.time, event_id=event.id, payload=payload)
    keep(rings.entries[-1], received, TYPES)
    entries = history(
        rings.entries, fraud.window, offset=offset, time=event.time, event_id=event.id, source=event.source
    )
    known = History(received, entries, TYPES)
    return decision_record(
        fraud,
        known,
        Verdict(decision=fraud.by_rules(known), brain="rules"),
        origin=Origin(topic="timeline-customer", partition=0, offset=offset, at=NOON),
        entity_id="ada",
        decided_at=NOON,
    )


def full() -> tuple[Rings, dict[bytes, bytes]]:
    """The rings of a customer with a full window, and their slots as they are stored."""
    rings, slots = Rings("ada", fraud.window, {}), dict[bytes, bytes]()
    for number in range(BEFORE):
        _, written = fold(rings, number)
        slots.update(written)
    decide(rings, payment(BEFORE), to_json(payment(BEFORE)), BEFORE)
    return rings, slots


def calls_of(rings: Callable[[], Rings]) -> int:
    event = payment(BEFORE + 1)
    payload = to_json(event)
    return calls_made(lambda: decide(rings(), event, payload, BEFORE + 1))


def test_a_decision_on_a_full_window_in_memory_calls_few_functions_for_each_of_its_events() -> None:
    rings, _ = full()

    assert calls_of(lambda: rings) <= KEPT


def test_a_decision_on_a_full_window_that_is_read_back_calls_some_more() -> None:
    _, slots = full()

    assert calls_of(lambda: Rings.read("ada", slots.items(), fraud.window)) <= EVICTED


def test_a_decision_is_the_same_whether_its_window_was_in_memory_or_is_read_back() -> None:
    rings, slots = full()
    event = payment(BEFORE + 1)
    evicted = Rings.read("ada", slots.items(), fraud.window)
    evicted.fold(offset=BEFORE, time=payment(BEFORE).time, event_id=f"paid-{BEFORE}", payload=to_json(payment(BEFORE)))

    kept, read_back = (decide(each, event, to_json(event), BEFORE + 1) for each in (rings, evicted))

    assert kept == read_back
    assert len(kept.history["offsets"]) == 50
