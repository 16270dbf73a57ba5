"""Decisions to write, and their messages."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from outbox.records import DecisionRecord, Message, Origin

NOON = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)


def message(message_id: str, **changes: Any) -> Message:
    """A message of customer-1; `{"n": 1}` unless told otherwise."""
    made = Message(
        id=message_id, topic="payments", key=b"customer-1", value=b'{"n":1}', headers=(("content-type", b"text/x"),)
    )
    return replace(made, **changes)


def decision(event_id: str, **changes: Any) -> DecisionRecord:
    """The decision of agent `fraud` on one payment, with one message whose id is `m-` and the event's."""
    record = DecisionRecord(
        agent="fraud",
        event_id=event_id,
        event_source="urn:shop",
        event_type="PaymentSucceeded",
        event_at=NOON,
        entity="customer",
        entity_id="customer-1",
        origin=Origin(topic="timeline-customer", partition=2, offset=7, at=NOON),
        history={"offsets": [5, 6], "sha256": "00ff"},
        brain="rules",
        model=None,
        outcome="approve",
        reason="nothing unusual",
        confidence=0.75,
        fallback_reason=None,
        status="committed",
        decided_at=NOON,
        messages=(message(f"m-{event_id}"),),
    )
    return replace(record, **changes)
