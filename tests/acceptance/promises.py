"""The promises, checked on what Kafka and PostgreSQL really hold."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from observe import ON_PAYMENTS, read, rows
from recomputed import MEMORIES, recompute
from shop import SOURCE, Payment
from shop_catalogue import DOMAIN_TOPICS

from app.demo.checker import check
from app.demo.evidence import AGENTS_SOURCE, committed_decisions, published_messages
from app.sandbox import Sandbox

#: Far more than one batch of the relay holds at the speed the shop sends.
COPIES_ALLOWED = 40
#: Who decides on each payment.
PAYMENT_AGENTS = ("fraud", "confirmation", "fulfilment")


def assert_nothing_lost_or_doubled(
    sandbox: Sandbox, payments: Sequence[Payment], *, repeats_allowed: bool = False
) -> None:
    """Every payment has one decision and one published score, in order; everything published was committed.

    `repeats_allowed` is for what the guarantees allow: a relay that is cut off between publish and delete publishes
    that batch again, with the same ids.
    """
    due = {(SOURCE, payment.event_id) for payment in payments if payment.kind == "PaymentSucceeded"}
    decided, _ = committed_decisions(sandbox.database_url)
    published = asyncio.run(published_messages(sandbox.kafka, DOMAIN_TOPICS, source=AGENTS_SOURCE))

    findings = check(due=dict.fromkeys(ON_PAYMENTS, due), decided=decided, published=published)

    ours = {message_id for row in decided if row.event in due for message_id in row.message_ids}
    repeated = [message_id for message_id in findings.repeated if message_id in ours]
    assert len(repeated) <= (COPIES_ALLOWED if repeats_allowed else 0), repeated
    findings.repeated = []
    assert list(findings.examples()) == []


def assert_histories_are_exact(sandbox: Sandbox, payments: Sequence[Payment]) -> None:
    """Every recorded history is the window recomputed from the timeline, for every agent that decides on payments."""
    due = [payment.event_id for payment in payments if payment.kind == "PaymentSucceeded"]
    for agent in PAYMENT_AGENTS:
        expected = recompute(agent, read(sandbox.kafka, MEMORIES[agent].timeline))
        recorded = rows(
            sandbox.database_url,
            'SELECT event_id, partition, "offset", history FROM decisions WHERE agent = %s AND event_id = ANY (%s)',
            agent,
            due,
        )

        assert {event_id for event_id, *_ in recorded} == set(due)
        for event_id, partition, offset, history in recorded:
            assert ((SOURCE, event_id), history) == (
                expected[partition, offset].event,
                expected[partition, offset].history,
            )
