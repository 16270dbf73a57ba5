"""Decisions and dead letters are committed by the same rules on PostgreSQL and in the fake of the tests."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from decisions import decision, message
from fake_writer import Writer as FakeWriter
from refunding import refund
from waiting import PATIENCE_SECONDS

from agents.engine.ports import Writer
from outbox.chains import ChainLimits
from outbox.database import Database
from outbox.errors import Echo, Permanent, StatementRejected
from outbox.records import DeadLetter, DecisionRecord, Hold, Origin
from outbox.writer import DecisionWriter

NOON = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
#: Decisions in a row, and messages of a story.
LIMITS = ChainLimits(decisions=3, messages=4)


@dataclass
class Scene:
    """A writer, and what it has committed: each agent, event, outcome and status; each consumer, reason and offset."""

    writer: Writer
    decisions: Callable[[], list[tuple[str, str, str, str]]]
    letters: Callable[[], list[tuple[str, str, int]]]
    #: Tell the fake that the effects of the decision on this event are refused; PostgreSQL finds out by itself.
    refuse: Callable[[str], None]
    #: Whether decisions that are made at the same time are given to the writer in one call.
    in_one_call: bool = False

    async def all(self, *records: DecisionRecord) -> list[bool | BaseException]:
        """What comes of decisions that are made at the same time; none waits for ever."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            if self.in_one_call:
                return list(await self.writer.record_all(records))
            return await asyncio.gather(*map(self.writer.record, records), return_exceptions=True)


@pytest.fixture(params=["one-by-one", "in-one-call"])
def scene(request: pytest.FixtureRequest, scene_of_writer: Scene) -> Scene:
    return replace(scene_of_writer, in_one_call=request.param == "in-one-call")


@pytest.fixture(params=["fake", "postgresql"])
def scene_of_writer(
    request: pytest.FixtureRequest, closing: AsyncExitStack, pool_of: Callable[[str], Database]
) -> Scene:
    if request.param == "fake":
        return of_fake(FakeWriter(LIMITS))
    writer = DecisionWriter(
        pool_of(request.getfixturevalue("database_url")), on_commit=lambda _lanes: None, limits=LIMITS
    )
    closing.push_async_callback(writer.stop)
    query: Callable[[str], Any] = request.getfixturevalue("query")
    return Scene(
        writer,
        lambda: query("SELECT agent, event_id, outcome, status FROM decisions ORDER BY committed_at"),
        lambda: query('SELECT consumer, reason, "offset" FROM dead_letters ORDER BY died_at'),
        lambda _event_id: None,
    )


def of_fake(writer: FakeWriter) -> Scene:
    def refuse(event_id: str) -> None:
        writer.refusals[event_id] = StatementRejected("more than was taken")

    return Scene(
        writer,
        lambda: [(each.agent, each.event_id, each.outcome, each.status) for each in writer.decisions],
        lambda: [(each.consumer, each.reason, each.origin.offset) for each in writer.letters],
        refuse,
    )


#: Beyond what its payment took.
IMPOSSIBLE = refund(1, 5001)


def letter(offset: int, **changes: Any) -> DeadLetter:
    made = DeadLetter(
        consumer="fraud",
        reason="decision_failed",
        detail="KeyError",
        origin=Origin(topic="timeline-customer", partition=2, offset=offset, at=NOON),
        key=b"ada",
        value=b"{}",
        headers=(),
    )
    return replace(made, **changes)


async def test_a_decision_is_committed_once_and_the_first_one_stays(scene: Scene) -> None:
    assert await scene.writer.record(decision("e1")) is True
    assert await scene.writer.record(decision("e1", outcome="block", messages=())) is False

    assert scene.decisions() == [("fraud", "e1", "approve", "committed")]


async def test_of_copies_that_are_made_at_the_same_time_one_is_new(scene: Scene) -> None:
    assert await scene.all(decision("e1"), decision("e1"), decision("e2")) == [True, False, True]

    assert scene.decisions() == [("fraud", "e1", "approve", "committed"), ("fraud", "e2", "approve", "committed")]


async def test_decisions_are_committed_in_the_order_they_are_made(scene: Scene) -> None:
    events = ["e3", "e1", "e4", "e2"]

    await scene.all(*(decision(each, correlation_id=f"story-{each}") for each in events))

    assert [event_id for _, event_id, _, _ in scene.decisions()] == events


async def test_two_agents_decide_on_one_event_and_one_agent_on_two_events_of_one_id(scene: Scene) -> None:
    outcomes = await scene.all(
        decision("e1"), decision("e1", agent="watcher"), decision("e1", event_source="urn:till"), decision("e1")
    )

    assert outcomes == [True, True, True, False]


@pytest.mark.parametrize("status", ["held", "rejected", "shadow"])
async def test_a_decision_keeps_its_status(scene: Scene, status: str) -> None:
    hold = None if status == "shadow" else Hold(reason="amount", expires_in=timedelta(days=1))

    assert await scene.writer.record(decision("e1", status=status, hold=hold)) is True
    assert await scene.writer.record(decision("e1")) is False

    assert scene.decisions() == [("fraud", "e1", "approve", status)]


@pytest.mark.parametrize(
    "change",
    [
        {"reason": "a\0b"},
        {"reason": "\ud800"},
        {"confidence": math.nan},
        {"confidence": 1.01},
        {"confidence": -0.01},
        {"outcome": ""},
        {"brain": ""},
        {"agent": ""},
        {"event_id": ""},
        {"status": "perhaps"},
        {"history": {"note": "a\0b"}},
        {"history": {"notes": [{"a\0b": 1}]}},
        {"messages": (message("m-x", key=b"\xff"),)},
        {"messages": (message("m-x", value=b"not json"),)},
        {"messages": (message("m-x", value=b"\xff"),)},
        {"messages": (message("m-x", value=rb'{"text":"\u0000"}'),)},
        {"messages": (message("m-x", topic=""),)},
    ],
    ids=str,
)
async def test_what_cannot_be_kept_is_refused_alone(scene: Scene, change: dict[str, Any]) -> None:
    outcomes = await scene.all(decision("e1"), replace(decision("e2"), **change), decision("e3"))

    assert isinstance(outcomes[1], Permanent)
    assert [outcomes[0], outcomes[2]] == [True, True]
    assert [event_id for _, event_id, _, _ in scene.decisions()] == ["e1", "e3"]


