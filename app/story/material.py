"""Material: what a story is made of, as it was found: records, decisions, what PostgreSQL has about them. Values."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from agents.model.entity import Entity
from agents.model.history import agent_source
from agents.replay.records import TimelineRecord
from app.reads.shapes import NotKept
from app.story.model import Belonging, DecidedBy, SourceState
from tables.event import read_time

#: Source and id of an event.
EventKey = tuple[str, str]
#: Kind and id of an entity.
Who = tuple[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """An event as it was read, or as a decision keeps it; nothing but source and id is certain to be there."""

    key: EventKey
    type: str
    happened_at: datetime | None
    subject: str | None
    correlation_id: str | None
    causation_id: str | None
    data: Mapping[str, Any] | None
    bytes: int
    sha256: str

    def entities(self, known: Mapping[str, Entity]) -> Sequence[Who]:
        """Whom its data names."""
        named = [(name, (self.data or {}).get(entity.field)) for name, entity in known.items()]
        return [(name, entity_id) for name, entity_id in named if isinstance(entity_id, str) and entity_id]


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptMessage:
    """A message as its decision keeps it."""

    id: str
    topic: str
    key: str
    #: None where it is no event.
    event: Told | None
    is_otherwise: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptDecision:
    """A row of `decisions`."""

    id: str
    agent: str
    event_source: str
    event_id: str
    event_type: str
    event_at: datetime
    entity: str
    entity_id: str
    topic: str
    partition: int
    offset: int
    history_offsets: Sequence[int]
    history_sha256: str
    brain: str
    model: str | None
    outcome: str
    reason: str
    confidence: float
    fallback_reason: str | None
    status: Any
    decided_at: datetime
    committed_at: datetime
    correlation_id: str | None
    chain_depth: int | None
    messages: Sequence[KeptMessage]
    #: What its agent decided by; None where its worker did not say.
    code: DecidedBy | None = None
    #: Since when its messages are no longer kept; None while they are.
    not_kept: NotKept | None = None

    @property
    def event(self) -> EventKey:
        """The event decided on."""
        return self.event_source, self.event_id

    @property
    def source(self) -> str:
        """Of the events it published."""
        return agent_source(self.agent)


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptApproval:
    """A row of `approvals`, its content readable."""

    decision_id: str
    reason: str
    content_sha256: str
    asked_at: datetime
    expires_at: datetime
    answer: Any
    answered_by: str | None
    answered_at: datetime | None
    effects: Sequence[Mapping[str, Any]]
    otherwise: Sequence[KeptMessage]


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptExpectation:
    """A row of `expectations`."""

    decision_id: str
    name: str
    due_at: datetime
    state: Any
    missed_at: datetime | None
    ended_at: datetime | None
    ended_by: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptCall:
    """A row of `llm_calls`."""

    agent: str
    event_source: str | None
    event_id: str
    attempt: int
    model: str
    prompt_sha256: str
    prompt: str
    reply: str | None
    is_cut: bool
    prompt_tokens: int | None
    completion_tokens: int | None
    latency_ms: int
    error: str | None
    called_at: datetime
    #: Since when prompt and reply are no longer kept; None while they are.
    not_kept: NotKept | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptLetter:
    """A row of `dead_letters`, without its bytes."""

    id: str
    consumer: str
    reason: str
    detail: str
    topic: str
    partition: int
    offset: int
    died_at: datetime
    redriven_at: datetime | None
    redriven_by: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Waiting:
    """A message that is in the outbox, or buried."""

    message_id: str
    #: Since when.
    at: datetime
    #: Why Kafka refused it; None while it waits.
    reason: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A row of a domain's table that a decision wrote."""

    decision_id: str
    table: str
    row: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A partition of a timeline, as far as it was read."""

    topic: str
    partition: int
    #: The first offset Kafka still has.
    first: int
    #: What was read: from and before which offset.
    read: Sequence[tuple[int, int]]

    def has_read(self, offset: int) -> bool:
        """Whether a record at this offset would have been met."""
        return any(start <= offset < end for start, end in self.read)


@dataclass(frozen=True, kw_only=True)
class Material:
    """Everything a story is made of."""

    entity: str
    entity_id: str
    #: Records of events, of the entity and around it.
    records: Sequence[tuple[TimelineRecord, Told]]
    decisions: Sequence[KeptDecision]
    belongs: Mapping[EventKey, Belonging]
    approvals: Sequence[KeptApproval] = ()
    expectations: Sequence[KeptExpectation] = ()
    calls: Sequence[KeptCall] = ()
    rows: Sequence[Row] = ()
    letters: Sequence[KeptLetter] = ()
    #: By the ids of messages.
    pending: Mapping[str, Waiting] = field(default_factory=dict)
    buried: Mapping[str, Waiting] = field(default_factory=dict)
    #: Lanes of the outbox that hold more than was looked through.
    full_lanes: frozenset[int] = frozenset()
    parts: Sequence[Part] = ()
    sources: Sequence[SourceState] = ()
    left_out: Sequence[str] = ()
    next: int | None = None
    told_at: datetime


def told(value: bytes | None) -> Told | None:
    """An event that was written as structured JSON; None for what is none."""
    try:
        document = orjson.loads(value or b"")
    except orjson.JSONDecodeError:
        return None
    return _told(document, value or b"") if isinstance(document, dict) else None


def kept(document: Any) -> Told | None:
    """An event as a decision keeps it: PostgreSQL has its fields in an order of its own."""
    return _told(document, orjson.dumps(document)) if isinstance(document, dict) else None


def _told(document: Mapping[str, Any], value: bytes) -> Told | None:
    source, event_id = document.get("source"), document.get("id")
    if not isinstance(source, str) or not isinstance(event_id, str):
        return None
    data = document.get("data")
    return Told(
        key=(source, event_id),
        type=_text(document.get("type")) or "?",
        happened_at=read_time(document.get("time")),
        subject=_text(document.get("subject")),
        correlation_id=_text(document.get("correlationid")),
        causation_id=_text(document.get("causationid")),
        data=data if isinstance(data, dict) else None,
        bytes=len(value),
        sha256=hashlib.sha256(value).hexdigest(),
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def places_of(record: TimelineRecord) -> Sequence[tuple[str, int, int]]:
    """Where the event stands (topic, partition, offset): in the timeline, and where the router read it."""
    places = [(record.topic, record.partition, record.offset)]
    for name, value in record.headers:
        topic, _, rest = value.decode(errors="replace").partition("/")
        partition, _, offset = rest.partition("/")
        if name == "innervate_origin" and _is_number(partition) and _is_number(offset):
            places.append((topic, int(partition), int(offset)))
    return places


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 19
