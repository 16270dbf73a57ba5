"""What is written: decisions with their messages, and dead letters. Plain values, no connection in sight."""

from __future__ import annotations

import uuid
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, ClassVar, Final, Literal, Protocol

#: A lane is the unit of order and of ownership in the relay. 64 is enough for 64 workers and few enough to lease
#: in one statement; the number is part of the data and must not change while messages are pending.
LANES: Final = 64

#: Names the UUIDv5 of decisions and messages, so that deciding again writes the same ids.
_NAMESPACE: Final = uuid.uuid5(uuid.NAMESPACE_URL, "urn:innervate:decision")

#: SQL with its parameters.
Statement = tuple[str, Mapping[str, Any]]

#: Why a decision was put to a person when PostgreSQL refused its effects.
REFUSED: Final = "refused"

#: `refused`: its chain went too far (`outbox.chains`).
Status = Literal["committed", "held", "rejected", "refused", "shadow"]

#: Stands between the name of an agent and the label of its shadow, and in no agent's name.
SHADOW_MARK: Final = "@"


@lru_cache(maxsize=4096)
def decision_id(agent: str, event_source: str, event_id: str) -> uuid.UUID:
    """The id of the one decision of `agent` on the event: the same whenever it is decided again.

    Decisions of before migration 0005 have ids without the source in them (`sourceless_decision_id`).
    """
    return uuid.uuid5(_NAMESPACE, f"{len(agent)}:{agent}{len(event_source)}:{event_source}{event_id}")


def sourceless_decision_id(agent: str, event_id: str) -> uuid.UUID:
    """The id that a decision got before migration 0005, and that the ids of its messages were derived from."""
    return uuid.uuid5(_NAMESPACE, f"{len(agent)}:{agent}{event_id}")


def lane_of(topic: str, key: bytes) -> int:
    """The lane (0 to 63) of a topic and key: messages of one key share a lane, so they keep their order."""
    return zlib.crc32(key, zlib.crc32(topic.encode())) % LANES


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """A message to publish; `id` stays the same however often it is sent."""

    id: str
    topic: str
    key: bytes
    #: None is a tombstone; only a dead letter can be one.
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()

    @property
    def lane(self) -> int:
        """The lane this message travels in."""
        return lane_of(self.topic, self.key)


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """Where an input came from: Kafka's own coordinates. `at` is the record's timestamp."""

    topic: str
    partition: int
    offset: int
    at: datetime

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]@{self.offset}"

    def log_fields(self, consumer: str) -> dict[str, str | int]:
        """What a log says besides its words when `consumer` met this input."""
        return {"agent": consumer, "topic": self.topic, "partition": self.partition, "offset": self.offset}


class Effect(Protocol):
    """A state change written with a decision: a value that knows its statements, never a connection."""

    #: Names the effect where it is kept.
    kind: ClassVar[str]

    def statements(self, decision_id: uuid.UUID) -> Sequence[Statement]:
        """What to run, in this order, in the transaction of the decision with this id."""

    def kept(self) -> Mapping[str, Any]:
        """Its fields as JSON, while a person is asked."""

    def restored(self, kept: Mapping[str, Any]) -> Effect:
        """An equal effect, of what `kept` gives. Raises when this is none."""

    def shown(self) -> Mapping[str, Any]:
        """What that person is shown, as JSON."""


class KnownEffect(Protocol):
    """A kind of effects that can be made again of what was kept."""

    def restored(self, kept: Mapping[str, Any]) -> Effect:
        """The effect. Raises ValueError when this is none."""


#: The effects that may be restored, by kind.
KnownEffects = Mapping[str, KnownEffect]


