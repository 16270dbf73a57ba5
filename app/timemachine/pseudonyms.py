"""Pseudonyms: a slice without what some fields of its events say, so that it can be kept beside the code. Pure.

The values of these fields, at any depth of `data`, are replaced: texts by `[redacted 1]`, `[redacted 2]`, …, numbers by
1, 2, …; the same value by the same one in the whole slice, so rules that compare values decide as before. Truth values
and nulls stay. Texts of four characters or more are also replaced where keys, subjects, other fields, reasons or
replies of models quote them. Ids of events stay as they are: decisions are found by them. So do values that are quoted
in another spelling, or cut.

Hashes of histories are computed anew where they were right before; a wrong one stays wrong. A decision that depends on
a value itself (its length, its sum, an id derived from it) is decided differently on the redacted slice, and a replay
says so.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

import orjson

from agents.brains.redaction import Redaction
from agents.model.entity import Entity
from agents.model.history import digest_of
from agents.replay.records import Published, RecordedDecision, TimelineRecord
from app.timemachine.slices import Slice
from outbox.journal import StoredReply

#: Characters of a value that is looked for in other texts; a shorter one would be found everywhere.
SHORTEST: Final = 4
#: Attributes of an envelope that are left as they are; every other may quote a value.
_KEPT: Final = frozenset(
    {"specversion", "id", "source", "type", "time", "correlationid", "causationid", "traceparent", "datacontenttype"}
)

_Place = tuple[str, int, int]


def redacted(cut: Slice, fields: Collection[str], entities: Iterable[Entity]) -> Slice:
    """The slice with the values of these fields replaced; names are matched exactly, in any case.

    `entities` are those of the loaded domains, whose ids are keys.
    """
    names = _Pseudonyms(cut, Redaction(fields), entities)
    records = [names.record(record) for record in cut.records]
    before = {_place(record): record.value or b"" for record in cut.records}
    after = {_place(record): record.value or b"" for record in records}
    return Slice(
        header=replace(cut.header, redacted=tuple(sorted(fields))),
        records=records,
        decisions=[_rehashed(names.decision(each), before, after) for each in cut.decisions],
        dead=cut.dead,
    )


class _Pseudonyms:
    """What stands for each value of one slice."""

    def __init__(self, cut: Slice, redaction: Redaction, entities: Iterable[Entity]) -> None:
        self._redaction = redaction
        self._texts: dict[str, str] = {}
        self._numbers: dict[float, int] = {}
        self._ids: set[str] = {each.event_id for each in cut.decisions}
        for value in _values(cut):
            document = _object(value) or {}
            self._ids.add(str(document.get("id")))
            for text in redaction.values({name: each for name, each in document.items() if name not in _KEPT}):
                if text:
                    self._texts.setdefault(text, f"[redacted {len(self._texts) + 1}]")
        #: Ids of entities are keys as well, however short they are.
        self._keys = self._texts if any(redaction.hides(entity.field) for entity in entities) else {}
        #: By their first characters, the longest first: every place of a text is looked at once.
        self._quotes: defaultdict[str, list[str]] = defaultdict(list)
        for text in sorted(self._texts, key=len, reverse=True):
            if len(text) >= SHORTEST:
                self._quotes[text[:SHORTEST]].append(text)

    def record(self, record: TimelineRecord) -> TimelineRecord:
        headers = tuple(each for each in record.headers if each[0] == "content-type")
        return replace(record, key=self._key(record.key), value=self._event(record.value), headers=headers)

    def decision(self, decision: RecordedDecision) -> RecordedDecision:
        return replace(
            decision,
            reason=self._quoted(decision.reason),
            messages=tuple(
                Published(id=each.id, topic=each.topic, key=self._key(each.key) or b"", value=self._event(each.value))
                for each in decision.messages
            ),
            replies=tuple(
                StoredReply(prompt_sha256=each.prompt_sha256, model=each.model, reply=self._reply(each.reply))
                for each in decision.replies
            ),
        )

    def _key(self, key: bytes | None) -> bytes | None:
        return None if key is None else self._name(key.decode(errors="replace")).encode()

    def _name(self, text: str) -> str:
        """A key, or the subject of an event, which is one."""
        return self._keys.get(text) or self._text(text)

    def _event(self, value: bytes | None) -> bytes | None:
        if value is None:
            return None
        document = _object(value)
        if document is None:
            # No event: what it holds cannot be told apart. No JSON either, so it stays what it is for an agent.
            return b"[redacted]"
        return orjson.dumps({name: self._attribute(name, each) for name, each in document.items()})

    def _attribute(self, name: str, value: Any) -> Any:
        if name in _KEPT:
            return value
        if name == "subject" and isinstance(value, str):
            return self._name(value)
        return self._walk(value, hidden=self._redaction.hides(name))

    def _walk(self, value: Any, *, hidden: bool) -> Any:
        if isinstance(value, str):
            return self._texts.get(value, value) if hidden else self._text(value)
        if isinstance(value, dict):
            return {
                name: self._walk(each, hidden=hidden or self._redaction.hides(name)) for name, each in value.items()
            }
        if isinstance(value, list):
            return [self._walk(each, hidden=hidden) for each in value]
        if hidden and isinstance(value, int | float) and not isinstance(value, bool):
            return type(value)(self._numbers.setdefault(value, len(self._numbers) + 1))
        return value

    def _text(self, text: str) -> str:
        """A text that may be, or quote, a value."""
        return text if text in self._ids else self._quoted(text)

    def _quoted(self, text: str) -> str:
        shown, start = [], 0
        at = 0
        while at <= len(text) - SHORTEST:
            quote = next(
                (each for each in self._quotes.get(text[at : at + SHORTEST], ()) if text.startswith(each, at)), ""
            )
            if quote:
                shown += [text[start:at], self._texts[quote]]
                start = at = at + len(quote)
            else:
                at += 1
        return "".join([*shown, text[start:]])

    def _reply(self, reply: str) -> str:
        """What a model said: a form as JSON, or whatever it wrote in its place."""
        try:
            return orjson.dumps(_texts_in(orjson.loads(reply), self._text)).decode()
        except orjson.JSONDecodeError:
            return self._quoted(reply)


def _rehashed(
    decision: RecordedDecision, before: Mapping[_Place, bytes], after: Mapping[_Place, bytes]
) -> RecordedDecision:
    """The decision with the hash of the redacted history, if its hash was that of the history."""
    offsets = decision.history_offsets
    places = [(decision.topic, decision.partition, offset) for offset in offsets]
    if not all(place in before for place in places):
        return decision
    was = digest_of(zip(offsets, (before[place] for place in places), strict=True))
    if was != decision.history_sha256:
        return decision
    return replace(decision, history_sha256=digest_of(zip(offsets, (after[place] for place in places), strict=True)))


def _texts_in(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {name: _texts_in(each, change) for name, each in value.items()}
    if isinstance(value, list):
        return [_texts_in(each, change) for each in value]
    return value


def _values(cut: Slice) -> Iterator[bytes | None]:
    """Every event in a slice: of the timelines, and of the messages."""
    yield from (record.value for record in cut.records)
    yield from (message.value for decision in cut.decisions for message in decision.messages)


def _object(value: bytes | None) -> dict[str, Any] | None:
    try:
        document = orjson.loads(value or b"")
    except orjson.JSONDecodeError:
        return None
    return document if isinstance(document, dict) else None


def _place(record: TimelineRecord) -> _Place:
    return record.topic, record.partition, record.offset
