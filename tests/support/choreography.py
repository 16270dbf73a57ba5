"""Choreography in memory: router, timelines, windows and agents without Kafka and PostgreSQL, message by message.

What an agent decides is published `latency` inputs later, so that agents decide before they see what others, or they
themselves, have just said. Everything that decides is the product's own; only the log is a list. Whoever is asked to
agree to a held decision rejects it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from heapq import heappop, heappush
from typing import Any, Protocol

import orjson
from shop_catalogue import AGENTS, CATALOGUE, parse_data, shop_history

from agents.engine.brain import RULES
from agents.engine.record import decision_record
from agents.engine.routing import EntityRef, Routed, route
from agents.model.agent import Agent
from agents.model.decision import Verdict
from agents.model.history import History
from outbox.records import DecisionRecord, Message, Origin
from tables import window
from tables.event import InvalidEvent
from tables.window import Entry


class Record(Protocol):
    """What a producer sends."""

    @property
    def value(self) -> bytes | None: ...

    @property
    def headers(self) -> tuple[tuple[str, bytes], ...]: ...


def by_rules(agent: Agent, history: History) -> Verdict:
    """What an agent decides without a language model."""
    return Verdict(decision=agent.by_rules(history), brain=RULES)


@dataclass
class Choreography:
    """Runs agents over records; the result is in `decisions`."""

    agents: Iterable[Agent] = field(default_factory=lambda: tuple(AGENTS.values()))
    #: How many inputs pass before a message is in the timelines, by the message's id.
    latency: Callable[[str], int] = lambda _: 3
    decide: Callable[[Agent, History], Verdict] = by_rules
    decisions: dict[tuple[str, str], DecisionRecord] = field(default_factory=dict)
    dead: int = 0
    #: A log to read instead of one's own messages.
    replayed: list[bytes] | None = None
    #: Every event as the timelines have it, in their order.
    log: list[bytes] = field(default_factory=list)
    #: The clock of the agents: the newest time any event told of.
    now: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    _offset: int = 0
    _rings: dict[tuple[str, str], list[Entry]] = field(default_factory=lambda: defaultdict(list))

    def run(self, records: Iterable[Record]) -> Choreography:
        """Feed the records in this order, then whatever follows from them."""
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
        return [orjson.loads(m.value) for record in self.decisions.values() for m in _outgoing(record) if m.value]

    def outcomes(self) -> Mapping[tuple[str, str], str]:
        """What was decided, by agent and event."""
        return {key: record.outcome for key, record in self.decisions.items()}

    def _take(self, value: bytes | None, headers: tuple[tuple[str, bytes], ...]) -> list[tuple[str, bytes]]:
        try:
            routed = route(value, headers, max_bytes=900_000, catalogue=CATALOGUE)
        except InvalidEvent:
            self.dead += 1
            return []
        self.log.append(routed.payload)
        self.now = max(self.now, routed.event.time)
        published = []
        for entity in routed.entities:
            self._offset += 1
            for agent in self.agents:
                if agent.entity.name == entity.entity:
                    record = self._decide(agent, routed, entity)
                    if record is not None:
                        published += [(message.id, message.value or b"") for message in _outgoing(record)]
        return published

    def _decide(self, agent: Agent, routed: Routed, entity: EntityRef) -> DecisionRecord | None:
        event, ring = routed.event, self._rings[agent.name, entity.id]
        place: dict[str, Any] = {"offset": self._offset, "time": event.time, "event_id": event.id}
        if event.type in agent.remembers:
            entry = window.fold(ring, **place, payload=routed.payload)
            if entry is not None:
                ring.append(entry)
                del ring[: -agent.window.capacity]
        if event.type not in agent.reacts_to or (agent.name, event.id) in self.decisions:
            return None
        parse_data(event)
        history = shop_history(event, window.history(ring, agent.window, **place, source=event.source))
        verdict = self.decide(agent, history)
        origin = Origin(topic=f"timeline-{entity.entity}", partition=0, offset=self._offset, at=self.now)
        record = decision_record(agent, history, verdict, origin=origin, entity_id=entity.id, decided_at=self.now)
        self.decisions[agent.name, event.id] = record
        return record


def _outgoing(record: DecisionRecord) -> tuple[Message, ...]:
    return record.messages if record.hold is None else record.hold.otherwise
