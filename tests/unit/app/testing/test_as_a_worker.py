"""A domain's test sees what a worker writes: one timeline gives the stream loop and the driver the same decisions."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from builds import builds, failed, flaky, passed
from fake_writer import Writer
from fakes import Consumer, Delivery, Windows
from waiting import until

from agents.engine.brain import HoldingBrain, RulesBrain
from agents.engine.inputs import Inputs
from agents.engine.loop import StreamLoop
from agents.engine.routing import route
from agents.model.catalogue import Catalogue
from app.testing import DomainDriver, Given, HoldPolicy
from app.testing.given import records
from outbox.records import DecisionRecord, Origin

CATALOGUE = Catalogue([builds])
THEN = datetime(2024, 5, 2, tzinfo=UTC)
#: Two repositories, events that come again, ids of two sources, times that go back, held decisions, full windows.
SEEDS = range(5)


def timeline(seed: int, ci: DomainDriver) -> list[Given]:
    chance = random.Random(seed)
    told = [
        ci.event(
            chance.choice([failed, passed])(chance.choice([*range(12), 1000]), chance.choice(["r-1", "r-2"])),
            at=THEN + timedelta(hours=chance.randrange(72)),
            id=f"e-{number // 2}",
            source=["urn:test", "urn:other"][number % 2],
        )
        for number in range(30)
    ]
    return [*told[:10], *chance.choices(told, k=40)]


async def of_a_worker(payloads: Sequence[bytes]) -> list[DecisionRecord]:
    """What the stream loop of a worker commits, agent and policy as they come."""
    writer, consumer = Writer(), Consumer()
    crashes: list[BaseException] = []

    async def crash(error: BaseException) -> None:
        crashes.append(error)

    loop = StreamLoop(
        flaky,
        inputs=Inputs(flaky, CATALOGUE.types),
        brain=HoldingBrain(RulesBrain(flaky), HoldPolicy()),
        windows=Windows(flaky.window),
        writer=writer,
        now=lambda: THEN,
        crash=crash,
    )
    for offset, value in enumerate(payloads, 1):
        [entity] = route(value, (), catalogue=CATALOGUE, max_bytes=900_000).entities
        await loop.accept(Delivery(consumer, offset, entity.id.encode(), value, topic="timeline-repository"))
    await until(lambda: len(consumer.acknowledged) == len(payloads), what="everything to be acknowledged")
    await loop.stop()
    assert crashes == []
    return writer.decisions


@pytest.mark.parametrize("seed", SEEDS)
async def test_the_same_timeline_gives_the_same_decisions_to_the_byte(seed: int) -> None:
    ci = DomainDriver(builds)
    events = timeline(seed, ci)

    # What is published takes no place among what is given.
    mine = [each.record for each in ci.run(events, agents=[flaky], latency=len(events)).decisions]
    theirs = await of_a_worker(list(records(events, CATALOGUE.types)))

    assert len(mine) > 5
    # A worker decides on several entities at the same time.
    assert _by_offset(mine) == _by_offset(theirs)


def _by_offset(decisions: Sequence[DecisionRecord]) -> list[DecisionRecord]:
    return sorted(map(_apart_from_clocks, decisions), key=lambda each: each.origin.offset)


def _apart_from_clocks(record: DecisionRecord) -> DecisionRecord:
    """Without when it was decided and what Kafka stamped; the place in the timeline stays."""
    origin = Origin(topic=record.origin.topic, partition=0, offset=record.origin.offset, at=THEN)
    return replace(record, decided_at=THEN, origin=origin)
