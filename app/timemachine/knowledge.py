"""What an agent knew when it decided: its history, rebuilt from the timeline by the offsets in its decision.

Verified by the hash that was recorded with the decision: `same` is the history to the byte. Kafka drops old records;
then the offsets that are gone are named, and the rest is shown, unverified. `differs` means that other records are at
those offsets now, as after a topic was deleted and created again, or that somebody has changed the decision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from agents.model.history import digest_of
from agents.model.text import escaped
from agents.replay.comparison import HistoryKind
from agents.replay.records import RecordedDecision, TimelineRecord
from app.kafka.timelines import TimelineReader

#: Characters of an event's data in its line.
SUMMARY_CHARACTERS: Final = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class Knowledge:
    """A decision, the event it was made on, and what was known besides."""

    decision: RecordedDecision
    #: None when Kafka no longer has it.
    event: TimelineRecord | None
    #: What is left of the history, oldest first.
    history: Sequence[TimelineRecord]
    #: Offsets of the history that Kafka no longer has.
    dropped: Sequence[int]

    @property
    def kind(self) -> HistoryKind:
        """Whether this is the history that was recorded."""
        if self.dropped:
            return HistoryKind.DROPPED
        known = digest_of((record.offset, record.value or b"") for record in self.history)
        return HistoryKind.SAME if known == self.decision.history_sha256 else HistoryKind.DIFFERS

    @property
    def sentence(self) -> str:
        """The same for a person."""
        place = f"{self.decision.topic}[{self.decision.partition}]"
        if self.dropped:
            total = len(self.history) + len(self.dropped)
            return (
                f"INCOMPLETE: Kafka no longer has {len(self.dropped)} of the {total} events of this history:"
                f" {place}@{_ranges(self.dropped)}. It cannot be verified."
            )
        if self.kind is HistoryKind.DIFFERS:
            return f"DIFFERENT: {place} now holds other events at these offsets than the agent knew."
        return f"verified: {len(self.history)} events, equal to the recorded history (sha256 matches)"


async def knowledge_of(decision: RecordedDecision, reader: TimelineReader) -> Knowledge:
    """Rebuild the history. Raises aiokafka's `KafkaError`, or `TimelineUnreadable`."""
    wanted = [*decision.history_offsets, decision.offset]
    found = {record.offset: record for record in await reader.read_offsets(decision.partition, wanted)}
    return Knowledge(
        decision=decision,
        event=found.get(decision.offset),
        history=tuple(found[offset] for offset in decision.history_offsets if offset in found),
        dropped=tuple(offset for offset in decision.history_offsets if offset not in found),
    )


def as_json(knowledge: Knowledge) -> Mapping[str, Any]:
    """Everything, for programs."""
    decision = knowledge.decision
    return {
        "agent": decision.agent,
        "event_source": decision.event_source,
        "event_id": decision.event_id,
        "topic": decision.topic,
        "partition": decision.partition,
        "offset": decision.offset,
        "outcome": decision.outcome,
        "reason": decision.reason,
        "history_kind": knowledge.kind,
        "history_sha256": decision.history_sha256,
        "dropped_offsets": list(knowledge.dropped),
        "event": None if knowledge.event is None else event_json(knowledge.event),
        "history": [event_json(record) for record in knowledge.history],
    }


def event_json(record: TimelineRecord) -> Mapping[str, Any]:
    """A record of a timeline, for programs; `event` is a text where it is no JSON."""
    return {"offset": record.offset, "recorded_at": record.at, "event": _document(record)}


def identity(record: TimelineRecord) -> tuple[str | None, str | None]:
    """Id and source of the event; None where a record of a timeline is none."""
    document = _document(record)
    if not isinstance(document, dict):
        return None, None
    return document.get("id"), document.get("source")


def line(record: TimelineRecord) -> str:
    """A record of a timeline in one line that is safe on a terminal: offset, time, type, id, data."""
    document = _document(record)
    if not isinstance(document, dict):
        return f"@{record.offset:<8} {escaped(str(document))[:SUMMARY_CHARACTERS]}"
    time, kind, event = (escaped(str(document.get(name, "?"))) for name in ("time", "type", "id"))
    data = document.get("data")
    told = " ".join(f"{name}={_short(value)}" for name, value in data.items()) if isinstance(data, dict) else ""
    summary = escaped(told)
    if len(summary) > SUMMARY_CHARACTERS:
        summary = f"{summary[: SUMMARY_CHARACTERS - 1]}…"
    return f"@{record.offset:<8} {time:<27} {kind:<24} {event}  {summary}".rstrip()


def _document(record: TimelineRecord) -> Any:
    if record.value is None:
        return "no event: a tombstone"
    try:
        return orjson.loads(record.value)
    except orjson.JSONDecodeError:
        return record.value.decode(errors="backslashreplace")


def _short(value: object) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _ranges(offsets: Sequence[int]) -> str:
    """Offsets in order, neighbours as `3-5`."""
    ranges: list[list[int]] = []
    for offset in offsets:
        if ranges and offset == ranges[-1][-1] + 1:
            ranges[-1] = [ranges[-1][0], offset]
        else:
            ranges.append([offset])
    return ",".join("-".join(map(str, each)) for each in ranges)
