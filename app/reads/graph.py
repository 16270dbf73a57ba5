"""Graph: who hears what, as the loaded domains declare it: topics, timelines, agents, and what flows between them.

An agent declares what it listens to, and not what it publishes: that is its code's. So what an agent emits is what its
newest decisions published, where somebody has looked (`observed`), and nothing otherwise.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from pydantic import AwareDatetime

from agents.engine.routing import timeline
from agents.engine.wanted import Wanted
from agents.model.agent import Agent
from agents.model.catalogue import Catalogue
from agents.model.entity import Entity
from agents.model.event import DomainEvent
from app.reads.shapes import Shape
from outbox.database import Database, queries

#: Decisions of each agent that are looked at for what it emits, the newest ones: what is rarer is not seen.
LOOKED_AT: Final = 200

_SQL: Final = queries("graph.sql")


class GraphTopic(Shape):
    """A domain topic."""

    name: str
    events: Sequence[str]
    """The event types that are published to it."""


class GraphTimeline(Shape):
    """The topic with the events of one kind of entity."""

    name: str
    entity: str
    field: str
    """The field of an event's data that holds the entity's id, its key there."""


class Heard(Shape):
    """What reaches an agent from one domain topic, by way of its timeline."""

    topic: str
    reacts_to: Sequence[str]
    """Types that it decides on."""
    remembers: Sequence[str]
    """Types that it remembers and does not decide on."""


class GraphAgent(Shape):
    """An agent with what it listens to."""

    name: str
    domain: str
    """The domain that declares it."""
    entity: str
    timeline: str
    reacts_to: Sequence[str]
    remembers: Sequence[str]
    may_ask_a_model: bool
    """Whether it leaves something for a language model to choose."""
    hears: Sequence[Heard]


class Routed(Shape):
    """Event types of a domain topic that are written to a timeline, where they name such an entity."""

    topic: str
    timeline: str
    events: Sequence[str]


class Emission(Shape):
    """Events of one type that an agent's newest decisions published."""

    agent: str
    topic: str
    event: str
    decisions: int
    """How many of the decisions that were looked at, and when the last one was."""
    last_at: AwareDatetime


class Reaction(Shape):
    """One agent decides on what another one emits."""

    agent: str
    listener: str
    events: Sequence[str]


class Graph(Shape):
    """Who hears what. Everything is in the order of the declarations."""

    topics: Sequence[GraphTopic]
    timelines: Sequence[GraphTimeline]
    agents: Sequence[GraphAgent]
    routed: Sequence[Routed]
    observed: bool
    """Whether it was looked for what agents emit; where not, the next two are empty and say nothing."""
    emits: Sequence[Emission]
    reactions: Sequence[Reaction]


def graph_of(catalogue: Catalogue, *, asked: Collection[str] = (), emits: Sequence[Emission] | None = None) -> Graph:
    """The graph of the loaded domains. Pure.

    `asked` is what timelines hold beyond what agents want (the setting `TIMELINES`); `emits` what was observed of the
    agents, None when nobody looked.
    """
    wanted = Wanted(catalogue, asked)
    events = catalogue.types.events.values()
    owners = {agent.name: domain.name for domain in catalogue.domains for agent in domain.agents}
    agents = [_agent(agent, owners[agent.name], events) for agent in catalogue.agents.values()]
    routed = [
        Routed(topic=topic, timeline=timeline(entity.name), events=types)
        for topic in catalogue.topics
        for entity in catalogue.entities.values()
        if (types := _written(topic, entity, catalogue, wanted))
    ]
    seen = [each for each in emits or () if each.agent in catalogue.agents]
    return Graph(
        topics=[GraphTopic(name=topic, events=_published_to(topic, events)) for topic in catalogue.topics],
        timelines=[
            GraphTimeline(name=timeline(entity.name), entity=entity.name, field=entity.field)
            for entity in catalogue.entities.values()
        ],
        agents=agents,
        routed=routed,
        observed=emits is not None,
        emits=seen,
        reactions=list(_reactions(agents, seen)),
    )


async def observed_emissions(database: Database, agents: Iterable[str]) -> Sequence[Emission]:
    """What the newest decisions of these agents published, whether Kafka has it already or not; no shadow's.

    Raises `DatabaseUnavailable`.
    """
    rows = await database.run(_SQL["emissions"], {"agents": list(agents), "looked_at": LOOKED_AT})
    return [Emission(**row._asdict()) for row in rows]


def _published_to(topic: str, events: Iterable[type[DomainEvent]]) -> list[str]:
    return [event.__name__ for event in events if event.topic == topic]


def _written(topic: str, entity: Entity, catalogue: Catalogue, wanted: Wanted) -> list[str]:
    return [
        name
        for name, event in catalogue.types.events.items()
        if event.topic == topic and catalogue.may_name(event, entity) and wanted.has(entity.name, name)
    ]


def _agent(agent: Agent, domain: str, events: Iterable[type[DomainEvent]]) -> GraphAgent:
    order = [event.__name__ for event in events]
    return GraphAgent(
        name=agent.name,
        domain=domain,
        entity=agent.entity.name,
        timeline=timeline(agent.entity.name),
        reacts_to=[name for name in order if name in agent.reacts_to],
        remembers=[name for name in order if name in agent.remembers],
        may_ask_a_model=agent.choosing is not None,
        hears=_hears(agent, events),
    )


def _hears(agent: Agent, events: Iterable[type[DomainEvent]]) -> list[Heard]:
    by_topic: dict[str, list[str]] = {}
    for event in events:
        if event.__name__ in agent.reacts_to | agent.remembers:
            by_topic.setdefault(event.topic, []).append(event.__name__)
    return [
        Heard(
            topic=topic,
            reacts_to=[name for name in names if name in agent.reacts_to],
            remembers=[name for name in names if name not in agent.reacts_to],
        )
        for topic, names in by_topic.items()
    ]


def _reactions(agents: Sequence[GraphAgent], emits: Iterable[Emission]) -> Iterable[Reaction]:
    emitted: dict[str, set[str]] = {}
    for each in emits:
        emitted.setdefault(each.agent, set()).add(each.event)
    names: Mapping[str, set[str]] = {agent.name: emitted.get(agent.name, set()) for agent in agents}
    for agent in agents:
        for listener in agents:
            if events := [event for event in listener.reacts_to if event in names[agent.name]]:
                yield Reaction(agent=agent.name, listener=listener.name, events=events)
