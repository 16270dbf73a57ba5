"""Writing to timelines: one that Kafka takes nothing for holds up what was read for it, in order, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from aiokafka import ConsumerRecord, TopicPartition

from agents.engine.timelines import Routed, Timelines
from outbox.outcomes import NotPublished, Outcome, Refused, Unwritable
from outbox.records import Message

ORDERS, PLATFORM = TopicPartition("orders", 0), TopicPartition("platform", 0)


class Publisher:
    """Takes everything, but for the topics with outcomes laid down: those are taken one for each call."""

    def __init__(self) -> None:
        self.outcomes: dict[str, list[Outcome]] = {}
        self.sent: list[str] = []

    async def publish(self, messages: Sequence[Message]) -> list[Outcome]:
        found = {
            topic: self.outcomes[topic].pop(0) for topic in {m.topic for m in messages} if self.outcomes.get(topic)
        }
        self.sent += [m.id for m in messages if found.get(m.topic) is None]
        return [found.get(m.topic) for m in messages]


@pytest.fixture
def publisher() -> Publisher:
    return Publisher()


@pytest.fixture
def written(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> Timelines:
    monkeypatch.setattr("outbox.backoff.random.uniform", lambda _low, _high: 0.0)
    return Timelines(publisher)  # type: ignore[arg-type]


def event(name: str, topic: str, place: TopicPartition = ORDERS) -> Routed:
    record = ConsumerRecord(place.topic, place.partition, 0, 0, 0, None, b"", None, 0, 0, ())
    return Routed(record, Message(id=name, topic=topic, key=b"k", value=b""))


DENIED = Unwritable("no right")


async def test_a_timeline_that_takes_nothing_keeps_its_events_and_the_others_are_written(
    written: Timelines, publisher: Publisher
) -> None:
    publisher.outcomes = {"timeline-customer": [DENIED]}

    await written.write([event("c-1", "timeline-customer"), event("o-1", "timeline-order", PLATFORM)])

    assert publisher.sent == ["o-1"]
    assert written.held_up == {ORDERS}
    assert written.waiting["timeline-customer"].needs_operator


async def test_what_comes_later_for_that_timeline_stays_behind_what_waits(
    written: Timelines, publisher: Publisher
) -> None:
    publisher.outcomes = {"timeline-customer": [DENIED]}
    await written.write([event("c-1", "timeline-customer")])
    await written.write([event("c-2", "timeline-customer", PLATFORM), event("o-1", "timeline-order", PLATFORM)])
    assert publisher.sent == ["o-1"]
    assert written.held_up == {ORDERS, PLATFORM}

    await written.write_kept()

    assert publisher.sent == ["o-1", "c-1", "c-2"]
    assert written.held_up == set()
    assert written.waiting == {}


async def test_what_is_tried_again_in_vain_keeps_its_place(written: Timelines, publisher: Publisher) -> None:
    publisher.outcomes = {"timeline-customer": [DENIED, DENIED], "timeline-order": [DENIED]}
    await written.write(
        [event("c-1", "timeline-customer"), event("o-1", "timeline-order"), event("c-2", "timeline-customer")]
    )
    await written.write_kept()
    assert publisher.sent == ["o-1"]

    await written.write_kept()

    assert publisher.sent == ["o-1", "c-1", "c-2"]


async def test_what_was_read_from_a_partition_that_somebody_else_has_now_is_dropped(
    written: Timelines, publisher: Publisher
) -> None:
    publisher.outcomes = {"timeline-customer": [DENIED]}
    await written.write([event("c-1", "timeline-customer"), event("c-2", "timeline-customer", PLATFORM)])

    written.keep_only([PLATFORM])
    await written.write_kept()

    assert publisher.sent == ["c-2"]


async def test_a_broker_that_is_away_is_waited_for(written: Timelines, publisher: Publisher) -> None:
    publisher.outcomes = {"timeline-customer": [NotPublished("away")] * 3}

    assert await written.write([event("c-1", "timeline-customer")]) == []

    assert publisher.sent == ["c-1"]
    assert written.held_up == set()
    assert written.waiting == {}


async def test_what_is_refused_is_told_and_not_kept(written: Timelines, publisher: Publisher) -> None:
    refusal = Refused("too large")
    publisher.outcomes = {"timeline-customer": [refusal]}
    one = event("c-1", "timeline-customer")

    assert await written.write([one]) == [(one, refusal)]
    assert written.held_up == set()