async def test_a_decision_whose_effects_are_refused_is_not_there_and_can_be_made_without_them(scene: Scene) -> None:
    scene.refuse("e1")

    [refused] = await scene.all(decision("e1", effects=(IMPOSSIBLE,)))

    assert isinstance(refused, StatementRejected)
    assert scene.decisions() == []


async def test_a_decision_whose_effects_are_refused_is_rejected_where_it_says_what_comes_otherwise(
    scene: Scene,
) -> None:
    scene.refuse("e1")
    refused = decision("e1", effects=(IMPOSSIBLE,), otherwise=(message("escalated"),))

    assert await scene.all(refused, decision("e2")) == [True, True]
    assert await scene.all(refused) == [False]

    assert set(scene.decisions()) == {("fraud", "e1", "approve", "rejected"), ("fraud", "e2", "approve", "committed")}


@pytest.mark.parametrize(
    ("change", "is_cut"),
    [
        ({"chain_depth": 2}, False),
        ({"chain_depth": 3}, True),
        ({"chain_depth": 3, "messages": ()}, False),
        ({"chain_depth": 3, "messages": (), "otherwise": (message("m-o"),)}, True),
        ({"chain_depth": 3, "status": "held", "hold": Hold(reason="amount", expires_in=timedelta(1))}, True),
        ({"chain_depth": 9, "status": "shadow"}, False),
    ],
    ids=str,
)
async def test_a_chain_of_decisions_is_cut_where_it_is_too_long(
    scene: Scene, change: dict[str, Any], is_cut: bool
) -> None:
    record = decision("e1", correlation_id="story", **change)

    first, again = [*await scene.all(record), *await scene.all(record)]

    if is_cut:
        assert isinstance(first, Echo)
        assert isinstance(again, Echo)
        assert first.correlation_id == again.correlation_id == "story"
        assert "correlation story" in str(first)
    else:
        assert (first, again) == (True, False)
    assert scene.decisions() == [("fraud", "e1", "approve", "refused" if is_cut else record.status)]


async def test_a_story_is_cut_where_it_has_too_many_messages_in_answer_to_agents(scene: Scene) -> None:
    two = (message("m-1"), message("m-2"))
    outcomes = [
        *await scene.all(decision("from-outside", correlation_id="story", messages=two)),
        *await scene.all(decision("e1", correlation_id="story", chain_depth=1, messages=two)),
        *await scene.all(decision("e2", correlation_id="story", chain_depth=1, messages=two)),
        *await scene.all(decision("e3", correlation_id="story", chain_depth=2)),
        *await scene.all(decision("silent", correlation_id="story", chain_depth=2, messages=())),
        *await scene.all(decision("e4", correlation_id="other", chain_depth=1, messages=two)),
    ]

    assert [each if isinstance(each, bool) else type(each) for each in outcomes] == [True, True, True, Echo, True, True]


async def test_an_event_without_a_story_begins_one_of_its_own(scene: Scene) -> None:
    messages = tuple(message(f"m-{number}") for number in range(4))

    outcomes = await scene.all(*(decision(each, chain_depth=1, messages=messages) for each in ("e1", "e2")))

    assert outcomes == [True, True]


async def test_a_dead_letter_is_written_once(scene: Scene) -> None:
    for each in (letter(1), letter(2), letter(1, detail="again"), letter(1, reason="unprocessable")):
        await scene.writer.bury(each)

    assert scene.letters() == [
        ("fraud", "decision_failed", 1),
        ("fraud", "decision_failed", 2),
        ("fraud", "unprocessable", 1),
    ]


async def test_what_a_dead_letter_tells_of_a_story_is_told_once_whoever_tells_it(scene: Scene) -> None:
    for offset, consumer, about in ((1, "fraud", "story"), (2, "watcher", "story"), (3, "fraud", "other")):
        await scene.writer.bury(letter(offset, reason="echo", consumer=consumer, about=about))

    assert scene.letters() == [("fraud", "echo", 1), ("fraud", "echo", 3)]


async def test_a_decision_whose_effects_are_refused_twice_over_is_the_callers(scene: Scene) -> None:
    """What is published otherwise cannot be kept either: a dead letter is left, and what it tells."""
    unkept = (message("never", value=b"{"),)
    scene.refuse("e1")

    outcomes = await scene.all(decision("e1", effects=(IMPOSSIBLE,), messages=unkept, otherwise=(message("told"),)))

    assert [type(each) for each in outcomes] == [StatementRejected]
    assert scene.decisions() == []


@pytest.mark.parametrize(
    "change",
    [
        {"detail": "a\0b\ud800"},
        {"key": None, "value": None},
        {"key": b"\xff\0", "value": b"\0\xff", "headers": (("a\0b", b"\xff"),)},
        {"value": b"x" * 2_000_000},
        {"is_published": False},
    ],
    ids=["text", "tombstone", "bytes", "large", "of-a-shadow"],
)
async def test_whatever_it_holds_a_dead_letter_is_written(scene: Scene, change: dict[str, Any]) -> None:
    await scene.writer.bury(letter(1, **change))

    assert scene.letters() == [("fraud", "decision_failed", 1)]
