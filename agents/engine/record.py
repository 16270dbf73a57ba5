"""From a verdict to the row and the messages that are written: the envelope of what agents emit.

The same event and history give the same messages, byte for byte, whenever they are decided.
"""

from __future__ import annotations

import hashlib
import logging
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from agents.model.agent import Agent
from agents.model.decision import Verdict
from agents.model.errors import DecisionFailed
from agents.model.event import DomainEvent
from agents.model.history import History, agent_source
from agents.model.refusal import Refusal
from agents.model.text import one_line
from outbox.parameters import EXPECTATION
from outbox.records import DecisionRecord, Expected, Hold, Message, Origin, decision_id
from tables.event import CHAIN_DEPTH, MAX_CHAIN_DEPTH, Event, InvalidEvent, chain_depth, to_json

log = logging.getLogger(__name__)

#: The media type of a structured CloudEvent, and the only header a message carries.
STRUCTURED: Final = (("content-type", b"application/cloudevents+json"),)

#: The failure of a decision whose effects were refused, or to which nobody agreed.
NOT_CARRIED_OUT: Final = "not_carried_out"
#: So much of why something was refused is told. Own choice: a person reads it.
_MOST_TOLD: Final = 500

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
    expecting: tuple[Expected, ...] = (),
) -> DecisionRecord:
    """Everything the writer needs. Deciding the same event again gives the same ids.

    `hold_for` is how long a verdict that asks for a person waits for one. `recorded_id` is the id of the decision that
    is decided again, from which the ids of its messages were derived; None: the one it would get today. What has
    effects or waits for a person, and says nothing for the case that it is not carried out, is escalated then.
    `expecting` is what has to follow the event.

    Raises `InvalidEvent` or `DecisionFailed` when an emitted event cannot be written.
    """
    event = history.event
    decision = verdict.decision
    decision_key = recorded_id or decision_id(agent.name, event.source, event.id)
    instead = decision.otherwise or _instead(agent, history, verdict, entity_id)
    otherwise = _messages(agent, event, decision_key, instead, prefix="otherwise/")
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
        expected=expecting,
        correlation_id=_correlation_id(event),
        chain_depth=chain_depth(event),
    )


def escalations(agent: Agent, history: History, entity_id: str, *, failure: str, why: str) -> tuple[Message, ...]:
    """What tells a person that nothing came of a decision, by the ids that telling it again has; it never fails.

    Nothing where no loaded domain escalates, and nothing about what is an escalation itself: it was heard.
    """
    told = _escalation(agent, history, entity_id, failure, why)
    decision_key = decision_id(agent.name, history.event.source, history.event.id)
    try:
        return _messages(agent, history.event, decision_key, told, prefix="escalation/")
    except Exception:
        # How it is written may be a domain's own; what it tells of is a dead letter already.
        log.exception(
            "no escalation can be written of the decision of %s on %s",
            agent.name,
            history.event.id,
            extra=log_fields(agent.name, history.event),
        )
        return ()


def missed_message(agent: Agent, begun_by: Event, told: DomainEvent, *, name: str, due_at: datetime) -> Message:
    """What tells of an expectation that was not met, by the id that telling it again has; it happened when it was due.

    Raises `InvalidEvent` or `DecisionFailed` when it cannot be written.
    """
    decision_key = decision_id(agent.name, begun_by.source, begun_by.id)
    return _message(agent, begun_by, told, message_id(decision_key.bytes, f"{EXPECTATION}/{name}"), at=due_at)


def log_fields(agent: str, event: Event) -> dict[str, str]:
    """What a log says of a decision besides its words, for whoever searches: ids, and nothing the event holds."""
    return {
        "agent": agent,
        "event_id": event.id,
        "event_source": event.source,
        "event_type": event.type,
        "decision_id": str(decision_id(agent, event.source, event.id)),
    }


def _instead(agent: Agent, history: History, verdict: Verdict, entity_id: str) -> Sequence[DomainEvent]:
    """What is published in place of a decision that its agent says nothing for."""
    decision = verdict.decision
    if not decision.effects and not (verdict.hold and decision.emit):
        return ()
    why = f"{decision.outcome} was not carried out, a person decides; {decision.reason}"
    return _escalation(agent, history, entity_id, NOT_CARRIED_OUT, why)


def _escalation(agent: Agent, history: History, entity_id: str, failure: str, why: str) -> Sequence[DomainEvent]:
    event = history.event
    reason = f"{agent.name} on {event.type} {event.id} of {agent.entity.name} {entity_id}: {why}"
    refusal = Refusal(
        failure=failure,
        reason=one_line(reason)[:_MOST_TOLD],
        event_id=event.id,
        entity=agent.entity.name,
        entity_id=entity_id,
        carried=history.types.carried(event.data),
    )
    told = history.types.escalation(refusal)
    return () if told is None or type(told).__name__ == event.type else (told,)


def _messages(
    agent: Agent, cause: Event, decision: uuid.UUID, emitted: Sequence[DomainEvent], prefix: str = ""
) -> tuple[Message, ...]:
    namespace = decision.bytes if emitted else b""
    return tuple(
        [
            _message(agent, cause, data, message_id(namespace, f"{prefix}{position}"))
            for position, data in enumerate(emitted)
        ]
    )


def message_id(namespace: bytes, name: str) -> str:
    """The UUIDv5 (RFC 9562, 5.5) of a name in a namespace, written out: `uuid.uuid5` in a quarter of the time."""
    digest = bytearray(hashlib.sha1(namespace + name.encode(), usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    text = digest.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _message(agent: Agent, cause: Event, data: DomainEvent, message_id: str, at: datetime | None = None) -> Message:
    try:
        return _written(agent, cause, data, message_id, at or cause.time)
    except InvalidEvent:
        raise
    except Exception as error:
        # How it is written may be a domain's own.
        name = type(data).__name__
        raise DecisionFailed(f"agent {agent.name}: {name} cannot be written: {type(error).__name__}") from error


def _written(agent: Agent, cause: Event, data: DomainEvent, message_id: str, at: datetime) -> Message:
    key = data.kafka_key
    event = Event(
        id=message_id,
        source=agent_source(agent.name),
        type=type(data).__name__,
        # The time of its cause, as in Kafka Streams: deciding again, be it years later, gives the same bytes, and the
        # windows of a backlog see the same ages. When it was decided is in the decision.
        time=at,
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
