"""Slices: a piece of the log and what was decided on it, in one file, to replay without Kafka and PostgreSQL.

JSON lines: a header with the version of the format, then records of timelines as they were, byte for byte, then the
recorded decisions with the replies of models, and where an event became a dead letter of an agent. The whole file is
held in memory; it is meant for incidents, not for archives. Reading fails with
`SliceUnreadable`: no such file, another version, or a line that is none of ours; the message says which line.
"""

from __future__ import annotations

import base64
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import orjson

from agents.replay.records import Published, RecordedDecision, TimelineRecord
from agents.replay.sources import MemoryDecisions, MemoryTimeline
from outbox.journal import StoredReply
from tables.errors import Fatal
from tables.event import source_of

#: Changes when older readers would misread a newer file.
VERSION: Final = 2
#: Without the sources of events and the ids of decisions.
_SOURCELESS: Final = 1


class SliceUnreadable(Fatal):
    """A file is no slice that this version can read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SliceHeader:
    """What a slice says about itself."""

    #: Names of the agents whose decisions are in it.
    agents: Sequence[str]
    #: Type and id of the only entity in it; None when it holds all of them.
    entity: tuple[str, str] | None = None
    #: The first time (of a record in Kafka) whose decisions are meant; None from the first record on. What happened
    #: before is in it all the same, so that windows are right.
    since: datetime | None = None
    #: Records from this time on are left out; None when none are.
    until: datetime | None = None
    #: Fields of `data` whose values were replaced.
    redacted: Sequence[str] = ()
    #: `WINDOW_EVENTS` of the workers that decided.
    window_events: int | None = None
    #: `LLM_REDACT` of the workers that decided.
    llm_redact: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Slice:
    """A piece of the log, and the decisions on it."""

    header: SliceHeader
    #: By topic, partition and offset.
    records: Sequence[TimelineRecord]
    #: By topic, partition, offset and agent.
    decisions: Sequence[RecordedDecision]
    #: Agent, topic, partition and offset of what became a dead letter in place of a decision.
    dead: Sequence[tuple[str, str, int, int]] = ()

    @property
    def topics(self) -> Sequence[str]:
        """The timelines in it."""
        return sorted({record.topic for record in self.records})

    def timeline(self, topic: str) -> MemoryTimeline:
        """A source of one timeline's records."""
        return MemoryTimeline([record for record in self.records if record.topic == topic])

    def recorded(self) -> MemoryDecisions:
        """A source of the decisions."""
        return MemoryDecisions(self.decisions, self.dead)


def dump(cut: Slice, path: Path) -> None:
    """Write a slice; the file is there as a whole or as it was before. Raises OSError."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with unfinished.open("wb") as file:
            file.writelines(_lines(cut))
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def load(path: Path) -> Slice:
    """Read a slice. Raises `SliceUnreadable`."""
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise SliceUnreadable(f"{path}: {error.strerror}") from error
    header: SliceHeader | None = None
    records: list[TimelineRecord] = []
    decisions: list[RecordedDecision] = []
    dead: list[tuple[str, str, int, int]] = []
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            [(kind, content)] = orjson.loads(text).items()
            if header is None:
                header = _header(kind, content)
            elif kind == "record":
                records.append(_record(content))
            elif kind == "dead":
                dead.append((content["agent"], content["topic"], content["partition"], content["offset"]))
            else:
                decisions.append(_decision(_only("decision", kind, content)))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise SliceUnreadable(f"{path}, line {number}: {_problem(error)}") from error
    if header is None:
        raise SliceUnreadable(f"{path}: there is nothing in it")
    sources = {(each.topic, each.partition, each.offset): source_of(each.value or b"") for each in records}
    decisions = [
        each
        if each.event_source
        else replace(each, event_source=sources.get((each.topic, each.partition, each.offset)))
        for each in decisions
    ]
    return Slice(
        header=header,
        records=sorted(records, key=lambda each: (each.topic, each.partition, each.offset)),
        decisions=sorted(decisions, key=lambda each: (each.topic, each.partition, each.offset, each.agent)),
        dead=dead,
    )


def _lines(cut: Slice) -> Iterator[bytes]:
    yield _line("slice", {"version": VERSION, **asdict(cut.header)})
    for record in cut.records:
        yield _line("record", _kept_record(record))
    for decision in cut.decisions:
        messages = [{**asdict(m), "key": _kept(m.key), "value": _kept(m.value)} for m in decision.messages]
        # Said only where it is so: releases of before do not know it.
        left_out = {"code", "contents_kept"} if decision.contents_kept else {"code"}
        kept = {name: value for name, value in asdict(decision).items() if name not in left_out}
        yield _line("decision", {**kept, "messages": messages})
    for agent, topic, partition, offset in cut.dead:
        yield _line("dead", {"agent": agent, "topic": topic, "partition": partition, "offset": offset})


def _line(kind: str, content: Mapping[str, Any]) -> bytes:
    return orjson.dumps({kind: content}, option=orjson.OPT_APPEND_NEWLINE)


def _kept_record(record: TimelineRecord) -> Mapping[str, Any]:
    return {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "at": record.at,
        "key": _kept(record.key),
        "value": _kept(record.value),
        "headers": [[name, _kept(value)] for name, value in record.headers],
    }


def _kept(content: bytes | None) -> str | Mapping[str, str] | None:
    """Bytes as the text they are, so that a person can read a slice and a review shows what changed in it."""
    if content is None:
        return None
    try:
        return content.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content).decode()}


def _content(kept: str | Mapping[str, str] | None) -> bytes | None:
    if kept is None:
        return None
    return kept.encode() if isinstance(kept, str) else base64.b64decode(kept["base64"], validate=True)


def _bytes(kept: str | Mapping[str, str] | None) -> bytes:
    content = _content(kept)
    if content is None:
        raise ValueError("a key or a header is missing")
    return content


def _only(wanted: str, kind: str, content: dict[str, Any]) -> dict[str, Any]:
    if kind != wanted:
        raise ValueError(f"expected a {wanted}, got {ascii(kind)[:40]}")
    return content


def _header(kind: str, content: dict[str, Any]) -> SliceHeader:
    fields = dict(_only("slice", kind, content))
    if (version := fields.pop("version")) not in {VERSION, _SOURCELESS}:
        raise ValueError(f"written in version {version} of the format, this reads versions up to {VERSION}")
    entity = fields["entity"]
    return SliceHeader(
        **fields
        | {"entity": entity and (str(entity[0]), str(entity[1]))}
        | {name: _instant(fields[name]) for name in ("since", "until")}
        | {name: tuple(fields[name]) for name in ("agents", "redacted", "llm_redact")}
    )


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _record(content: dict[str, Any]) -> TimelineRecord:
    return TimelineRecord(
        **content
        | {
            "at": datetime.fromisoformat(content["at"]),
            "key": _content(content["key"]),
            "value": _content(content["value"]),
            "headers": tuple((name, _bytes(value)) for name, value in content["headers"]),
        }
    )


def _decision(content: dict[str, Any]) -> RecordedDecision:
    return RecordedDecision(
        **content
        | {
            "id": uuid.UUID(content["id"]) if content.get("id") else None,
            "history_offsets": tuple(content["history_offsets"]),
            "messages": tuple(
                Published(**kept | {"key": _bytes(kept["key"]), "value": _content(kept["value"])})
                for kept in content["messages"]
            ),
            "replies": tuple(StoredReply(**reply) for reply in content["replies"]),
        }
    )


def _problem(error: Exception) -> str:
    return f"lacks {error}" if isinstance(error, KeyError) else str(error)
