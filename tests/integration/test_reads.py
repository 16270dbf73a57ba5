"""What can be asked: filters, groups, what is shown whole, and the rows that domains show."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from llm_calls import call
from refunding import refund

from agents.shop.listings import SHOP_LISTINGS
from app.reads.contents import Bytes
from app.reads.dead_letters import DeadLettersQuery, dead_letter, dead_letter_groups, dead_letters
from app.reads.decisions import DecisionsQuery, GroupsQuery, decision_groups, decisions
from app.reads.listings import listed, read_listing
from app.reads.llm_calls import LlmCallsQuery, llm_call, llm_calls, models
from app.reads.outbox import BuriedQuery, buried, buried_groups
from app.reads.shapes import NotFound
from outbox.budget import Budget
from outbox.database import Database
from outbox.journal import Journal
from outbox.operator_actions import Operator
from outbox.records import DeadLetter, Origin
from outbox.redrives import Redrives
from outbox.writer import DecisionWriter

NOON = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
LETTER = DeadLetter(
    consumer="router",
    reason="invalid_json",
    detail="value must be JSON",
    origin=Origin(topic="payments", partition=3, offset=41, at=NOON),
    key=b"o-1",
    value=b"\xff{",
    headers=(("trace", b"a\xfe"), ("plain", "größer".encode())),
)
BURIED = """
    INSERT INTO outbox_dead (seq, lane, message_id, topic, key, headers, committed_at, reason)
    SELECT seq, 0, 'm-' || seq, topic, '', '[]', now(), 'too large'
    FROM unnest(ARRAY['payments', 'ledger', 'payments']) WITH ORDINALITY AS b (topic, seq)
