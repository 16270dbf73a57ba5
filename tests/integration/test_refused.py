"""What PostgreSQL refuses is told to a person: nothing of the decision is done, what it has for that case is said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from refunding import refund

from agents.shop.refunds import Refund
from outbox.errors import StatementRejected
from outbox.records import DecisionRecord, Message
from outbox.writer import DecisionWriter

RefundOf = Callable[..., DecisionRecord]


@pytest.fixture
def recovery(decision: Callable[..., DecisionRecord], message: Callable[..., Message]) -> RefundOf:
    """The decision of `recovery` on an event: refunds, a message, and an escalation for when they are refused."""

    def build(event_id: str, *refunds: Refund) -> DecisionRecord:
        return decision(
            event_id,
            agent="recovery",
            messages=(message(f"issued-{event_id}"),),
            effects=refunds,
            otherwise=(message(f"escalated-{event_id}", topic="recovery"),),
        )

    return build


#: A payment id over two orders, a refund made before, one beyond the capture, one that is not booked (found at COMMIT).
REFUSALS = {
    "refunds_payment_id_order_id_currency_fkey": refund(2, order_id="o-2"),
    "refunds_pkey": refund(1),
    "refunded_at_most_what_was_captured": refund(3, 3001),
    "0 booked": refund(4, entries=()),
}


@pytest.mark.parametrize("why", REFUSALS)
async def test_a_refund_that_postgresql_refuses_is_rejected_and_a_person_hears(
    why: str, writer: DecisionWriter, recovery: RefundOf, query: Callable[..., Any], settle: Callable[..., Any]
) -> None:
    outcomes = await settle(writer, recovery("e-1", refund(1)), recovery("e-2", REFUSALS[why]), recovery("e-3"))

    assert outcomes == [True, True, True]
    assert query("SELECT event_id, status FROM decisions ORDER BY event_id") == [
        ("e-1", "committed"),
        ("e-2", "rejected"),
        ("e-3", "committed"),
    ]
    assert query("SELECT refund_id FROM refunds") == [(refund(1).refund_id,)]
    assert sorted(query("SELECT message_id FROM outbox_messages")) == [
        ("escalated-e-2",),
        ("issued-e-1",),
        ("issued-e-3",),
    ]
    [(reason, answer, answered_by, content)] = query("SELECT reason, answer, answered_by, content FROM approvals")
    assert (reason, answer) == ("refused", "rejected")
    assert answered_by.startswith("PostgreSQL: ")
    assert why in answered_by
    assert [kept["id"] for kept in orjson.loads(content)["otherwise"]] == ["escalated-e-2"]


async def test_a_refused_decision_that_comes_again_is_not_written_again(
    writer: DecisionWriter, recovery: RefundOf, query: Callable[..., Any], settle: Callable[..., Any]
) -> None:
    await settle(writer, recovery("e-1", refund(1)))
    outcomes = [await writer.record(recovery("e-2", refund(2, order_id="o-2"))) for _ in range(2)]

    assert outcomes == [True, False]
    assert query("SELECT count(*) FROM outbox_messages WHERE message_id = 'escalated-e-2'") == [(1,)]


async def test_a_refused_decision_that_has_nothing_for_that_case_is_left_to_its_caller(
    writer: DecisionWriter, decision: Callable[..., DecisionRecord], settle: Callable[..., Any]
) -> None:
    outcomes = await settle(writer, decision("e-1", effects=(refund(1, 5001),)))

    assert isinstance(outcomes[0], StatementRejected)
