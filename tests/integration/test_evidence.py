"""Evidence from PostgreSQL: what has to be in Kafka by each decision, whatever a person answered."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from shop_catalogue import TYPES

from app.demo.checker import Published, check
from app.demo.evidence import committed_decisions, count_committed
from outbox.approvals import Approvals
from outbox.database import Database
from outbox.operator_actions import Operator
from outbox.records import DecisionRecord, Hold
from outbox.writer import DecisionWriter

EVENTS = [("urn:shop", each) for each in ("approved", "committed", "expired", "held", "rejected")]
DUE = {"m-approved", "m-committed", "escalated-expired", "escalated-rejected"}


@pytest.fixture
async def answered(
    database: Database,
    writer: DecisionWriter,
    decision: Callable[..., DecisionRecord],
    message: Callable[..., Any],
) -> None:
    """One decision of each kind; its event is called like it."""

    def held(event_id: str, expires_in: timedelta = timedelta(days=1)) -> DecisionRecord:
        # The value is kept as it is: jsonb would refuse it.
        otherwise = (message(f"escalated-{event_id}", value=rb'{"text":"\u0000"}'),)
        hold = Hold(reason="amount", expires_in=expires_in, otherwise=otherwise)
        return decision(event_id, status="held", hold=hold)

    approvals = Approvals(database, on_commit=lambda _lanes: None, effects=TYPES.effects)
    await writer.record(decision("committed"))
    await writer.record(held("held"))
    await writer.record(held("expired", timedelta(0)))
    for event_id, answer in (("approved", approvals.approve), ("rejected", approvals.reject)):
        record = held(event_id)
        await writer.record(record)
        approval = await approvals.find(record.id)
        assert approval is not None
        await answer(record.id, approval.content_sha256, Operator(name="ada"))
    assert len(await approvals.expire()) == 1


def published(*message_ids: str) -> list[Published]:
    return [Published(message_id=message_id, topic="payments", key=b"customer-1") for message_id in message_ids]


@pytest.mark.usefixtures("answered")
async def test_what_is_due_is_what_the_outbox_got(database_url: str, query: Callable[..., Any]) -> None:
    decided, committed_at = committed_decisions(database_url)
    outbox = [message_id for (message_id,) in query("SELECT message_id FROM outbox_messages ORDER BY seq")]

    assert sorted(row.event for row in decided) == EVENTS
    assert set(outbox) == set(committed_at) == DUE
    # In the order of the answers, which is the order in which the relay sends them.
    assert [message_id for row in decided for message_id in row.message_ids] == outbox
    assert count_committed(database_url) == (5, 4)
    assert not check(due={"fraud": EVENTS}, decided=decided, published=published(*outbox)).broken


@pytest.mark.usefixtures("answered")
async def test_a_message_that_leaks_from_a_held_or_rejected_decision_is_found(
    database_url: str, query: Callable[..., Any]
) -> None:
    decided, _ = committed_decisions(database_url)
    outbox = [message_id for (message_id,) in query("SELECT message_id FROM outbox_messages ORDER BY seq")]

    for leak in ("m-held", "escalated-held", "m-rejected", "m-expired", "escalated-approved"):
        found = check(due={"fraud": EVENTS}, decided=decided, published=published(*outbox, leak))
        assert list(found.examples()) == [f"uncommitted: 1, for instance {leak}"]


async def test_messages_of_one_batch_that_leave_in_another_order_than_they_were_committed_are_found(
    writer: DecisionWriter, decision: Callable[..., DecisionRecord], settle: Callable[..., Any], database_url: str
) -> None:
    # The names of the stories are in the opposite order.
    await settle(writer, decision("e1", correlation_id="story-2"), decision("e2", correlation_id="story-1"))
    decided, _ = committed_decisions(database_url)
    due = {"fraud": [("urn:shop", "e1"), ("urn:shop", "e2")]}

    assert not check(due=due, decided=decided, published=published("m-e1", "m-e2")).broken
    found = check(due=due, decided=decided, published=published("m-e2", "m-e1"))
    assert list(found.examples()) == ["out of order: 1, for instance m-e1"]
