"""All agents together, in memory: they find the causes, undo exactly what went wrong, and disorder changes nothing."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache

import pytest
from choreography import Choreography
from shop_catalogue import AGENTS
from undone import said, undone

from app.demo.scoring import score
from app.simulator import Produced, Simulation, simulate
from outbox.chains import MOST_DECISIONS, MOST_MESSAGES
from tables.event import chain_depth, parse

START = datetime(2024, 5, 1, tzinfo=UTC)
#: None of them was looked at while the rules were written.
SEEDS = (7001, 7002)


@cache
def story(seed: int) -> Simulation:
    return simulate(seed=seed, orders=200, failures=40, start=START)


@cache
def undisturbed(seed: int) -> Choreography:
    return Choreography().run(story(seed).records)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_agents_find_the_causes_and_undo_exactly_what_went_wrong(seed: int) -> None:
    told = story(seed)

    result = score(truth=told.truth, captures=told.captures, published=undisturbed(seed).published)

    assert result.root_cause_top1 >= 0.95, result.mistakes
    assert result.root_cause_top3 >= result.root_cause_top1
    assert (result.recovery_correct, result.recovery_mistakes) == (1.0, [])
    assert (result.ledger_balanced, result.refunds_over_captures) == (True, 0), result.money_mistakes


@pytest.mark.parametrize("latency", [0, 40])
def test_how_long_messages_take_changes_nothing_that_is_undone(latency: int) -> None:
    late = Choreography(latency=lambda _: latency).run(story(SEEDS[0]).records)

    assert undone(late.published) == undone(undisturbed(SEEDS[0]).published)


def test_events_that_come_twice_change_nothing() -> None:
    chance = random.Random(1)
    records = [copy for record in story(SEEDS[0]).records for copy in [record] * chance.choice((1, 1, 2, 3))]

    assert said(Choreography().run(records).published) == said(undisturbed(SEEDS[0]).published)


def test_events_that_overtake_each_other_before_an_error_change_nothing() -> None:
    """The tolerance of a timeline: an agent knows what has arrived before the event it reacts to, in any order."""
    records = _disordered(story(SEEDS[0]).records, random.Random(2))

    assert said(Choreography().run(records).published) == said(undisturbed(SEEDS[0]).published)


@pytest.mark.parametrize("seed", SEEDS)
def test_errors_that_overtake_their_causes_are_explained_when_those_have_arrived(seed: int) -> None:
    """Without the second look, half of them stay unknown."""
    records = story(seed).records
    early = [place - 8.5 if b"ErrorOccurred" in _type(record) else place for place, record in enumerate(records)]
    hasty = [records[place] for place in sorted(range(len(records)), key=early.__getitem__)]

    told = Choreography(latency=lambda _: 40).run(hasty)

    result = score(truth=story(seed).truth, captures=story(seed).captures, published=told.published)
    assert result.root_cause_top1 >= 0.95, result.mistakes
    assert (result.recovery_correct, result.refunds_over_captures) == (1.0, 0), result.recovery_mistakes


def test_late_messages_of_the_agents_overtaking_each_other_change_nothing() -> None:
    delays = random.Random(3)
    shuffled = Choreography(latency=lambda _: delays.randrange(60)).run(story(SEEDS[0]).records)

    assert undone(shuffled.published) == undone(undisturbed(SEEDS[0]).published)


@pytest.mark.parametrize("name", AGENTS)
def test_an_agent_decides_the_same_alone_as_among_others(name: str) -> None:
    """Fed with the same log: agents share nothing but events."""
    together = undisturbed(SEEDS[0])
    alone = Choreography(agents=(AGENTS[name],), replayed=together.log).run(())

    mine = {event: record for (agent, event), record in together.decisions.items() if agent == name}
    assert {event: record.messages for (_, event), record in alone.decisions.items()} == {
        event: record.messages for event, record in mine.items()
    }
    assert mine


def _disordered(records: Sequence[Produced], chance: random.Random) -> list[Produced]:
    """Each record up to eight places early or late, but none across a payment or an error of its own order."""
    places: list[tuple[float, Produced]] = []
    gates: dict[bytes, float] = {}
    for place, record in enumerate(records):
        moved = max(place + chance.uniform(-8, 8), gates.get(record.key, -9.0) + 1e-6)
        if any(kind in _type(record) for kind in (b"ErrorOccurred", b"PaymentSucceeded")):
            moved = max([moved, *(earlier for earlier, other in places[-20:] if other.key == record.key)]) + 1e-6
            gates[record.key] = moved
        places.append((moved, record))
    return [record for _, record in sorted(places, key=lambda place: place[0])]


def _type(record: Produced) -> bytes:
    """The type of an event somewhere in it, or what a broken record holds."""
    return dict(record.headers).get("ce_type", record.value or b"")


def test_the_chains_of_a_shop_stay_far_below_the_limits() -> None:
    decisions = undisturbed(7001).decisions.values()
    messages = [parse(message.value, ()) for record in decisions for message in record.messages]
    assert max(map(chain_depth, messages)) <= MOST_DECISIONS // 4
    assert max(Counter(message.correlationid for message in messages).values()) <= MOST_MESSAGES // 100
