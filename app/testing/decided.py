"""Decided: what came of one event, as it would be written: the decision, its messages and its effects."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

from agents.model.effect import Statement
from agents.model.event import DomainEvent
from agents.model.history import History
from agents.model.types import Types
from outbox.content import content_from, content_of, otherwise_from
from outbox.records import DecisionRecord, Message, Status
from outbox.records import Effect as WrittenEffect
from tables.event import Event, parse


@dataclass(frozen=True, slots=True)
class Published:
    """A message as it would stand in Kafka."""

    topic: str
    key: str
    envelope: Event
    #: Its data, equal to what the agent emitted.
    event: DomainEvent | None

    @classmethod
    def of(cls, message: Message, types: Types) -> Self:
        """Read a message as whoever receives it does."""
        envelope = parse(message.value, message.headers)
        return cls(message.topic, message.key.decode(), envelope, types.parse(envelope))

    @property
    def type(self) -> str:
        """The event type."""
        return self.envelope.type

    @property
    def subject(self) -> str | None:
        """Whom it is about."""
        return self.envelope.subject

    @property
    def data(self) -> dict[str, object]:
        """Its data as JSON."""
        return dict(self.envelope.data)


@dataclass(frozen=True, slots=True)
class Consequence:
    """What is published and done together, each in this order; lists, to be compared with lists."""

    published: Sequence[Published] = field(default_factory=list)
    effects: Sequence[WrittenEffect] = field(default_factory=list)
    #: SQL of the effects, with its parameters.
    statements: Sequence[Statement] = field(default_factory=list)

    @property
    def events(self) -> Sequence[DomainEvent | None]:
        """What is published, as the agent emitted it."""
        return [message.event for message in self.published]


@dataclass(frozen=True)
class Decided:
    """One decision. `published`, `effects` and `statements` are what follows at once: nothing, while it is held."""

    record: DecisionRecord
    #: What the agent knew.
    history: History

    @property
    def agent(self) -> str:
        """Who decided."""
        return self.record.agent

    @property
    def entity_id(self) -> str:
        """On whose timeline."""
        return self.record.entity_id

    @property
    def event_id(self) -> str:
        """On which event."""
        return self.record.event_id

    @property
    def outcome(self) -> str:
        """What the agent chose."""
        return self.record.outcome

    @property
    def reason(self) -> str:
        """Why."""
        return self.record.reason

    @property
    def confidence(self) -> float:
        """How sure it is, 0 to 1."""
        return self.record.confidence

    @property
    def brain(self) -> str:
        """`rules`, or the name of the model that chose."""
        return self.record.brain

    @property
    def fallback_reason(self) -> str | None:
        """Why the rules decided although a model was asked."""
        return self.record.fallback_reason

    @property
    def status(self) -> Status:
        """`committed` or `held`; `refused` where a chain of answers went too far."""
        return self.record.status

    @property
    def held_for(self) -> str | None:
        """Why it waits for a person; None when it does not."""
        return None if self.record.hold is None else self.record.hold.reason

    @property
    def published(self) -> Sequence[Published]:
        """What is published at once."""
        return self.at_once.published

    @property
    def events(self) -> Sequence[DomainEvent | None]:
        """What is published at once, as the agent emitted it."""
        return self.at_once.events

    @property
    def effects(self) -> Sequence[WrittenEffect]:
        """What is done at once."""
        return self.at_once.effects

    @property
    def statements(self) -> Sequence[Statement]:
        """SQL that is run at once, with its parameters."""
        return self.at_once.statements

    @cached_property
    def at_once(self) -> Consequence:
        """What follows at once."""
        if self.status != "committed":
            return Consequence()
        return self._consequence(self.record.messages, self.record.effects)

    @cached_property
    def approved(self) -> Consequence:
        """What follows when a person agrees: made again of what is kept, as an approval does.

        Raises ValueError when the decision is not held, and `StatementRejected` when it could not be kept.
        """
        content = content_from(self._kept, self.history.types.effects)
        return self._consequence(content.messages, content.effects)

    @cached_property
    def rejected(self) -> Consequence:
        """What follows when a person says no, or nobody answers in time. Raises as `approved`."""
        return self._consequence(otherwise_from(self._kept), ())

    @cached_property
    def refused(self) -> Consequence:
        """What follows when PostgreSQL refuses the effects of a decision that nobody was asked about."""
        return self._consequence(self.record.otherwise, ())

    @cached_property
    def _kept(self) -> str:
        if self.status != "held":
            raise ValueError(f"{self.agent} decided {self.outcome}, and nobody is asked: it is {self.status}")
        return content_of(self.record)

    def _consequence(self, messages: Iterable[Message], effects: Sequence[WrittenEffect]) -> Consequence:
        return Consequence(
            published=[Published.of(message, self.history.types) for message in messages],
            effects=list(effects),
            statements=_statements(effects, self.record.id),
        )


def _statements(effects: Iterable[WrittenEffect], decision_id: uuid.UUID) -> Sequence[Statement]:
    return [statement for effect in effects for statement in effect.statements(decision_id)]
