"""Redacting: a case without what some fields of its events say. Pure.

Texts under these fields, at any depth, become `[redacted 1]`, `[redacted 2]`, …, the same one for the same text in the
whole case; numbers become 1, 2, …. Texts of four characters or more are also replaced wherever any other text quotes
them: reasons, prompts, replies, keys, ids, headlines. Hashes of records and decisions stay those of the originals.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

from agents.brains.redaction import Redaction
from app.story.case import Case, CaseKnowledge, CaseRecord, sealed
from app.story.model import Story

#: Characters of a value that is looked for in other texts; a shorter one would be found everywhere.
SHORTEST: Final = 4
#: Fields of a story that hold what a domain wrote.
_DOCUMENTS: Final = frozenset({"data", "row", "effects"})
#: Fields whose values are words, ids and times of ours.
_OURS: Final = frozenset(
    {"kind", "id", "at", "until", "marks", "links", "entry", "about", "decision", "decision_id", "letter_id", "state"}
    | {"status", "belongs", "source", "answer", "link", "topic", "table", "role", "event"}
)


def redacted(case: Case, fields: Collection[str]) -> Case:
    """The case with the values of these fields replaced; names are matched exactly, in any case."""
    names = _Pseudonyms(Redaction(fields))
    documents = [_document(record) for record in case.records]
    shown = case.story.model_dump(mode="json")
    for document in (*documents, *_documents_in(shown)):
        names.learn(document)
    changed = sealed(
        case.model_copy(
            update={
                "story": Story.model_validate_json(orjson.dumps(_shape(shown, names))),
                "records": [_record(record, names) for record in case.records],
                "knowledge": [_knowledge(each) for each in case.knowledge],
                "missing": [names.quoted(each) for each in case.missing],
                "redacted": tuple(sorted(fields)),
            }
        )
    )
    # In the same order: a case and what is made of it have the same entries.
    manifest = [
        now if now.what == "record" else now.model_copy(update={"original_sha256": was.sha256})
        for now, was in zip(changed.manifest, case.manifest, strict=True)
    ]
    return changed.model_copy(update={"manifest": manifest})


def fields_of(redact: str | None, standard: Sequence[str]) -> Sequence[str]:
    """The fields that a list of names speaks of."""
    names = [name.strip() for name in (redact or "").split(",") if name.strip()]
    return list(dict.fromkeys(each for name in names for each in (standard if name == "standard" else (name,))))


def _documents_in(shape: Any) -> Iterator[Any]:
    """What is of a domain in a story: data of events, rows, effects."""
    if isinstance(shape, Mapping):
        for name, value in shape.items():
            if name in _DOCUMENTS:
                yield value
            else:
                yield from _documents_in(value)
    elif isinstance(shape, list):
        for each in shape:
            yield from _documents_in(each)


def _shape(shape: Any, names: _Pseudonyms) -> Any:
    """The story without the values; what is ours in it stays, whatever somebody hides."""
    if isinstance(shape, Mapping):
        return {
            name: value
            if name in _OURS or name.endswith(("_at", "sha256"))
            else names.replaced(value)
            if name in _DOCUMENTS
            else _shape(value, names)
            for name, value in shape.items()
        }
    if isinstance(shape, list):
        return [_shape(each, names) for each in shape]
    return names.quoted(shape) if isinstance(shape, str) else shape


class _Pseudonyms:
    """What stands for each value of one case."""

    def __init__(self, redaction: Redaction) -> None:
        self._redaction = redaction
        self._texts: dict[str, str] = {}
        self._numbers: dict[float, int] = {}
        self._pattern: re.Pattern[str] | None = None
        self._quotes: dict[str, str] = {}

    def learn(self, document: Any) -> None:
        """Take in every value to hide."""
        for text in self._redaction.values(document):
            if text:
                self._texts.setdefault(text, f"[redacted {len(self._texts) + 1}]")
        self._pattern = None

    def replaced(self, value: Any, *, hidden: bool = False) -> Any:
        """The document without them."""
        if isinstance(value, str):
            return self._texts.get(value, value) if hidden else self.quoted(value)
        if isinstance(value, Mapping):
            return {
                self.quoted(name): self.replaced(each, hidden=hidden or self._redaction.hides(name))
                for name, each in value.items()
            }
        if isinstance(value, list | tuple):
            return [self.replaced(each, hidden=hidden) for each in value]
        if hidden and isinstance(value, int | float) and not isinstance(value, bool):
            return type(value)(self._numbers.setdefault(value, len(self._numbers) + 1))
        return value

    def quoted(self, text: str) -> str:
        """A text that may be, or quote, a value; also as JSON within a text writes it."""
        if self._pattern is None:
            for value, name in self._texts.items():
                if len(value) >= SHORTEST:
                    spellings = (value, orjson.dumps(value).decode()[1:-1], json.dumps(value)[1:-1])
                    self._quotes.update(dict.fromkeys(spellings, name))
            longest_first = sorted(self._quotes, key=len, reverse=True)
            self._pattern = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")
        return self._pattern.sub(lambda found: self._quotes[found[0]], text)


def _document(record: CaseRecord) -> Any:
    try:
        return None if record.is_base64 else orjson.loads(record.value)
    except orjson.JSONDecodeError:
        return None


def _record(record: CaseRecord, names: _Pseudonyms) -> CaseRecord:
    document = _document(record)
    # What is no event cannot be told apart: nothing of it is shown.
    value = "[redacted]" if document is None else orjson.dumps(names.replaced(document)).decode()
    return record.model_copy(update={"value": value, "is_base64": False, "is_redacted": True})


def _knowledge(known: CaseKnowledge) -> CaseKnowledge:
    return known.model_copy(update={"kind": "redacted"}) if known.kind == "same" else known
