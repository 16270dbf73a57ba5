"""Content of a held decision: what an approval publishes and does, and what is published without one, as one text.

The text is canonical JSON (sorted keys, no blanks): the same decision gives the same text and hash. Bytes of messages
are in it as they are sent, so what was answered is what is published, to the byte.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from outbox.errors import StatementRejected
from outbox.parameters import headers_from, stored_headers
from outbox.records import DecisionRecord, Effect, Message
from outbox.refunds import LedgerEntry, RefundRecord

_REFUND: Final = "refund"


@dataclass(frozen=True, slots=True)
class Content:
    """What follows from an answer, each in this order."""

    #: To publish when it is approved.
    messages: Sequence[Message]
    #: State changes to make when it is approved.
    effects: Sequence[Effect]
    #: To publish when it is rejected or expires.
    otherwise: Sequence[Message]


def content_of(record: DecisionRecord) -> str:
    """The content of a held decision. Raises `StatementRejected` when it cannot be kept: nobody could approve it."""
    assert record.hold is not None, "a held decision says why"
    try:
        content = {
            "messages": [_kept_message(message) for message in record.messages],
            "effects": [_kept_effect(effect) for effect in record.effects],
            "otherwise": [_kept_message(message) for message in record.hold.otherwise],
        }
        return orjson.dumps(content, option=orjson.OPT_SORT_KEYS).decode()
    except (TypeError, ValueError) as error:
        raise StatementRejected(f"the decision cannot be held: {error}") from error


def content_from(text: str) -> Content:
    """What `content_of` made a text of. Raises `StatementRejected` when it is not of this version's making."""
    try:
        content = orjson.loads(text)
        return Content(
            messages=tuple(_message(kept) for kept in content["messages"]),
            effects=tuple(_effect(kept) for kept in content["effects"]),
            otherwise=tuple(_message(kept) for kept in content["otherwise"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise StatementRejected(f"what is held cannot be read: {error!r}") from error


def readable(text: str) -> Mapping[str, Any]:
    """A content for a person: values of messages as the JSON they are, headers as text."""
    content: dict[str, Any] = orjson.loads(text)
    return content | {name: [_readable_message(kept) for kept in content[name]] for name in ("messages", "otherwise")}


def sha256_of(text: str) -> str:
    """What an answer is bound to, in lower-case hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def _kept_message(message: Message) -> Mapping[str, Any]:
    return {
        "id": message.id,
        "topic": message.topic,
        "key": message.key.decode(),
        # A text within the text: as JSON of its own it could be written in another way.
        "value": None if message.value is None else message.value.decode(),
        "headers": stored_headers(message.headers),
    }


def _message(kept: Mapping[str, Any]) -> Message:
    value = kept["value"]
    return Message(
        id=kept["id"],
        topic=kept["topic"],
        key=kept["key"].encode(),
        value=None if value is None else value.encode(),
        headers=tuple(headers_from(kept["headers"])),
    )


def _readable_message(kept: Mapping[str, Any]) -> Mapping[str, Any]:
    headers = [[name, value.decode(errors="backslashreplace")] for name, value in headers_from(kept["headers"])]
    try:
        value = None if kept["value"] is None else orjson.loads(kept["value"])
    except orjson.JSONDecodeError:
        value = kept["value"]
    return {**kept, "value": value, "headers": headers}


def _kept_effect(effect: Effect) -> Mapping[str, Any]:
    if not isinstance(effect, RefundRecord):
        raise TypeError(f"no way to keep {type(effect).__name__}")
    return {"kind": _REFUND, **dataclasses.asdict(effect)}


def _effect(kept: Mapping[str, Any]) -> Effect:
    fields = dict(kept)
    if (kind := fields.pop("kind")) != _REFUND:
        raise ValueError(f"no effect is called {kind}")
    entries = tuple(LedgerEntry(**entry) for entry in fields.pop("entries"))
    return RefundRecord(**fields, entries=entries)