@dataclass(frozen=True, kw_only=True, slots=True)
class Hold:
    """Why a decision waits for a person, and what becomes of it without one."""

    #: One short word, the one an operator counts by.
    reason: str
    #: How long it waits for an answer.
    expires_in: timedelta
    #: Published when it is rejected or expires.
    otherwise: tuple[Message, ...] = ()
    #: Who rejected it before anybody was asked, and why; None when a person is asked.
    rejected_by: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Expected:
    """What has to follow the event of a decision, on the same entity."""

    #: The expectation's; one of its kind in its agent.
    name: str
    due_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class DecisionRecord:
    """A decision as it is written: unique by (`agent`, `event_source`, `event_id`)."""

    agent: str
    event_id: str
    event_source: str
    event_type: str
    event_at: datetime
    entity: str
    entity_id: str
    origin: Origin
    #: References to the events the agent knew, never the events themselves.
    history: Mapping[str, Any]
    brain: str
    model: str | None
    outcome: str
    reason: str
    confidence: float
    fallback_reason: str | None
    status: Status
    decided_at: datetime
    messages: tuple[Message, ...]
    #: State changes, made with the decision or not at all.
    effects: tuple[Effect, ...] = ()
    #: What its person is asked; set when it is held or was rejected, and only then.
    hold: Hold | None = None
    #: Published in place of messages and effects when PostgreSQL refuses the effects of a committed decision.
    otherwise: tuple[Message, ...] = ()
    #: The correlation that the event belongs to: what followed from one event.
    correlation_id: str = ""
    #: How many decisions of agents led to the event.
    chain_depth: int = 0
    #: Written with the decision, whatever becomes of its effects.
    expected: tuple[Expected, ...] = ()

    @property
    def id(self) -> uuid.UUID:
        """Derived from `agent`, `event_source` and `event_id`."""
        return decision_id(self.agent, self.event_source, self.event_id)

    @property
    def is_refused(self) -> bool:
        """Whether it is rejected before anybody is asked."""
        return self.status == "rejected" and self.hold is not None and self.hold.rejected_by is not None

    @property
    def published(self) -> tuple[Message, ...]:
        """What is published with it: the messages of a committed decision, what a refused one has in their place."""
        if self.is_refused and self.hold is not None:
            return self.hold.otherwise
        return self.messages if self.status == "committed" else ()

    def log_fields(self) -> dict[str, str | int]:
        """What a log says besides its words about the decision."""
        return {
            **self.origin.log_fields(self.agent),
            "event_id": self.event_id,
            "event_source": self.event_source,
            "event_type": self.event_type,
            "decision_id": str(self.id),
        }

    def refused(self, why: str) -> DecisionRecord:
        """The same decision when PostgreSQL refuses its effects: rejected, nothing of it done, a person hears."""
        hold = Hold(
            reason=REFUSED, expires_in=timedelta(0), otherwise=self.otherwise, rejected_by=f"PostgreSQL: {why[:300]}"
        )
        return replace(self, status="rejected", hold=hold)


@dataclass(frozen=True, kw_only=True, slots=True)
class DeadLetter:
    """Input that cannot be processed, with its original bytes.

    `consumer` is who gave up (the router, or an agent's name); `reason` a short word to group by; `detail` one line
    for a person.
    """

    consumer: str
    reason: str
    detail: str
    origin: Origin
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    #: Whether its bytes are published to the topic of dead letters as well: all but those of shadows.
    is_published: bool = True
    #: What it tells of once, for whatever input and consumer comes first; None: of this input.
    about: str | None = None
    #: What tells of it where it belongs, published with it when it is new.
    tells: tuple[Message, ...] = ()

    @property
    def id(self) -> uuid.UUID:
        """Derived from consumer, origin and reason: the same input dies once, however often it is read."""
        if self.about is not None:
            return uuid.uuid5(_NAMESPACE, f"dead/{self.reason}/about/{self.about}")
        o = self.origin
        coordinates = f"{o.topic}/{o.partition}/{o.offset}/{o.at.isoformat()}"
        return uuid.uuid5(_NAMESPACE, f"dead/{self.consumer}/{coordinates}/{self.reason}")
