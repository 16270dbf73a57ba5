"""Records as parameters of the named statements, so that a batch is one statement.

Decisions and their messages are each one JSON text, whose columns and types the statement names: a third of what arrays
of literals cost a worker. What may be any bytes (dead letters, what is put back) goes as one array per column.
"""

from __future__ import annotations

import base64
import itertools
import operator
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

import orjson
import psycopg2

from outbox.chains import MOST_MESSAGES
from outbox.records import DeadLetter, DecisionRecord, Message, lane_of
from outbox.truncation import DETAIL_CHARACTERS, keep

#: The topic of dead letters, part of the public surface.
DEAD_LETTERS: Final = "dead-letters"

#: Names the locks of the lanes among PostgreSQL's two-part advisory locks; an arbitrary number.
LANE_LOCK: Final = 729_465


#: Begins the names by which the ids of expectations, and of the events that tell of them, follow from their decisions.
EXPECTATION: Final = "expectation"


class JsonLiteral:
    """A value as JSON in dollar quotes: JSON within JSON is full of backslashes, and other quotes double each."""

    def __init__(self, value: Any) -> None:
        #: As it stands between the quotes.
        self.text = orjson.dumps(value)

    def __conform__(self, _protocol: object) -> JsonLiteral:
        return self

    def getquoted(self) -> bytes:
        """The literal."""
        numbers = itertools.count()
        tag = next(tag for tag in (b"$json%d$" % number for number in numbers) if tag not in self.text)
        return tag + self.text + tag


def lock_parameters(lanes: Collection[int]) -> Mapping[str, Any]:
    """Parameters of `lock_lanes`."""
    return {"lane_lock": LANE_LOCK, "lanes": sorted(lanes)}


def decision_parameters(
    records: Sequence[DecisionRecord],
    *,
    most_messages: int = MOST_MESSAGES,
    codes: Mapping[str, int] = MappingProxyType({}),
) -> Mapping[str, Any]:
    """Parameters of `record_decisions`; messages keep the order of the decisions and their own.

    `most_messages` is the limit of each correlation (`outbox.chains`). `codes` are the ids of what decides, by agent
    (`outbox.codes`).
    """
    return {
        "decisions": JsonLiteral([_row(record, codes) for record in records]),
        "messages": JsonLiteral([_message_row(record, message) for record in records for message in record.published]),
        "most_messages": most_messages,
    }


def _row(record: DecisionRecord, codes: Mapping[str, int]) -> Mapping[str, Any]:
    """The columns of a decision, by the names that `record_decisions` gives them."""
    return {
        "id": str(record.id),
        "agent": record.agent,
        "event_id": record.event_id,
        "event_source": record.event_source,
        "event_type": record.event_type,
        "event_at": record.event_at,
        "entity": record.entity,
        "entity_id": record.entity_id,
        "topic": record.origin.topic,
        "partition": record.origin.partition,
        "offset": record.origin.offset,
        "history": _json(stored_history(record.history)),
        "brain": record.brain,
        "model": record.model,
        "outcome": record.outcome,
        "reason": record.reason,
        "confidence": record.confidence,
        "fallback_reason": record.fallback_reason,
        "messages": _json([_kept(message) for message in record.messages]),
        "status": record.status,
        "decided_at": record.decided_at,
        "correlation_id": record.correlation_id or record.event_id,
        "chain_depth": record.chain_depth,
        "message_count": _counted(record),
        "code_id": codes.get(record.agent),
    }


def expected_rows(record: DecisionRecord) -> Sequence[Mapping[str, Any]]:
    """What has to follow a decision, by the names of the columns in `expect`."""
    return [
        {
            "id": str(uuid.uuid5(record.id, f"{EXPECTATION}/{one.name}")),
            "decision_id": str(record.id),
            "name": one.name,
            "agent": record.agent,
            "entity": record.entity,
            "entity_id": record.entity_id,
            "event_source": record.event_source,
            "event_id": record.event_id,
            "event_at": record.event_at,
            "partition": record.origin.partition,
            "due_at": one.due_at,
        }
        for one in record.expected
    ]


def _message_row(record: DecisionRecord, message: Message) -> Mapping[str, Any]:
    """The columns of a message, by the names that `record_decisions` gives them."""
    return {
        "decision_id": str(record.id),
        "lane": message.lane,
        "message_id": message.id,
        "topic": message.topic,
        "key": message.key.decode(),
        "value": None if message.value is None else message.value.decode(),
        "headers": _headers(message.headers),
    }


