"""Agents of a worker, and what they remember of an entity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from agents.engine.routing import timeline
from app.reads.shapes import Shape
from app.worker.stream import AgentStream
from tables.window import latest


class Slots(Shape):
    """Places of a window that are kept for some types."""

    types: Sequence[str]
    events: int


class WindowSize(Shape):
    """How much an agent remembers of an entity."""

    events: int
    age_seconds: float
    slots: Sequence[Slots]


class AgentShape(Shape):
    """An agent of this worker's set."""

    name: str
    entity: str
    reacts_to: Sequence[str]
    remembers: Sequence[str]
    window: WindowSize
    timeline: str
    changelog: str
    in_flight: int
    """Events it has read and not finished."""


class Agents(Shape):
    """The agents of this worker's set."""

    set: str
    agents: Sequence[AgentShape]
    next: None = None


class Remembered(Shape):
    """An event in a window."""

    offset: int
    event: dict[str, Any]
    """The event as it is in the timeline."""


class Window(Shape):
    """What an agent remembers of an entity, oldest first."""

    agent: str
    entity: str
    entity_id: str
    partition: int
    events: Sequence[Remembered]
    next: None = None


def agents(agent_set: str, streams: Sequence[AgentStream]) -> Agents:
    """What this worker runs."""
    return Agents(set=agent_set, agents=list(map(_agent, streams)))


def window(stream: AgentStream, partition: int, entity_id: str) -> Window:
    """What the agent remembers of one entity, which this worker must own."""
    entries = latest(stream.windows.read(partition, entity_id), stream.windows.spec)
    return Window(
        agent=stream.agent.name,
        entity=stream.agent.entity.name,
        entity_id=entity_id,
        partition=partition,
        events=[Remembered(offset=entry.offset, event=orjson.loads(entry.payload)) for entry in entries],
    )


def _agent(stream: AgentStream) -> AgentShape:
    agent, spec = stream.agent, stream.windows.spec
    return AgentShape(
        name=agent.name,
        entity=agent.entity.name,
        reacts_to=sorted(agent.reacts_to),
        remembers=sorted(agent.remembers),
        window=WindowSize(
            events=spec.events,
            age_seconds=spec.age.total_seconds(),
            slots=[Slots(types=sorted(ring.types), events=ring.events) for ring in spec.rings],
        ),
        timeline=timeline(agent.entity.name),
        changelog=stream.changelog,
        in_flight=0 if stream.loop is None else len(stream.loop.acks),
    )
