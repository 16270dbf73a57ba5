"""From a verdict to the row and the messages that are written: the envelope of what agents emit.

The same event and history give the same messages, byte for byte, whenever they are decided.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from agents.model.agent import Agent
from agents.model.decision import Verdict
from agents.model.errors import DecisionFailed
from agents.model.event import DomainEvent
from agents.model.history import History
from outbox.records import DecisionRecord, Hold, Message, Origin, decision_id
from tables.event import CHAIN_DEPTH, MAX_CHAIN_DEPTH, Event, InvalidEvent, chain_depth, to_json

#: The media type of a structured CloudEvent, and the only header a message carries.
STRUCTURED: Final = (("content-type", b"application/cloudevents+json"),)

#: How long a held decision waits for a person unless it is said: over a night and a morning.
HOLD_FOR: Final = timedelta(days=1)


def decision_record(
    agent: Agent,
    history: History,
    verdict: Verdict,
    *,
    origin: Origin,
    entity_id: str,
    decided_at: datetime,
    hold_for: timedelta = HOLD_FOR,
    recorded_id: uuid.UUID | None = None,
) -> DecisionRecord:
    """Everything the writer needs. Deciding the same event again gives the same ids.

    `hold_for` is how long a verdict that asks for a person waits for one. `recorded_id` is the id of the decision that
    is decided again, from which the ids of its messages were derived; None: the one it would get today.

    Raises `InvalidEvent` or `DecisionFailed` when an emitted event cannot be written.
    """
    event = history.event
    decision = verdict.decision
    decision_key = recorded_id or decision_id(agent.name, event.source, event.id)
    otherwise = _messages(agent, event, decision_key, decision.otherwise, prefix="otherwise/")
    return DecisionRecord(
        agent=agent.name,
        event_id=event.id,
        event_source=event.source,
        event_type=event.type,
        event_at=event.time,
        entity=agent.entity.name,
        entity_id=entity_id,
        origin=origin,
        history={"offsets": [entry.offset for entry in history.entries], "sha256": history.digest()},
        brain=verdict.brain,
        model=verdict.model,
        outcome=decision.outcome,
        reason=decision.reason,
        confidence=decision.confidence,
        fallback_reason=verdict.fallback_reason,
        status="held" if verdict.hold else "committed",
        decided_at=decided_at,
        messages=_messages(agent, event, decision_key, decision.events),
        effects=tuple(decision.effects),
        hold=None if verdict.hold is None else Hold(reason=verdict.hold, expires_in=hold_for, otherwise=otherwise),
        otherwise=() if verdict.hold else otherwise,
        correlation_id=_correlation_id(event),
        chain_depth=chain_depth(event),
    )


def _messages(
    agent: Agent, cause: Event, decision: uuid.UUID, emitted: Sequence[DomainEvent], prefix: str = ""
) -> tuple[Message, ...]:
    return tuple(
        _message(agent, cause, data, str(uuid.uuid5(decision, f"{prefix}{position}")))
        for position, data in enumerate(emitted)
    )


def _message(agent: Agent, cause: Event, data: DomainEvent, message_id: str) -> Message:
    try:
        return _written(agent, cause, data, message_id)
    except InvalidEvent:
        raise
    except Exception as error:
        # How it is written may be a domain's own.
        name = type(data).__name__
        raise DecisionFailed(f"agent {agent.name}: {name} cannot be written: {type(error).__name__}") from error


def _written(agent: Agent, cause: Event, data: DomainEvent, message_id: str) -> Message:
    key = data.kafka_key
    event = Event(
        id=message_id,
        source=f"urn:innervate:agent:{agent.name}",
        type=type(data).__name__,
        # The time of its cause, as in Kafka Streams: deciding again, be it years later, gives the same bytes, and the
        # windows of a backlog see the same ages. When it was decided is in the decision.
        time=cause.time,
        data=data.written(),
        subject=key or None,
        correlationid=_correlation_id(cause),
        causationid=cause.id,
        traceparent=cause.traceparent,
        extensions={CHAIN_DEPTH: min(chain_depth(cause) + 1, MAX_CHAIN_DEPTH)},
    )
    return Message(id=message_id, topic=data.topic, key=key.encode(), value=to_json(event), headers=STRUCTURED)


def _correlation_id(event: Event) -> str:
    """The correlation of the event; one that says none begins its own."""
    return event.correlationid or event.id
