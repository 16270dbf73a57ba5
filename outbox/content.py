"""Content of a held decision: what an approval publishes and does, and what is published without one, as one text.

The text is canonical JSON (sorted keys, no blanks): the same decision gives the same text and hash. Bytes of messages
are in it as they are sent, so what was answered is what is published, to the byte.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from outbox.errors import StatementRejected
from outbox.parameters import headers_from, stored_headers
from outbox.records import DecisionRecord, Effect, KnownEffects, Message

#: Names an effect among its fields.
_KIND: Final = "kind"


@dataclass(frozen=True, slots=True)
class Content:
    """What follows from an approval, each in this order."""

    #: To publish.
    messages: Sequence[Message]
    #: State changes to make.
    effects: Sequence[Effect]


def content_of(record: DecisionRecord) -> str:
    """The content of a held decision. Raises `StatementRejected` when it cannot be kept: nobody could approve it."""
    assert record.hold is not None, "a held decision says why"
    try:
        content = {
            "messages": [_kept_message(message) for message in record.messages],
            "effects": [_told(effect) if record.is_refused else _kept_effect(effect) for effect in record.effects],
            "otherwise": [_kept_message(message) for message in record.hold.otherwise],
        }
        return orjson.dumps(content, option=orjson.OPT_SORT_KEYS).decode()
    except Exception as error:
        # An effect is a domain's own: whatever it raises, nobody could approve this decision.
        raise StatementRejected(f"the decision cannot be held: {type(error).__name__}: {error}") from error


def content_from(text: str, known: KnownEffects) -> Content:
    """What an approval publishes and does. Raises `StatementRejected` when it is not of this version's making.

    `known` are the effects of the loaded domains.
    """
    try:
        content = orjson.loads(text)
        return Content(
            messages=tuple(_message(kept) for kept in content["messages"]),
            effects=tuple(_effect(kept, known) for kept in content["effects"]),
        )
    except Exception as error:
        # To restore an effect is its domain's own.
        raise StatementRejected(f"what is held cannot be read: {error!r}") from error


def otherwise_from(text: str) -> Sequence[Message]:
    """What is published without an approval; its effects need not be known any more. Raises like `content_from`."""
    try:
        return tuple(_message(kept) for kept in orjson.loads(text)["otherwise"])
    except (KeyError, TypeError, ValueError) as error:
        raise StatementRejected(f"what is held cannot be read: {error!r}") from error


def readable(text: str, known: KnownEffects) -> Mapping[str, Any]:
    """A content for a person: values of messages as the JSON they are, headers as text, effects as they show it."""
    content: dict[str, Any] = orjson.loads(text)
    content["effects"] = [_shown(kept, known) for kept in content["effects"]]
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
    kept = orjson.dumps(effect.kept())
    if effect.restored(orjson.loads(kept)) != effect:
        raise ValueError(f"effect {effect.kind} is another one when it is restored from what was kept")
    return {_KIND: effect.kind, **orjson.loads(kept)}


def _told(effect: Effect) -> Mapping[str, Any]:
    """An effect that was refused, as far as it can be kept: it is never made again."""
    try:
        return _kept_effect(effect)
    except Exception:  # noqa: BLE001 - keeping is the domain's own
        return {_KIND: effect.kind}


def _effect(kept: Mapping[str, Any], known: KnownEffects) -> Effect:
    fields = dict(kept)
    kind = fields.pop(_KIND)
    if kind not in known:
        raise ValueError(f"no loaded domain has an effect called {kind}")
    return known[kind].restored(fields)


def _shown(kept: Mapping[str, Any], known: KnownEffects) -> Mapping[str, Any]:
    """As it was kept where its domain cannot show it: what is looked at need not be done."""
    try:
        shown: Mapping[str, Any] = orjson.loads(orjson.dumps({_KIND: kept[_KIND], **_effect(kept, known).shown()}))
    except Exception:  # noqa: BLE001 - restoring and showing are the domain's own
        return kept
    return shown
