"""What a replay reads: records of timelines, and decisions as they were recorded. Plain values, from anywhere."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from agents.replay.code import DecidingCode
from outbox.journal import StoredReply
from outbox.records import sourceless_decision_id
from tables.event import Event


@dataclass(frozen=True, kw_only=True, slots=True)
class TimelineRecord:
    """One record of a timeline, as Kafka has it."""

    topic: str
    partition: int
    offset: int
    #: The record's timestamp, UTC.
    at: datetime
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """A message as its decision kept it."""

    id: str
    topic: str
    key: bytes
    value: bytes | None


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordedDecision:
    """A row of `decisions`, and what a model said for it."""

    #: None in slices of before version 2.
    id: uuid.UUID | None = None
    agent: str
    #: None in slices of before version 2 where the event itself is not in them.
    event_source: str | None = None
    event_id: str
    topic: str
    partition: int
    offset: int
    status: str
    brain: str
    model: str | None
    fallback_reason: str | None
    outcome: str
    reason: str
    confidence: float
    #: Offsets of the events known, in `topic` and `partition`.
    history_offsets: Sequence[int]
    history_sha256: str
    messages: Sequence[Published]
    #: Replies of the journal about this agent and event.
    replies: Sequence[StoredReply] = ()
    #: By which code it was made; None where its worker did not say, and in slices.
    code: DecidingCode | None = None
    #: False: of its messages only the ids are still there.
    contents_kept: bool = True

    def is_about(self, event: Event) -> bool:
        """Whether this is a decision on the event."""
        return self.event_id == event.id and self.event_source in {None, event.source}

    @property
    def key(self) -> uuid.UUID:
        """What the ids of its messages were derived from."""
        return self.id or sourceless_decision_id(self.agent, self.event_id)
