"""Agents that answer each other come to an end: through the stream loop and the writer, on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fakes import Consumer, Delivery, Windows
from refunding import refund
from shop_catalogue import TYPES
from waiting import until

from agents.engine.brain import RulesBrain
from agents.engine.inputs import Inputs
from agents.engine.loop import StreamLoop
from agents.model.agent import Agent
from agents.model.decision import Decision
from agents.shop.entities import customer
from agents.shop.events import CustomerNotified, DomainEvent, SupportMessageReceived
from outbox.chains import ChainLimits
from outbox.database import Database
from outbox.errors import Echo
from outbox.records import Hold
from outbox.writer import DecisionWriter
from tables.event import Event, chain_depth, parse, to_json
from tables.window import WindowSpec

NOON = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
SAID = SupportMessageReceived(customer_id="ada", order_id="o-1", text="hello?")
NOTE = CustomerNotified(customer_id="ada", order_id="o-1", message="hello!")
STATUSES = "SELECT status, count(*) FROM decisions GROUP BY 1 ORDER BY 1"


def answering(name: str, to: type[DomainEvent], answer: DomainEvent, times: int) -> Agent:
    agent = Agent(
        name=name, entity=customer, reacts_to=(to,), remembers=(), window=WindowSpec(events=5, age=timedelta(days=1))
    )
    agent.rules(lambda _event, _history: Decision(outcome="answered", reason="it is polite", emit=(answer,) * times))
    return agent


@dataclass
class Conversation:
    """Two agents, a timeline that has what the outbox got, and the writer they share."""

    writer: DecisionWriter
    query: Callable[..., Any]
    times: int = 1
    timeline: list[bytes] = field(default_factory=list)
    #: What a person hears of it.
    escalated: list[Event] = field(default_factory=list)
    read: int = 0

    def __post_init__(self) -> None:
        agents = (
            answering("asks", CustomerNotified, SAID, self.times),
            answering("answers", SupportMessageReceived, NOTE, self.times),
        )
        self.loops = [
            StreamLoop(
                agent,
                brain=RulesBrain(agent),
                windows=Windows(agent.window),
                writer=self.writer,
                now=lambda: NOON,
                crash=self._crash,
                inputs=Inputs(agent, TYPES),
            )
            for agent in agents
        ]

    async def _crash(self, error: BaseException) -> None:
        raise error

    async def goes_on(self, *begins: Event, rounds: int) -> None:
        """Say what begins it, then let everybody hear what is said, until nothing is; fails after so many rounds."""
        self.timeline += map(to_json, begins)
        for _ in range(rounds):
            heard, self.read = self.timeline[self.read :], len(self.timeline)
            if not heard:
                return
            await self.hear(self.read - len(heard), heard)
            said = self.query("DELETE FROM outbox_messages WHERE topic <> 'dead-letters' RETURNING seq, value")
            told = [bytes(value) for _, value in sorted(said)]
            self.timeline += [value for value in told if b"EscalationRequested" not in value]
            self.escalated += [parse(value, ()) for value in told if b"EscalationRequested" in value]
        raise AssertionError(f"they still talk after {rounds} rounds")

    async def hear(self, first: int, values: Sequence[bytes]) -> None:
        consumers = [Consumer() for _ in self.loops]
        for offset, value in enumerate(values, first):
            for loop, consumer in zip(self.loops, consumers, strict=True):
                await loop.accept(Delivery(consumer, offset, b"ada", value))
        offsets = list(range(first, first + len(values)))
        await until(lambda: all(sorted(each.offsets()) == offsets for each in consumers))


def beginning(event_id: str = "begin", **changes: Any) -> Event:
    event = Event(
        id=event_id,
        source="urn:shop",
        type="SupportMessageReceived",
        time=NOON,
        data={"customer_id": "ada", "order_id": "o-1", "text": "hi"},
    )
    return replace(event, **changes)


async def test_two_agents_that_answer_each_other_end_at_the_limit_and_a_person_hears_once(
    database: Database, query: Callable[..., Any]
) -> None:
    talk = Conversation(DecisionWriter(database, on_commit=lambda _: None), query)

    await talk.goes_on(beginning(), rounds=30)

    said = [parse(value, ()) for value in talk.timeline]
    assert [chain_depth(event) for event in said] == list(range(17))
    assert {event.correlationid for event in said[1:]} == {"begin"}
    assert query(STATUSES) == [("committed", 16), ("refused", 1)]
    [(correlation, depth, outcome, kept)] = query(
        "SELECT correlation_id, chain_depth, outcome, jsonb_array_length(messages) FROM decisions"
        " WHERE status = 'refused'"
    )
    assert (correlation, depth, outcome, kept) == ("begin", 16, "answered", 1)
    [(consumer, reason, detail, value)] = query("SELECT consumer, reason, detail, value FROM dead_letters")
    assert (consumer, reason, bytes(value)) == ("answers", "echo", talk.timeline[-1])
    assert "correlation begin" in detail
    assert "16 decisions deep (at most 16)" in detail
    assert len(query("SELECT 1 FROM outbox_messages WHERE topic = 'dead-letters'")) == 1
    [told] = talk.escalated
    assert (told.data["order_id"], told.data["failure"], told.data["evidence"]) == ("o-1", "echo", [said[-1].id])
    assert (told.source, told.causationid) == ("urn:innervate:agent:answers", said[-1].id)


async def test_a_refused_event_that_comes_again_changes_nothing(database: Database, query: Callable[..., Any]) -> None:
    talk = Conversation(DecisionWriter(database, on_commit=lambda _: None), query)
    await talk.goes_on(beginning(), rounds=30)

    await talk.hear(16, talk.timeline[-1:])
    await talk.hear(99, talk.timeline[-1:])

    assert query(STATUSES) == [("committed", 16), ("refused", 1)]
    assert query("SELECT count(*) FROM dead_letters") == [(1,)]
    assert query("SELECT count(*) FROM outbox_messages WHERE topic <> 'dead-letters'") == [(0,)]


async def test_a_story_that_branches_ends_at_its_number_of_messages_and_is_told_once(
    database: Database, query: Callable[..., Any]
) -> None:
    writer = DecisionWriter(database, on_commit=lambda _: None, limits=ChainLimits(messages=50))
    talk = Conversation(writer, query, times=3)

    await talk.goes_on(beginning(), rounds=30)

    # The three answers to the event from outside do not count.
    assert len(talk.timeline) == 1 + 3 + 48
    assert query("SELECT count(*) FROM dead_letters") == [(1,)]
    [(detail,)] = query("SELECT detail FROM dead_letters")
    assert "at most 50" in detail
    assert len(talk.escalated) == 1
    assert dict(query(STATUSES))["refused"] > 0


async def test_another_story_and_events_from_outside_are_decided_on_as_before(
    database: Database, query: Callable[..., Any]
) -> None:
    writer = DecisionWriter(database, on_commit=lambda _: None, limits=ChainLimits(messages=3))
    talk = Conversation(writer, query)
    await talk.goes_on(beginning(), rounds=30)
    assert len(talk.timeline) == 1 + 1 + 3

    await talk.goes_on(beginning("other"), beginning("third", correlationid="begin"), rounds=30)

    committed = "SELECT count(*) FROM decisions WHERE status = 'committed' AND correlation_id = %s"
    assert query(committed, ["other"]) == [(4,)]
    # What comes from outside is a fact and no echo; the answer to its answer is.
    assert query(committed, ["begin"]) == [(5,)]
    assert query("SELECT count(*) FROM dead_letters") == [(2,)]


@pytest.mark.parametrize("said", ["1000000", "no number", -5, True, 2**62])
async def test_a_forged_depth_ends_a_chain_and_begins_none(
    database: Database, query: Callable[..., Any], said: Any
) -> None:
    talk = Conversation(DecisionWriter(database, on_commit=lambda _: None), query)

    await talk.goes_on(beginning(extensions={"chaindepth": said}), rounds=3)

    assert query(STATUSES) == [("refused", 1)]
    assert len(talk.timeline) == 1


async def test_nothing_is_done_or_asked_by_a_refused_decision(
    database: Database, decision: Callable[..., Any], query: Callable[..., Any], settle: Callable[..., Any],
    message: Callable[..., Any],
) -> None:  # fmt: skip
    writer = DecisionWriter(database, on_commit=lambda _: None, limits=ChainLimits(decisions=3, messages=2))
    hold = Hold(reason="amount", expires_in=timedelta(days=1))
    try:
        outcomes = await settle(
            writer,
            decision("deep", chain_depth=3, effects=(refund(1),)),
            decision("held", chain_depth=3, status="held", hold=hold),
            decision("wide", chain_depth=1, effects=(refund(2),), messages=tuple(map(message, ("a", "b", "c")))),
            decision("silent", chain_depth=3, messages=()),
            decision("fine", chain_depth=2, effects=(refund(3),)),
            decision("v2", chain_depth=9, agent="fraud@v2", status="shadow"),
        )
    finally:
        await writer.stop()

    assert [isinstance(each, Echo) for each in outcomes] == [True, True, True, False, False, False]
    assert query("SELECT event_id, status FROM decisions ORDER BY event_id") == [
        ("deep", "refused"),
        ("fine", "committed"),
        ("held", "refused"),
        ("silent", "committed"),
        ("v2", "shadow"),
        ("wide", "refused"),
    ]
    assert query("SELECT refund_id FROM refunds") == [(refund(3).refund_id,)]
    assert query("SELECT count(*) FROM approvals") == [(0,)]
    assert query("SELECT message_id FROM outbox_messages") == [("m-fine",)]


async def test_the_messages_of_a_story_are_counted_where_every_worker_sees_them(
    database: Database, decision: Callable[..., Any], query: Callable[..., Any], settle: Callable[..., Any]
) -> None:
    workers = [DecisionWriter(database, on_commit=lambda _: None, limits=ChainLimits(messages=4)) for _ in range(2)]
    try:
        for number, writer in enumerate(workers * 3):
            await settle(writer, decision(f"e-{number}", chain_depth=1, correlation_id="story"))
    finally:
        for writer in workers:
            await writer.stop()

    assert query("SELECT event_id, fan_out, status FROM decisions ORDER BY event_id") == [
        ("e-0", 1, "committed"),
        ("e-1", 2, "committed"),
        ("e-2", 3, "committed"),
        ("e-3", 4, "committed"),
        ("e-4", 5, "refused"),
        ("e-5", 6, "refused"),
    ]
