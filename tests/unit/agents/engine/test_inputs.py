"""A record of a timeline is read once for all agents of a worker that read the timeline."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from fakes import NOON, Consumer, Delivery, event_of
from shop_catalogue import AGENTS, TYPES

from agents.engine.inputs import Inputs, Readings
from agents.model.agent import Agent
from agents.model.types import Received
from agents.shop.entities import customer
from agents.shop.events import PaymentFailed, PaymentSucceeded
from outbox.records import DeadLetter
from tables.event import to_json
from tables.window import WindowSpec

#: Looks at payments that succeeded, and at nothing else.
WATCHER = Agent(
    name="watcher",
    entity=customer,
    reacts_to=(PaymentSucceeded,),
    remembers=(),
    window=WindowSpec(events=10, age=timedelta(days=1)),
)


def record(offset: int, kind: type[PaymentSucceeded | PaymentFailed] = PaymentSucceeded) -> Delivery:
    return Delivery(Consumer(), offset, b"ada", to_json(event_of(kind, f"e{offset}", NOON)))


def read(inputs: Inputs, delivery: Delivery) -> Received:
    found = inputs.read(delivery, delivery)
    assert not isinstance(found, DeadLetter)
    return found[0]


def test_what_one_agent_has_read_the_others_of_its_timeline_find() -> None:
    readings = Readings()
    one, other = Inputs(AGENTS["fraud"], TYPES, readings), Inputs(AGENTS["fraud"], TYPES, readings)
    delivery = record(0)

    assert read(one, delivery) is read(other, delivery)
    assert read(one, record(1)) is not read(one, delivery)


def test_data_that_one_agent_does_not_look_at_another_one_reads() -> None:
    readings = Readings()
    delivery = record(0, PaymentFailed)

    assert read(Inputs(WATCHER, TYPES, readings), delivery).data is None
    assert isinstance(read(Inputs(AGENTS["fraud"], TYPES, readings), delivery).data, PaymentFailed)
    assert read(Inputs(WATCHER, TYPES, readings), delivery).data is None


def test_another_record_at_the_same_place_is_read_anew() -> None:
    inputs = Inputs(AGENTS["fraud"], TYPES, Readings())
    delivery = record(0)
    assert read(inputs, delivery).event.id == "e0"

    assert read(inputs, replace(delivery, value=record(7).value)).event.id == "e7"


def test_what_is_no_event_is_a_dead_letter_of_each_agent() -> None:
    readings = Readings()
    broken = Delivery(Consumer(), 0, b"ada", b"{")

    for agent in (AGENTS["fraud"], WATCHER):
        letter = Inputs(agent, TYPES, readings).read(broken, broken)
        assert isinstance(letter, DeadLetter)
        assert (letter.consumer, letter.reason) == (agent.name, "invalid_json")


def test_invalid_data_is_a_dead_letter_of_those_who_look_at_it_and_of_no_other() -> None:
    readings = Readings()
    event = replace(event_of(PaymentFailed, "e0", NOON), data={"payment_id": 7})
    delivery = Delivery(Consumer(), 0, b"ada", to_json(event))

    assert read(Inputs(WATCHER, TYPES, readings), delivery).event.id == "e0"
    for _ in range(2):
        letter = Inputs(AGENTS["fraud"], TYPES, readings).read(delivery, delivery)
        assert isinstance(letter, DeadLetter)
        assert letter.reason == "invalid_data"


def test_no_more_is_kept_than_there_is_room_for() -> None:
    inputs = Inputs(AGENTS["fraud"], TYPES, Readings(max_bytes=5_000))
    first = record(0)
    found = read(inputs, first)
    for offset in range(1, 10):
        read(inputs, record(offset))

    assert read(inputs, first) is not found
    assert read(inputs, first) == found
