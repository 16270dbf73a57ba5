"""Answers of the scripted model: any schema filled with values that could be meant, drawn from what it was told.

No model, and no knowledge of any agent. All it understands is that what a task or a description says next after a word
belongs to that word: "label_failed LabelFailed" makes a `LabelFailed` of the history a culprit of `label_failed`. Some
answers are right, some wrong, and some outside policy. Pure; the same draw gives the same answer.
"""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import orjson

#: How types of events are written.
_TYPE: Final = r"(?:[A-Z][a-z]+){2,}"
#: What a form calls it when no event is meant.
_NOTHING: Final = ("unknown", "none")

_Node = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Named:
    """An event that the prompt told of."""

    id: str
    type: str


@dataclass(frozen=True, slots=True)
class Told:
    """What the model was told: the task, the history, oldest first, and the words in the event to decide about."""

    task: str = ""
    history: Sequence[Named] = ()
    words: Collection[str] = ()

    @classmethod
    def by(cls, system: str, user: str) -> Self:
        """Read a prompt; a user text of another kind tells nothing."""
        try:
            prompt = orjson.loads(user)
            history = [Named(str(event["id"]), str(event["type"])) for event in prompt["history"]]
            values = prompt["decide_on"]["data"].values()
        except (orjson.JSONDecodeError, TypeError, KeyError, IndexError):
            return cls(system)
        return cls(system, history, [value for value in values if isinstance(value, str) and value])


def filled(schema: _Node, draw: random.Random, told: Told | None = None) -> Any:
    """A value that fits a strict schema; {} when there is no schema."""
    return _Filling(schema, draw, told or Told()).value(schema) if schema else {}


class _Filling:
    """One form being filled."""

    def __init__(self, schema: _Node, draw: random.Random, told: Told) -> None:
        self._definitions = schema.get("$defs", {})
        self._draw = draw
        self._told = told
        self._text = f"{told.task}\n{orjson.dumps(schema).decode()}"

    def value(self, node: _Node, name: str = "", culprit: Named | None = None) -> Any:
        node = self._plain(node)
        if "enum" in node:
            return self._word(node["enum"], culprit)
        if "anyOf" in node:
            return self._one_of([self._plain(each) for each in node["anyOf"]], name, culprit)
        if node["type"] == "object":
            return self._object(node)
        if node["type"] == "array":
            return self._several(self._plain(node["items"]))
        return self._plain_value(node["type"], name, culprit)

    def _plain_value(self, kind: str, name: str, culprit: Named | None) -> str | float | bool | None:
        values: Mapping[str, str | float | bool | None] = {
            "string": culprit.id if culprit is not None and name.endswith("_id") else "as scripted",
            "number": round(0.5 + self._draw.random() / 2, 2),
            "integer": self._draw.randint(0, 100),
            "boolean": self._draw.random() < 0.95,  # the story is to go on
            "null": None,
        }
        return values[kind]

    def _plain(self, node: _Node) -> _Node:
        while "$ref" in node:
            node = self._definitions[node["$ref"].rpartition("/")[2]]
        return node

    def _object(self, node: _Node) -> Mapping[str, Any]:
        fields: Mapping[str, _Node] = node["properties"]
        culprit = self._culprit(fields) if any(name.endswith("_id") for name in fields) else None
        return {name: self.value(each, name, culprit) for name, each in fields.items()}

    def _one_of(self, nodes: Sequence[_Node], name: str, culprit: Named | None) -> Any:
        is_optional = any(node.get("type") == "null" for node in nodes)
        if name.endswith("_id") and is_optional and culprit is None:
            return None
        return self.value(self._draw.choice([node for node in nodes if node.get("type") != "null"]), name, culprit)

    def _several(self, items: _Node) -> Sequence[Any]:
        ids = [event.id for event in self._told.history] if items.get("type") == "string" else []
        values = items.get("enum", ids)
        return self._draw.sample(values, self._draw.randint(0, min(2, len(values))))

    def _culprit(self, fields: Mapping[str, _Node]) -> Named | None:
        """The last event of some type that the task speaks of; none at times, as most events explain nothing."""
        words = [str(word) for node in fields.values() for word in self._plain(node).get("enum", ())]
        types = [self._next(word, _TYPE) for word in words] if words else re.findall(_TYPE, self._told.task)
        last = {event.type: event for event in self._told.history if event.type in types}
        if not last or self._draw.random() < 0.25:
            return None
        return self._draw.choice(list(last.values()))

    def _word(self, words: Sequence[Any], culprit: Named | None) -> Any:
        """The word that belongs to the culprit, or to the event to decide about; any when none does."""
        if culprit is not None:
            fitting = [word for word in words if self._next(str(word), _TYPE) == culprit.type]
        else:
            any_word = "|".join(re.escape(str(word)) for word in words)
            fitting = [word for word in words if word in _NOTHING] or [
                word for word in words if str(word) in {self._next(said, any_word) for said in self._told.words}
            ]
        return self._draw.choice(fitting or words)

    def _next(self, word: str, pattern: str) -> str | None:
        """What matches first after the word in all the model was told to do."""
        found = re.search(rf"\b{re.escape(word)}\b.*?\b({pattern})\b", self._text, re.DOTALL)
        return found[1] if found else None