def stored_history(history: Mapping[str, Any]) -> Mapping[str, Any]:
    """A history as it is stored: its offsets as the first one and the steps from each to the next, in one text.

    PostgreSQL's JSON takes some fourteen bytes for each number of a list; `plain_history` there gives the list again.
    """
    offsets = history.get("offsets")
    if not isinstance(offsets, (list, tuple)):
        return history
    steps = map(operator.sub, offsets, [0, *offsets])
    return {name: value for name, value in history.items() if name != "offsets"} | {"steps": " ".join(map(str, steps))}


def message_parameters(messages: Sequence[Message]) -> Mapping[str, Any]:
    """Parameters of whatever puts messages into the outbox."""
    return {
        "message_lanes": [m.lane for m in messages],
        "message_ids": [m.id for m in messages],
        "message_topics": [m.topic for m in messages],
        "message_keys": [psycopg2.Binary(m.key) for m in messages],
        "message_values": [_binary(m.value) for m in messages],
        "message_headers": [_headers(m.headers) for m in messages],
    }


def dead_letter_parameters(letter: DeadLetter) -> Mapping[str, Any]:
    """Parameters of `record_dead_letter`: the row, and what is kept as a message with its reason in headers."""
    origin = letter.origin
    kept = keep(letter)
    key = kept.key or b""
    detail = storable(letter.detail)[:DETAIL_CHARACTERS]
    provenance = {
        "reason": letter.reason,
        "detail": detail,
        "consumer": letter.consumer,
        "topic": origin.topic,
        "partition": str(origin.partition),
        "offset": str(origin.offset),
        "time": origin.at.isoformat().replace("+00:00", "Z"),
        **{f"{part}_bytes": str(truncated.bytes) for part, truncated in kept.truncated.items()},
        **{f"{part}_sha256": truncated.sha256 for part, truncated in kept.truncated.items()},
    }
    added = tuple((name, text.encode()) for name, text in provenance.items())
    return {
        "id": str(letter.id),
        "consumer": letter.consumer,
        "reason": letter.reason,
        "detail": detail,
        "topic": origin.topic,
        "partition": origin.partition,
        "offset": origin.offset,
        "recorded_at": origin.at,
        "key": _binary(kept.key),
        "value": _binary(kept.value),
        "headers": _headers(kept.headers),
        "truncated": _json({part: asdict(one) for part, one in kept.truncated.items()}) if kept.truncated else None,
        "is_published": letter.is_published,
        "lane": lane_of(DEAD_LETTERS, key),
        "message_id": str(letter.id),
        "message_topic": DEAD_LETTERS,
        "message_key": psycopg2.Binary(key),
        "message_headers": _headers((*kept.headers, *added)),
        **{f"told_{name}": values for name, values in message_parameters(letter.tells).items()},
    }


def headers_from(stored: Sequence[Sequence[str]]) -> list[tuple[str, bytes]]:
    """Kafka headers from their stored form (pairs of name and base64)."""
    return [(name, base64.b64decode(value)) for name, value in stored]


def stored_headers(headers: Sequence[tuple[str, bytes]]) -> Sequence[tuple[str, str]]:
    """Kafka headers in their stored form."""
    return [(storable(name), base64.b64encode(value).decode()) for name, value in headers]


def storable(text: str) -> str:
    """The text without what PostgreSQL takes in no text: NUL, and halves of surrogate pairs."""
    return text.replace("\0", "").encode("utf-8", "backslashreplace").decode()


@lru_cache(maxsize=64)
def _headers(headers: tuple[tuple[str, bytes], ...]) -> str:
    return _json(stored_headers(headers))


def _kept(message: Message) -> Mapping[str, Any]:
    return {
        "id": message.id,
        "topic": message.topic,
        "key": message.key.decode(),
        "value": orjson.Fragment(message.value) if message.value is not None else None,
    }


def _counted(record: DecisionRecord) -> int | None:
    """How many messages count for its correlation: those that answer an agent, and of which something comes."""
    is_counted = record.chain_depth and record.messages and record.status in {"committed", "held", "refused"}
    return len(record.messages) if is_counted else None


def _binary(value: bytes | None) -> Any:
    return None if value is None else psycopg2.Binary(value)


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
