"""What a replay reads: records of timelines, and decisions as they were recorded. Plain values, from anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from outbox.journal import StoredReply


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

    agent: str
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
