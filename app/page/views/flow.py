"""Flow: who hears whom and what moves now, drawn and as a list; and which service's trouble reached which other one."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from app.page.drawing import Drawing, Edge, Node, drawn
from app.page.view import Shown, View, Visit
from app.reads.causes import Verdict, verdicts
from app.reads.graph import Emission, Graph, graph_of, observed_emissions
from app.reads.now import rates
from app.reads.workers import WorkerPartition, WorkersQuery, workers

#: Decisions a minute at which a line is as thick as it gets.
_THICKEST: Final = 6000
_TOPICS, _TIMELINES, _AGENTS, _PUBLISHED = range(4)


@dataclass(frozen=True, slots=True)
class AgentRow:
    """An agent in the list: what it hears, what it said lately, how it keeps up."""

    name: str
    domain: str
    entity: str
    may_ask_a_model: bool
    reacts_to: Sequence[str]
    emits: Sequence[Emission]
    #: Who decides on what it emits.
    listeners: Sequence[str]
    per_minute: int
    #: Records of its timeline that it has not read yet; None where no worker says.
    lag: int | None


async def show(visit: Visit) -> Shown:
    """The declared graph with what was observed of it."""
    parts = visit.parts
    catalogue = parts.settings.catalogue
    emits = await observed_emissions(parts.database, catalogue.agents)
    graph = graph_of(catalogue, asked=parts.settings.timelines, emits=emits)
    moved = await rates(parts.database, list(catalogue.agents))
    page = await workers(parts.database, WorkersQuery(limit=500, status="alive"))
    behind = lag(worker.partitions for worker in page.workers)
    blamed = await verdicts(parts.database, catalogue)
    services = service_drawing(blamed) if blamed else None
    context = {
        "graph": graph,
        "rows": rows(graph, moved, behind),
        "drawing": drawing(graph, moved),
        "lag": behind,
        "verdicts": blamed,
        "services": services,
    }
    return Shown(template="flow.html", context=context)


def lag(partitions: Iterable[Sequence[WorkerPartition]]) -> Mapping[str, int]:
    """Records that are not read yet, by topic; of a partition that several told of, the least."""
    found: dict[tuple[str, int], int] = {}
    for each in (partition for told in partitions for partition in told):
        place = each.topic, each.partition
        found[place] = min(each.lag, found.get(place, each.lag))
    total: defaultdict[str, int] = defaultdict(int)
    for (topic, _), records in found.items():
        total[topic] += records
    return total


def rows(graph: Graph, moved: Mapping[str, int], behind: Mapping[str, int]) -> Sequence[AgentRow]:
    """The agents as a list."""
    return [
        AgentRow(
            name=agent.name,
            domain=agent.domain,
            entity=agent.entity,
            may_ask_a_model=agent.may_ask_a_model,
            reacts_to=agent.reacts_to,
            emits=[each for each in graph.emits if each.agent == agent.name],
            listeners=[each.listener for each in graph.reactions if each.agent == agent.name],
            per_minute=moved.get(agent.name, 0),
            lag=behind.get(agent.timeline),
        )
        for agent in graph.agents
    ]


def drawing(graph: Graph, moved: Mapping[str, int]) -> Drawing:
    """Domain topics, timelines, agents, and the domain topics again that they publish to."""
    published = dict.fromkeys(each.topic for each in graph.emits)
    nodes = [
        *(Node(f"topic {topic.name}", _TOPICS, topic.name) for topic in graph.topics),
        *(Node(f"timeline {timeline.name}", _TIMELINES, timeline.name) for timeline in graph.timelines),
        *(Node(f"agent {agent.name}", _AGENTS, agent.name) for agent in graph.agents),
        *(Node(f"published {topic}", _PUBLISHED, topic) for topic in published),
    ]
    said: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for each in graph.emits:
        said[each.agent, each.topic].append(each.event)
    edges = [
        *(Edge(f"topic {each.topic}", f"timeline {each.timeline}", ", ".join(each.events)) for each in graph.routed),
        *(
            Edge(
                f"timeline {agent.timeline}",
                f"agent {agent.name}",
                f"{agent.name} decides on {', '.join(agent.reacts_to)}",
                weight(moved.get(agent.name, 0)),
            )
            for agent in graph.agents
        ),
        *(
            Edge(
                f"agent {agent}",
                f"published {topic}",
                f"{agent} publishes {', '.join(events)}",
                weight(moved.get(agent, 0)),
            )
            for (agent, topic), events in said.items()
        ),
    ]
    return drawn(nodes, edges)


def service_drawing(blamed: Sequence[Verdict]) -> Drawing:
    """The services on the ways from alarms to their causes, alarms on the left."""
    column: dict[str, int] = {}
    for verdict in blamed:
        for at, service in enumerate(verdict.path):
            column[service] = max(at, column.get(service, 0))
    steps = dict.fromkeys(step for verdict in blamed for step in pairwise(verdict.path))
    culprits = {verdict.culprit_service for verdict in blamed}
    nodes = [Node(service, at, service, "culprit" if service in culprits else "") for service, at in column.items()]
    return drawn(nodes, [Edge(caller, called, f"{caller} calls {called}") for caller, called in steps])


def weight(per_minute: int) -> float:
    """How thick a line is, 0 to 1: each tenfold adds the same."""
    return math.log1p(per_minute) / math.log1p(_THICKEST)


VIEW: Final = View(path="/ui/flow", title="Flow", answer=show, in_navigation=True)
