"""Types: the event types and effects that the loaded domains declare; reads the `data` of events.

`parse` gives a model, None for a type nobody here knows, or `InvalidEvent` with every problem found; its message never
repeats the data.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import orjson
from pydantic import ValidationError

from agents.model.decision import Decision
from agents.model.effect import Effect
from agents.model.event import DomainEvent, OpenEvent
from agents.model.miss import Miss, Misses
from agents.model.refusal import Escalates, Refusal
from tables.event import Event, InvalidEvent, parse

log = logging.getLogger(__name__)

_MESSAGE_LIMIT: Final = 500


@dataclass(frozen=True, slots=True)
class Received:
    """An event, and its data as the model of its type; None where nobody here knows the type."""

    event: Event
    data: DomainEvent | None


class Recalled(NamedTuple):
    """What is read of a remembered event; its id and its time are known."""

    source: str
    causationid: str | None
    #: None where nobody here knows the type.
    data: DomainEvent | None


class Types:
    """What the loaded domains declare, and who is trusted.

    `carried` are the fields that open events carry besides their own; `trusted` are sources, besides our agents, whose
    verdicts count.
    """

    def __init__(
        self,
        events: Iterable[type[DomainEvent]],
        *,
        carried: Collection[str] = (),
        effects: Iterable[type[Effect]] = (),
        escalates: Escalates | None = None,
        misses: Misses | None = None,
        trusted: Collection[str] = (),
    ) -> None:
        #: The model of every event type, by the type's name.
        self.events: Mapping[str, type[DomainEvent]] = MappingProxyType({model.__name__: model for model in events})
        #: Every effect, by its kind.
        self.effects: Mapping[str, type[Effect]] = MappingProxyType({effect.kind: effect for effect in effects})
        #: See `History.trusts`.
        self.trusted = frozenset(trusted)
        self._carried = frozenset(carried)
        self._escalates = escalates
        self._misses = misses
        #: What an open event may say, by its type.
        self._open = {
            model.__name__: self._carried | {field.alias or name for name, field in model.model_fields.items()}
            for model in self.events.values()
            if issubclass(model, OpenEvent)
        }

    def parse(self, event: Event) -> DomainEvent | None:
        """Read the data of an event as the model of its type; None when the type is unknown.

        Raises `InvalidEvent` ("invalid_data") that names every field at fault, in at most 500 characters.
        """
        return self._typed(event.type, event.data)

    def receive(self, event: Event) -> Received:
        """The event with its data. Raises `InvalidEvent`."""
        return Received(event, self.parse(event))

    def recall(self, payload: bytes) -> Recalled:
        """Read an event that was remembered. Raises `InvalidEvent`.

        Its envelope was checked before it was remembered, so only its data is checked: the model may be another by now.
        """
        try:
            document = orjson.loads(payload)
            kind, data = document["type"], document["data"]
            source, cause = document["source"], document.get("causationid") or None
            is_plain = isinstance(data, dict) and isinstance(cause, str | None) and isinstance(source, str)
        except (orjson.JSONDecodeError, TypeError, KeyError):
            is_plain = False
        if is_plain and isinstance(kind, str):
            return Recalled(source, cause, self._typed(kind, data))
        event = parse(payload, ())
        return Recalled(event.source, event.causationid, self.parse(event))

    def _typed(self, kind: str, data: Mapping[str, Any]) -> DomainEvent | None:
        model = self.events.get(kind)
        if model is None:
            return None
        known = self._open.get(kind)
        if known is not None:
            data = {name: value for name, value in data.items() if name in known}
        try:
            return model.model_validate(data)
        except ValidationError as error:
            problems = error.errors(include_url=False, include_context=False, include_input=False)
        message = "; ".join(f"{_place(problem['loc'])}: {_lower_first(problem['msg'])}" for problem in problems)
        raise InvalidEvent("invalid_data", f"{kind} {message}"[:_MESSAGE_LIMIT])

    def carried(self, data: Mapping[str, object]) -> Mapping[str, str]:
        """The ids in the data of an event that open events carry, by their fields."""
        found = {field: data.get(field) for field in sorted(self._carried)}
        return {field: value for field, value in found.items() if isinstance(value, str) and value}

    def escalation(self, refusal: Refusal) -> DomainEvent | None:
        """What tells a person of a refusal; None where no loaded domain says, or what it says fails."""
        escalates = self._escalates
        return None if escalates is None else self._told(lambda: escalates(refusal), "escalation", refusal.event_id)

    @property
    def tells_misses(self) -> bool:
        """Whether a loaded domain says what tells of an expectation that was not met."""
        return self._misses is not None

    def miss(self, miss: Miss) -> DomainEvent | None:
        """What tells of a miss; None where no loaded domain says, or what it says fails."""
        misses = self._misses
        return None if misses is None else self._told(lambda: misses(miss), "miss", miss.event_id)

    def _told(self, tell: Callable[[], DomainEvent], what: str, event_id: str) -> DomainEvent | None:
        try:
            told = tell()
        except Exception:
            # A domain's own: what it tells of must not fail by it.
            log.exception("the %s that follows event %s cannot be told", what, event_id, extra={"event_id": event_id})
            return None
        if self.events.get(type(told).__name__) is not type(told):
            log.error("no loaded domain declares the %s %s", what, type(told).__name__)
            return None
        return told

    def undeclared(self, decision: Decision) -> str | None:
        """What of a decision no loaded domain declares, in a few words; None when everything is declared.

        An event that nobody declares has no topic, an effect no way to be approved.
        """
        for event in (*decision.events, *decision.otherwise):
            if self.events.get(type(event).__name__) is not type(event):
                return f"the event {type(event).__name__}"
        for effect in decision.effects:
            if self.effects.get(effect.kind) is not type(effect):
                return f"the effect {type(effect).__name__}"
        return None


def _place(location: tuple[int | str, ...]) -> str:
    return ".".join(["data", *map(str, location)])


def _lower_first(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]
