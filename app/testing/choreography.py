"""Choreography in memory: router, timelines, windows and agents without Kafka and PostgreSQL, message by message.

What an agent decides is published `latency` inputs later, so that agents may decide before they see what others, or
they themselves, have just said. Everything that decides is the worker's own; only the log is a list. A chain of agents
that answer each other ends where a worker would end it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from heapq import heappop, heappush
from typing import Any, Final, Literal, Protocol, Self

import orjson

from agents.engine.brain import RULES, held
from agents.engine.record import decision_record
from agents.engine.routing import MAX_PAYLOAD_BYTES, EntityRef, Routed, route, timeline
from agents.model.agent import Agent
from agents.model.catalogue import Catalogue
from agents.model.decision import Verdict
from agents.model.history import EventKey, History
from agents.model.holding import HoldPolicy
from agents.model.types import Types
from outbox.chains import ChainLimits
from outbox.records import DecisionRecord, Message, Origin
from tables import window
from tables.event import InvalidEvent
from tables.window import Entry

#: Decides for an agent. Raises `DecisionFailed`.
Decide = Callable[[Agent, History], Verdict]
#: What becomes of a decision that waits for a person.
Answer = Literal["wait", "approve", "reject"]

_CHAINS: Final = ChainLimits()


class Record(Protocol):
    """What a producer sends."""

    @property
    def value(self) -> bytes | None:
        """The value of the record."""

    @property
    def headers(self) -> tuple[tuple[str, bytes], ...]:
        """The headers of the record."""


@dataclass(frozen=True, slots=True)
class Sending:
    """A record without headers."""

    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


def by_rules(agent: Agent, history: History) -> Verdict:
    """What an agent decides without a language model."""
    return Verdict(decision=agent.by_rules(history), brain=RULES)


def routed(value: bytes | None, headers: tuple[tuple[str, bytes], ...], catalogue: Catalogue) -> Routed:
    """Read a record as the router does. Raises `InvalidEvent`."""
    return route(value, headers, max_bytes=MAX_PAYLOAD_BYTES, catalogue=catalogue)


def written(
    agent: Agent, history: History, verdict: Verdict, *, entity: EntityRef, offset: int, now: datetime
) -> DecisionRecord:
    """The decision as a worker writes it, refused where its chain went too far."""
    origin = Origin(topic=timeline(entity.entity), partition=0, offset=offset, at=now)
    return _CHAINS.applied_to(
        decision_record(agent, history, verdict, origin=origin, entity_id=entity.id, decided_at=now)
    )


@dataclass(slots=True)
class Memory:
    """What agents remember of each entity: rings, as a worker keeps them."""

    types: Types
    _rings: dict[tuple[str, str], list[Entry]] = field(default_factory=lambda: defaultdict(list))

    def fold(self, agent: Agent, read: Routed, entity_id: str, offset: int) -> None:
        """Remember an event of the entity, if the agent does."""
        event, ring = read.event, self._rings[agent.name, entity_id]
        if event.type not in agent.remembers:
            return
        spec, payload = agent.window, read.payload
        entry = window.fold(
            ring, offset=offset, time=event.time, event_id=event.id, payload=payload, ring=spec.ring_of(payload)
        )
        if entry is not None:
            window.push(ring, entry, spec)

    def known(self, agent: Agent, read: Routed, entity_id: str, offset: int) -> History:
        """What the agent knows when it decides on the event. Raises `InvalidEvent`."""
        event, ring = read.event, self._rings[agent.name, entity_id]
        entries = window.history(
            ring, agent.window, offset=offset, time=event.time, event_id=event.id, source=event.source
        )
        return History(self.types.receive(event), entries, self.types)


@dataclass(kw_only=True)
class Choreography:
    """Runs agents over records; the result is in `decisions`."""

    catalogue: Catalogue
    #: All of the catalogue, unless some are given.
    agents: Iterable[Agent] = ()
    #: How many inputs pass before a message is in the timelines, by the message's id.
    latency: Callable[[str], int] = lambda _: 3
    decide: Decide = by_rules
    #: Which decisions wait for a person beside those for which their agents ask.
    hold: HoldPolicy = field(default_factory=HoldPolicy)
    #: What people answer who are asked to agree.
    answer: Answer = "reject"
    #: By agent, and source and id of the event.
    decisions: dict[tuple[str, EventKey], DecisionRecord] = field(default_factory=dict)
    #: What each decision was made on.
    histories: dict[tuple[str, EventKey], History] = field(default_factory=dict)
    #: Records that are no events of the domains.
    dead_letters: list[InvalidEvent] = field(default_factory=list)
    #: A log to read instead of one's own messages.
    replayed: list[bytes] | None = None
    #: Every event as the timelines have it, in their order.
    log: list[bytes] = field(default_factory=list)
    #: The clock of the agents: the newest time any event told of.
    now: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    _offset: int = 0

    def __post_init__(self) -> None:
        self.agents = tuple(self.agents) or tuple(self.catalogue.agents.values())
        self._memory = Memory(self.catalogue.types)

    def run(self, records: Iterable[Record]) -> Self:
        """Feed the records in this order, then whatever follows from them. Raises `DecisionFailed`."""
        if self.replayed is not None:
            for value in self.replayed:
                self._take(value, ())
            return self
        waiting: list[tuple[int, int, bytes]] = []
        sequence = now = 0

        def feed(value: bytes | None, headers: tuple[tuple[str, bytes], ...]) -> None:
            nonlocal sequence
            for message_id, message in self._take(value, headers):
                sequence += 1
                heappush(waiting, (now + self.latency(message_id), sequence, message))

        for now, record in enumerate(records):
            while waiting and waiting[0][0] <= now:
                feed(heappop(waiting)[2], ())
            feed(record.value, record.headers)
        while waiting:
            feed(heappop(waiting)[2], ())
        return self

    @property
    def published(self) -> list[dict[str, Any]]:
        """Every event the agents published, in the order of the decisions."""
        return [orjson.loads(m.value) for record in self.decisions.values() for m in self.outgoing(record) if m.value]

    def outcomes(self) -> Mapping[tuple[str, EventKey], str]:
        """What was decided, by agent and event."""
        return {key: record.outcome for key, record in self.decisions.items()}

    def outgoing(self, record: DecisionRecord) -> Sequence[Message]:
        """What is published of a decision, a held one as it is answered."""
        if record.status != "held" or record.hold is None:
            return record.published
        return {"wait": (), "approve": record.messages, "reject": record.hold.otherwise}[self.answer]

    def _take(self, value: bytes | None, headers: tuple[tuple[str, bytes], ...]) -> list[tuple[str, bytes]]:
        try:
            read = routed(value, headers, self.catalogue)
        except InvalidEvent as error:
            self.dead_letters.append(error)
            return []
        self.log.append(read.payload)
        self.now = max(self.now, read.event.time)
        published = []
        for entity in read.entities:
            self._offset += 1
            for agent in self.agents:
                if agent.entity.name == entity.entity:
                    record = self._decide(agent, read, entity)
                    if record is not None:
                        published += [(message.id, message.value or b"") for message in self.outgoing(record)]
        return published

    def _decide(self, agent: Agent, read: Routed, entity: EntityRef) -> DecisionRecord | None:
        key = agent.name, read.event.key
        self._memory.fold(agent, read, entity.id, self._offset)
        if read.event.type not in agent.reacts_to or key in self.decisions:
            return None
        history = self._memory.known(agent, read, entity.id, self._offset)
        verdict = held(self.decide(agent, history), self.hold)
        record = written(agent, history, verdict, entity=entity, offset=self._offset, now=self.now)
        self.decisions[key], self.histories[key] = record, history
        return record
