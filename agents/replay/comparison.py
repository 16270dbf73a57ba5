"""Comparison: what was recorded beside what a replay came to, decision by decision. Pure.

Two decisions are the same when their outcome, reason, confidence and messages are; where messages are no longer kept,
their ids. Messages are compared as the JSON
they are: PostgreSQL keeps neither the order of keys nor the spelling of numbers. Who decided (brain, model) and what
became of a held decision is told beside it, not compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson

from agents.replay.records import Published, RecordedDecision
from outbox.records import DecisionRecord, Message
from tables.event import CHAIN_DEPTH, Event


class Kind(StrEnum):
    """What became of a decision."""

    SAME = "same"
    #: Another outcome, reason, confidence, or other messages.
    CHANGED = "changed"
    #: Recorded, but the replay came to no decision on this event.
    MISSING = "missing"
    #: Nothing is recorded, but the replay decided.
    NEW = "new"


class HistoryKind(StrEnum):
    """Whether the replay knew what the agent knew."""

    SAME = "same"
    DIFFERS = "differs"
    #: It differs, and Kafka no longer has some of the events known then.
    DROPPED = "dropped"


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """One decision, as recorded and as replayed."""

    kind: Kind
    agent: str
    #: None when it is not known.
    event_source: str | None = None
    event_id: str
    #: None when the event cannot be read, or is not in the log.
    event_type: str | None
    entity_id: str | None
    topic: str
    partition: int
    offset: int
    recorded: RecordedDecision | None = None
    decided: DecisionRecord | None = None
    #: None when one of the two is missing.
    history: HistoryKind | None = None
    #: Why the replay came to no decision, in one line.
    problem: str | None = None


def kind_of(recorded: RecordedDecision | None, decided: DecisionRecord) -> Kind:
    """Compare a decision of the replay with what is recorded about the same event."""
    if recorded is None:
        return Kind.NEW
    return Kind.CHANGED if differing(recorded, decided) else Kind.SAME


def differing(recorded: RecordedDecision, decided: DecisionRecord) -> Sequence[str]:
    """Names what differs: `outcome`, `reason`, `confidence`, `messages`."""
    names = [name for name in ("outcome", "reason", "confidence") if getattr(recorded, name) != getattr(decided, name)]
    same = _same_messages if recorded.contents_kept else _same_ids
    if not same(recorded.messages, decided.messages):
        names.append("messages")
    return names


def history_kind(recorded: RecordedDecision, decided: DecisionRecord, *, first_offset: int) -> HistoryKind:
    """Compare what was known. `first_offset` is the first of the partition that was still there."""
    if recorded.history_sha256 == decided.history["sha256"]:
        return HistoryKind.SAME
    if any(offset < first_offset for offset in recorded.history_offsets):
        return HistoryKind.DROPPED
    return HistoryKind.DIFFERS


def missing(
    recorded: RecordedDecision, problem: str, event: Event | None = None, entity_id: str | None = None
) -> Comparison:
    """A recorded decision that the replay did not come to; `problem` says why, in one line."""
    return Comparison(
        kind=Kind.MISSING,
        agent=recorded.agent,
        event_source=recorded.event_source,
        event_id=recorded.event_id,
        event_type=event.type if event else None,
        entity_id=entity_id,
        topic=recorded.topic,
        partition=recorded.partition,
        offset=recorded.offset,
        recorded=recorded,
        problem=problem,
    )


def same_message(one: Published | Message, other: Published | Message) -> bool:
    """Whether id, topic, key and value are the same."""
    envelope = (one.id, one.topic, one.key) == (other.id, other.topic, other.key)
    return envelope and _same_value(one.value, other.value)


def _same_messages(recorded: Sequence[Published], decided: Sequence[Message]) -> bool:
    return len(recorded) == len(decided) and all(map(same_message, recorded, decided))


def _same_ids(recorded: Sequence[Published], decided: Sequence[Message]) -> bool:
    """What can be said when nothing else of the messages is kept."""
    return [each.id for each in recorded] == [each.id for each in decided]


def _same_value(one: bytes | None, other: bytes | None) -> bool:
    if one is None or other is None or one == other:
        return one == other
    return _same_json(*_saying_the_same(orjson.loads(one), orjson.loads(other)))


def _saying_the_same(one: Any, other: Any) -> tuple[Any, Any]:
    """Without how deep the chain is where only one of them says it: a version of before did not."""
    if isinstance(one, dict) and isinstance(other, dict) and (CHAIN_DEPTH in one) != (CHAIN_DEPTH in other):
        one, other = ({name: each[name] for name in each if name != CHAIN_DEPTH} for each in (one, other))
    return one, other


def _same_json(one: object, other: object) -> bool:
    """Equal, but `true` is not 1; 1.0 is, PostgreSQL makes one of the other."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same_json(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same_json, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and one == other