"""


@pytest.fixture
async def _decided(writer: DecisionWriter, decision: Callable[..., Any]) -> None:
    """Five decisions a minute apart: on payments of customer-1, and on order o-7 because of one of them."""
    about_order = {"entity": "order", "entity_id": "o-7"}
    made: list[dict[str, Any]] = [
        {"correlation_id": "story-1"},
        {"outcome": "block", "brain": "model", "model": "small"},
        {"fallback_reason": "timeout"},
        {"agent": "fulfilment", **about_order, "event_id": "pay-1", "messages": (), "correlation_id": "story-1"},
        {"agent": "fraud@new", "status": "shadow"},
    ]
    for n, changes in enumerate(made):
        event_id = changes.pop("event_id", f"pay-{n + 1}")
        await writer.record(decision(event_id, decided_at=NOON + timedelta(minutes=n), **changes))


@pytest.mark.usefixtures("_decided")
@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, ["pay-5", "pay-1", "pay-3", "pay-2", "pay-1"]),
        ({"correlation_id": "story-1"}, ["pay-1", "pay-1"]),
        # What belongs to no correlation begins one of its own.
        ({"correlation_id": "pay-2"}, ["pay-2"]),
        ({"message_id": "m-pay-3"}, ["pay-3"]),
        # An id of an event is none of a message.
        ({"message_id": "pay-3"}, []),
        ({"event_id": "m-pay-3"}, []),
        ({"event_id": "pay-1"}, ["pay-1", "pay-1"]),
        ({"event_id": "pay-1", "event_source": "urn:other"}, []),
        ({"brain": "model"}, ["pay-2"]),
        ({"outcome": "block", "brain": "rules"}, []),
        ({"since": NOON + timedelta(minutes=1), "until": NOON + timedelta(minutes=3)}, ["pay-3", "pay-2"]),
        ({"entity": "order", "entity_id": "o-7"}, ["pay-1"]),
        ({"entity": "order", "entity_id": "o-7", "related": True}, ["pay-1", "pay-1"]),
        ({"entity": "order", "entity_id": "o-7", "related": True, "agent": "fraud"}, ["pay-1"]),
        ({"entity": "order", "entity_id": "o-8", "related": True}, []),
    ],
)
async def test_decisions_are_found_by_what_is_known_of_them(
    database: Database, asked: dict[str, Any], found: list[str]
) -> None:
    page = await decisions(database, DecisionsQuery(**asked))

    assert ([one.event_id for one in page.decisions], page.next) == (found, None)


@pytest.mark.usefixtures("_decided")
async def test_pages_of_what_is_related_go_on_where_they_ended(database: Database) -> None:
    query = DecisionsQuery(entity="order", entity_id="o-7", related=True, limit=1)

    first = await decisions(database, query)
    second = await decisions(database, query.model_copy(update={"before": first.next}))

    assert [one.agent for one in (*first.decisions, *second.decisions)] == ["fulfilment", "fraud"]
    assert second.next is None


@pytest.mark.usefixtures("_decided")
async def test_decisions_are_counted_by_agent_outcome_and_status(database: Database) -> None:
    groups = await decision_groups(database, GroupsQuery())

    told = [(one.agent, one.outcome, one.status, one.fell_back, one.decisions) for one in groups.groups]
    assert told == [
        ("fraud", "approve", "committed", False, 1),
        ("fraud", "approve", "committed", True, 1),
        ("fraud", "block", "committed", False, 1),
        ("fraud@new", "approve", "shadow", False, 1),
        ("fulfilment", "approve", "committed", False, 1),
    ]
    assert (groups.grouped, groups.is_capped) == (5, False)
    assert len((await decision_groups(database, GroupsQuery(agent="fraud", limit=2))).groups) == 2


async def test_a_dead_letter_is_shown_with_its_bytes_as_they_are(database: Database, writer: DecisionWriter) -> None:
    await writer.bury(LETTER)

    letter = await dead_letter(database, LETTER.id)

    assert letter.key == Bytes(encoding="utf-8", text="o-1")
    assert letter.value == Bytes(encoding="base64", text="/3s=")
    assert [(one.name, one.value.text) for one in letter.headers] == [("trace", "Yf4="), ("plain", "größer")]
    with pytest.raises(NotFound, match="no dead letter 00000000-0000-0000-0000-000000000001"):
        await dead_letter(database, uuid.UUID(int=1))


async def test_dead_letters_are_grouped_by_cause_and_found_by_what_became_of_them(
    database: Database, writer: DecisionWriter
) -> None:
    for offset, consumer in enumerate(("router", "router", "fraud")):
        await writer.bury(replace(LETTER, consumer=consumer, key=None, origin=replace(LETTER.origin, offset=offset)))
    [first, *_] = (await dead_letters(database, DeadLettersQuery(consumer="router"))).dead_letters
    await Redrives(database, on_commit=lambda _lanes: None).redrive(first.id, by=Operator(name="ada"))

    groups = await dead_letter_groups(database)
    put_back = await dead_letters(database, DeadLettersQuery(redriven=True))
    still_dead = await dead_letters(database, DeadLettersQuery(redriven=False, topic="payments"))

    assert [(one.consumer, one.reason, one.dead_letters, one.open) for one in groups.groups] == [
        ("router", "invalid_json", 2, 1),
        ("fraud", "invalid_json", 1, 1),
    ]
    assert [one.id for one in put_back.dead_letters] == [first.id]
    assert len(still_dead.dead_letters) == 2


async def test_buried_messages_are_grouped_and_found_by_topic(database: Database, query: Callable[..., Any]) -> None:
    query(BURIED)

    assert [(one.topic, one.messages) for one in (await buried_groups(database)).groups] == [
        ("payments", 2),
        ("ledger", 1),
    ]
    assert [one.seq for one in (await buried(database, BuriedQuery(topic="payments"))).messages] == [3, 1]


@pytest.fixture
async def journal(database: Database) -> AsyncIterator[Journal]:
    running = Journal(database)
    yield running
    await running.stop()


async def test_calls_of_models_are_listed_and_one_is_shown_with_its_texts(database: Database, journal: Journal) -> None:
    valid = call()
    failed = call(event_id="pay-2", reply=None, error="time-out", called_at=NOON + timedelta(seconds=1))
    for each in (valid, failed):
        await journal.record(each)

    everything = await llm_calls(database, LlmCallsQuery())
    failures = await llm_calls(database, LlmCallsQuery(failed=True))
    of_one = await llm_calls(database, LlmCallsQuery(decision_id=everything.llm_calls[1].decision_id))
    whole = await llm_call(database, valid.id)

    assert [one.event_id for one in everything.llm_calls] == ["pay-2", "pay-1"]
    assert [one.error for one in failures.llm_calls] == ["time-out"]
    assert [one.id for one in of_one.llm_calls] == [valid.id]
    assert (whole.prompt, whole.reply) == ("score this", "approve")


async def test_models_are_told_of_with_what_is_left_of_the_day(database: Database, journal: Journal) -> None:
    await journal.record(call())
    await journal.record(call(event_id="pay-2", reply=None, error="time-out", completion_tokens=None, latency_ms=50))
    budget = Budget(database, {"fraud": 1000}, expires_in=timedelta(minutes=1))
    reservation = await budget.reserve("fraud", 300)
    assert reservation is not None
    await budget.settle(reservation, 250)
    await budget.reserve("fraud", 100)
    await budget.stop()

    told = await models(database, {"fraud": 1000, "recovery": 0})

    [use] = told.uses
    assert (use.agent, use.model, use.calls, use.failed) == ("fraud", "small", 2, 1)
    assert (use.prompt_tokens, use.completion_tokens, use.median_latency_ms) == (240, 8, 50)
    assert [(one.agent, one.used_tokens, one.reserved_tokens, one.limit_tokens) for one in told.budgets] == [
        ("fraud", 250, 100, 1000),
        ("recovery", 0, 0, 0),
    ]


async def test_refunds_are_listed_as_the_shop_shows_them(
    database: Database, writer: DecisionWriter, decision: Callable[..., Any]
) -> None:
    for number in (1, 2):
        await writer.record(decision(f"pay-{number}", agent="recovery", effects=(refund(number),)))
    refunds = read_listing(next(one for one in SHOP_LISTINGS if one.name == "refunds"))

    first = await listed(database, refunds, refunds.query.model_validate({"limit": 1, "order_id": "o-1"}))
    second = await listed(
        database, refunds, refunds.query.model_validate({"limit": 1, "order_id": "o-1", "before": first.next})
    )
    nothing = await listed(database, refunds, refunds.query.model_validate({"order_id": "o-2"}))

    rows: list[Any] = [*first.rows, *second.rows]
    assert {str(row.refund_id)[-2:] for row in rows} == {"01", "02"}
    assert {(row.amount_minor, row.currency, row.reason) for row in rows} == {(2000, "EUR", "two captures")}
    assert (second.next, list(nothing.rows)) == (None, [])
    with pytest.raises(NotFound, match="no row 00000000-0000-0000-0000-000000000009 in refunds"):
        await listed(database, refunds, refunds.query.model_validate({"before": str(uuid.UUID(int=9))}))
