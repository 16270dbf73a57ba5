"""Facts of a story: each event once, with its records; what became of each message; when it came to be known. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from agents.replay.records import TimelineRecord
from app.story.material import EventKey, KeptDecision, KeptMessage, Material, Told
from app.story.model import Belonging, EventState, MessageState
from outbox.records import lane_of

#: What becomes of all messages of a decision of this status.
_NOT_YET: Final[Mapping[str, MessageState]] = {"shadow": "shadow", "held": "withheld"}


@dataclass(kw_only=True)
class Fact:
    """An event, whatever is known of it."""

    key: EventKey
    #: None where nobody has its content.
    told: Told | None
    type: str
    happened_at: datetime | None
    belongs: Belonging
    state: EventState = "log"
    records: list[TimelineRecord] = field(default_factory=list)
    #: The decision that published it, and those made on it.
    published_by: KeptDecision | None = None
    decided_on_by: list[KeptDecision] = field(default_factory=list)

    @property
    def entry(self) -> str:
        """The id of its entry."""
        return event_entry(self.key)

    @property
    def recorded_at(self) -> datetime | None:
        """The earliest record of it."""
        return min((record.at for record in self.records), default=None)

    @property
    def at(self) -> datetime:
        """When it came to be known."""
        if self.recorded_at is not None:
            return self.recorded_at
        if self.published_by is not None:
            return self.published_by.committed_at
        return min(each.decided_at for each in self.decided_on_by)


@dataclass(frozen=True, kw_only=True, slots=True)
class Fate:
    """What became of a message."""

    state: MessageState
    at: datetime | None = None
    reason: str | None = None


def event_entry(key: EventKey) -> str:
    """The id of an event's entry: the same whenever the story is told."""
    source, event_id = key
    return f"event-{hashlib.sha256(f'{len(source)}:{source}{event_id}'.encode()).hexdigest()[:16]}"


def decision_entry(decision_id: str) -> str:
    """The id of a decision's entry."""
    return f"decision-{decision_id}"


class Facts:
    """Every event of the material by its key, and every message's fate by its id."""

    def __init__(self, material: Material) -> None:
        self._material = material
        self.events: dict[EventKey, Fact] = {}
        self.fates: dict[str, Fate] = {}
        self.messages: dict[str, Sequence[KeptMessage]] = {}
        self._parts = {(part.topic, part.partition): part for part in material.parts}
        self._read()
        for decision in material.decisions:
            self._decided(decision)

    def dropped_of(self, decision: KeptDecision) -> int:
        """How many events that the agent knew Kafka has dropped since, as far as that was looked at."""
        part = self._parts.get((decision.topic, decision.partition))
        return 0 if part is None else sum(offset < part.first for offset in decision.history_offsets)

    def first_of(self, topic: str, partition: int) -> int | None:
        """The first offset Kafka still has there; None where nobody looked."""
        part = self._parts.get((topic, partition))
        return None if part is None else part.first

    def _read(self) -> None:
        for record, told in self._material.records:
            fact = self.events.get(told.key)
            if fact is None:
                fact = self.events[told.key] = Fact(
                    key=told.key,
                    told=told,
                    type=told.type,
                    happened_at=told.happened_at,
                    belongs=self._material.belongs.get(told.key, "context"),
                )
            fact.records.append(record)

    def _decided(self, decision: KeptDecision) -> None:
        fact = self.events.get(decision.event)
        if fact is None:
            fact = self.events[decision.event] = Fact(
                key=decision.event,
                told=None,
                type=decision.event_type,
                happened_at=decision.event_at,
                belongs=self._material.belongs.get(decision.event, "linked"),
                state=self._state_of_missing(decision),
            )
        fact.decided_on_by.append(decision)
        otherwise = [
            message
            for approval in self._material.approvals
            if approval.decision_id == decision.id
            for message in approval.otherwise
        ]
        self.messages[decision.id] = [*decision.messages, *otherwise]
        for message in self.messages[decision.id]:
            self._published(decision, message)

    def _published(self, decision: KeptDecision, message: KeptMessage) -> None:
        fact = None if message.event is None else self.events.get(message.event.key)
        fate = self.fates[message.id] = self._fate(decision, message, fact)
        if message.event is None or fate.state in {"withheld", "given_up", "shadow"}:
            return
        if fact is None:
            fact = self.events[message.event.key] = Fact(
                key=message.event.key,
                told=message.event,
                type=message.event.type,
                happened_at=message.event.happened_at,
                belongs=self._material.belongs.get(message.event.key, "linked"),
            )
        if not fact.records:
            fact.told = fact.told or message.event
            fact.state = fate.state if fate.state in {"pending", "buried", "published"} else "unread"
        fact.published_by = decision

    def _fate(self, decision: KeptDecision, message: KeptMessage, fact: Fact | None) -> Fate:
        if decision.status in _NOT_YET:
            return Fate(state=_NOT_YET[decision.status])
        if decision.status == "refused" or message.is_otherwise != (decision.status == "rejected"):
            return Fate(state="given_up")
        if fact is not None and fact.records:
            return Fate(state="log", at=fact.recorded_at)
        return self._on_its_way(message)

    def _on_its_way(self, message: KeptMessage) -> Fate:
        if (waiting := self._material.pending.get(message.id)) is not None:
            return Fate(state="pending", at=waiting.at)
        if (dead := self._material.buried.get(message.id)) is not None:
            return Fate(state="buried", at=dead.at, reason=dead.reason)
        if lane_of(message.topic, message.key.encode()) in self._material.full_lanes:
            return Fate(state="unknown")
        return Fate(state="published")

    def _state_of_missing(self, decision: KeptDecision) -> EventState:
        part = self._parts.get((decision.topic, decision.partition))
        if part is None or (decision.offset >= part.first and not part.has_read(decision.offset)):
            return "unread"
        return "dropped"


def causes_of(facts: Facts, by_id: Mapping[str, Sequence[EventKey]], fact: Fact) -> EventKey | None:
    """The event that this one says caused it, where its id is that of one event only."""
    if fact.told is None or fact.told.causation_id is None:
        return None
    if fact.published_by is not None:
        return fact.published_by.event
    found = by_id.get(fact.told.causation_id, ())
    return found[0] if len(found) == 1 and found[0] != fact.key and found[0] in facts.events else None
