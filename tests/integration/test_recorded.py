"""Recorded decisions as a replay reads them: in the order of the log, page by page, messages as they were sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from shop_catalogue import TYPES

from agents.engine.brain import RULES
from agents.engine.record import decision_record
from agents.model.decision import Decision, Verdict
from agents.model.history import History
from agents.model.types import Received
from agents.replay.records import RecordedDecision
from agents.shop.events import FraudScored
from agents.shop.fraud.rules import fraud
from app.timemachine.recorded import RecordedDecisions
from outbox.database import Database
from outbox.journal import Journal, LlmCall
from outbox.records import Hold, Origin, decision_id
from outbox.writer import DecisionWriter
from tables.event import Event

NOON = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
TOPIC = "timeline-customer"


def origin(offset: int, partition: int = 2, topic: str = TOPIC) -> Origin:
    return Origin(topic=topic, partition=partition, offset=offset, at=NOON)


async def read(
    database: Database, start: int, end: int, *, agents: Sequence[str] = ("fraud", "refunds"), page_rows: int = 500
) -> list[RecordedDecision]:
    recorded = RecordedDecisions(database, TYPES, page_rows=page_rows)
    return [each async for each in recorded.read(TOPIC, 2, agents, start, end)]


@pytest.mark.parametrize("page_rows", [1, 2, 3, 7, 500])
async def test_decisions_come_in_the_order_of_the_log_whatever_the_pages(
    database: Database, writer: DecisionWriter, decision: Callable[..., Any], page_rows: int
) -> None:
    for offset, agent in ((9, "fraud"), (3, "refunds"), (3, "fraud"), (0, "fraud"), (5, "fraud"), (7, "fraud")):
        await writer.record(decision(f"e-{offset}", agent=agent, origin=origin(offset)))

    found = await read(database, 0, 9, page_rows=page_rows)

    assert [(each.offset, each.agent) for each in found] == [
        (0, "fraud"), (3, "fraud"), (3, "refunds"), (5, "fraud"), (7, "fraud"),
    ]  # fmt: skip
    assert [each.offset for each in await read(database, 5, 7, page_rows=page_rows)] == [5]


async def test_other_partitions_topics_and_agents_are_left_out(
    database: Database, writer: DecisionWriter, decision: Callable[..., Any]
) -> None:
    await writer.record(decision("e-1", origin=origin(1)))
    await writer.record(decision("e-2", origin=origin(2, partition=3)))
    await writer.record(decision("e-3", origin=origin(3, topic="timeline-order")))
    await writer.record(decision("e-4", origin=origin(4), agent="fraud@v2", status="shadow"))

    assert [each.event_id for each in await read(database, 0, 100)] == ["e-1"]


async def test_a_decision_comes_back_as_it_was_made_and_its_messages_as_they_were_sent(
    database: Database, writer: DecisionWriter
) -> None:
    scored = FraudScored(
        payment_id="p-1", order_id="o-1", customer_id="ada", score=70, verdict="review", reasons=("zwölf Versuche", "é")
    )
    paid = Event(id="pay-9", source="urn:test:shop", type="PaymentSucceeded", time=NOON, data={})
    history = History(Received(paid, None), (), TYPES)
    made = Decision(outcome="review", reason="many attempts", confidence=0.7, emit=[scored])
    verdict = Verdict(decision=made, brain=RULES)
    record = decision_record(fraud, history, verdict, origin=origin(7), entity_id="ada", decided_at=NOON)
    await writer.record(record)

    recorded = RecordedDecisions(database, TYPES)
    [found] = [each async for each in recorded.read(TOPIC, 2, ["fraud"], 0, 8)]

    assert (found.agent, found.event_id, found.status, found.brain) == ("fraud", "pay-9", "committed", "rules")
    assert (found.outcome, found.reason, found.confidence) == ("review", "many attempts", 0.7)
    assert (found.history_offsets, found.history_sha256) == ((), history.digest())
    assert [(m.id, m.topic, m.key, m.value) for m in found.messages] == [
        (m.id, m.topic, m.key, m.value) for m in record.messages
    ]
    assert found.replies == ()
    assert found.id == record.id
    assert await recorded.of(record.id) == found
    assert await recorded.of(decision_id("fraud", "urn:test:shop", "pay-8")) is None
    assert await recorded.about("fraud", "urn:test:shop", "pay-9") == found
    assert await recorded.about("fraud", "urn:test:till", "pay-9") is None


async def test_a_held_decision_has_the_messages_it_would_send(
    database: Database, writer: DecisionWriter, decision: Callable[..., Any]
) -> None:
    hold = Hold(reason="amount", expires_in=timedelta(days=1))
    await writer.record(decision("e-1", origin=origin(1), status="held", hold=hold))

    [found] = await read(database, 0, 10)

    assert (found.status, [message.id for message in found.messages]) == ("held", ["m-e-1"])


async def test_replies_of_models_come_with_their_decisions_the_newest_last(
    database: Database, writer: DecisionWriter, decision: Callable[..., Any]
) -> None:
    await writer.record(decision("e-1", origin=origin(1), brain="gpt", model="gpt-1"))
    await writer.record(decision("e-2", origin=origin(2), fallback_reason="timeout"))
    await writer.record(decision("e-3", origin=origin(3)))
    journal = Journal(database)
    for event_id, attempt, reply, error in (
        ("e-1", 2, "second", None),
        ("e-1", 1, "first", "invalid: too short"),
        ("e-2", 1, None, "timeout"),
        ("e-3", 1, "nobody decided by it", None),
    ):
        await journal.record(call(event_id, attempt, reply, error))
    await journal.stop()

    found = await read(database, 0, 10)

    assert [[reply.reply for reply in each.replies] for each in found] == [["first", "second"], [], []]
    assert found[0].replies[0].prompt_sha256 == "01" * 32
    assert found[0].replies[1].model == "gpt-1"


def call(event_id: str, attempt: int, reply: str | None, error: str | None) -> LlmCall:
    return LlmCall(
        agent="fraud",
        event_source="urn:shop",
        event_id=event_id,
        attempt=attempt,
        model="gpt-1",
        prompt_sha256=f"{attempt:02}" * 32,
        prompt="?",
        reply=reply,
        prompt_tokens=1,
        completion_tokens=1,
        latency_ms=5,
        error=error,
        called_at=NOON + timedelta(seconds=attempt),
    )


async def test_the_places_of_events_are_known_where_an_agent_decided_on_them(
    database: Database, writer: DecisionWriter, decision: Callable[..., Any]
) -> None:
    await writer.record(decision("e-1", origin=origin(1)))
    await writer.record(decision("e-1", origin=origin(3), event_source="urn:till"))
    recorded = RecordedDecisions(database, TYPES)

    assert await recorded.places_of("customer", "customer-1", "e-1", "urn:shop") == [("urn:shop", 2, 1)]
    assert await recorded.places_of("customer", "customer-1", "e-1", None) == [("urn:shop", 2, 1), ("urn:till", 2, 3)]
    assert await recorded.places_of("customer", "customer-2", "e-1", None) == []
    assert await recorded.places_of("order", "customer-1", "e-1", None) == []
