"""Decisions that wait for a person, as an agent leaves them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from outbox.database import Database
from outbox.records import DecisionRecord, Hold, Message, Origin
from outbox.writer import DecisionWriter
from tables.event import Event, to_json

NOON = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)


def _message(message_id: str) -> Message:
    """An event of an agent that concerns nobody."""
    event = Event(id=message_id, source="urn:innervate:agent:recovery", type="NothingHappened", time=NOON, data={})
    return Message(id=message_id, topic="recovery", key=b"waited", value=to_json(event))


def held(event_id: str) -> DecisionRecord:
    """One that publishes `done-…` when it is approved, `otherwise-…` when it is not."""
    hold = Hold(reason="amount", expires_in=timedelta(days=1), otherwise=(_message(f"otherwise-{event_id}"),))
    return DecisionRecord(
        # No agent of ours: others replay what ours decided.
        agent="nobody",
        event_id=event_id,
        event_source="urn:shop",
        event_type="NothingHappened",
        event_at=NOON,
        entity="order",
        entity_id=event_id[:256],
        origin=Origin(topic="timeline-order", partition=0, offset=0, at=NOON),
        history={"offsets": [], "sha256": ""},
        brain="rules",
        model=None,
        outcome="nothing",
        reason=f"a person has to agree to {event_id}",
        confidence=1.0,
        fallback_reason=None,
        status="held",
        decided_at=NOON,
        messages=(_message(f"done-{event_id}"),),
        hold=hold,
    )


async def write(database_url: str, record: DecisionRecord) -> None:
    """Commit it, as a worker does."""
    database = Database(database_url)
    writer = DecisionWriter(database, on_commit=lambda _lanes: None)
    await writer.record(record)
    await writer.stop()
    await database.close()
