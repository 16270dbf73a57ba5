"""Command that shows who hears what: `agents-graph`. What agents emit is looked up in PostgreSQL, where it answers.

Besides JSON it writes a drawing: for Graphviz (`--dot`) or Mermaid (`--mermaid`). It needs neither Kafka nor a worker.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from faust.cli import option

from agents.model.text import escaped
from app.commands.lists import JSON, answer
from app.commands.terminal import Terminal, command
from app.reads.graph import Emission, Graph, graph_of, observed_emissions
from app.settings import Settings
from outbox.database import Database
from outbox.errors import DatabaseUnavailable

_DOT: Final = option("--dot", "as_dot", is_flag=True, help="Print a drawing for Graphviz.")
_MERMAID: Final = option("--mermaid", "as_mermaid", is_flag=True, help="Print a drawing for Mermaid.")
_DECLARED: Final = option("--declared", is_flag=True, help="Only what is declared: ask PostgreSQL nothing.")

#: An arrow of a drawing: from, to, what it says.
Arrow = tuple[str, str, str]


@command(JSON, _DOT, _MERMAID, _DECLARED)
async def agents_graph(
    terminal: Terminal, settings: Settings, *, as_json: bool, as_dot: bool, as_mermaid: bool, declared: bool
) -> None:
    """Show which topics' events reach which agents, and what agents emit, as far as it was observed."""
    emits = None if declared else await _observed(settings)
    graph = graph_of(settings.catalogue, asked=settings.timelines, emits=emits)
    if as_json or terminal.json:
        answer(terminal, graph)
    elif as_dot:
        terminal.say(dot(graph))
    elif as_mermaid:
        terminal.say(mermaid(graph))
    else:
        terminal.say("\n".join(map(escaped, listed(graph))))


async def _observed(settings: Settings) -> Sequence[Emission] | None:
    """What agents emitted; None where PostgreSQL does not answer: what is declared is there all the same."""
    database = Database(settings.database_url)
    try:
        return await observed_emissions(database, settings.catalogue.agents)
    except DatabaseUnavailable:
        return None
    finally:
        await database.close()


def listed(graph: Graph) -> Iterator[str]:
    """The graph line by line."""
    for topic in graph.topics:
        yield f"topic {topic.name}: {', '.join(topic.events)}"
        for routed in graph.routed:
            if routed.topic == topic.name:
                yield f"  to {routed.timeline}: {', '.join(routed.events)}"
    for agent in graph.agents:
        yield f"agent {agent.name} of {agent.timeline}, domain {agent.domain}"
        for heard in agent.hears:
            told = [("reacts to", heard.reacts_to), ("remembers", heard.remembers)]
            yield from (f"  {how} {', '.join(events)} from {heard.topic}" for how, events in told if events)
        for target, events in _emitted(graph, agent.name).items():
            yield f"  emits {', '.join(events)} to {target}"
        for reaction in graph.reactions:
            if reaction.agent == agent.name:
                yield f"  is heard by {reaction.listener}: {', '.join(reaction.events)}"
    if not graph.observed:
        yield "what agents emit is not known: no database was asked"


def dot(graph: Graph) -> str:
    """The graph for Graphviz."""
    lines = ["digraph agents {", "  rankdir=LR;"]
    shapes = {"topic": "cylinder", "timeline": "cds", "agent": "box"}
    for kind, name in _nodes(graph):
        lines.append(f"  {_quoted(f'{kind} {name}')} [label={_quoted(name)}, shape={shapes[kind]}];")
    lines += [f"  {_quoted(start)} -> {_quoted(end)} [label={_quoted(label)}];" for start, end, label in _arrows(graph)]
    return "\n".join([*lines, "}"])


def mermaid(graph: Graph) -> str:
    """The graph for Mermaid."""
    numbers = {f"{kind} {name}": f"n{number}" for number, (kind, name) in enumerate(_nodes(graph))}
    brackets = {"topic": ("[(", ")]"), "timeline": ("[[", "]]"), "agent": ("(", ")")}
    lines = ["flowchart LR"]
    for kind, name in _nodes(graph):
        left, right = brackets[kind]
        lines.append(f"  {numbers[f'{kind} {name}']}{left}{_entity(name)}{right}")
    lines += [f"  {numbers[start]} -->|{_entity(label)}| {numbers[end]}" for start, end, label in _arrows(graph)]
    return "\n".join(lines)


def _nodes(graph: Graph) -> Iterator[tuple[str, str]]:
    # A topic that no loaded domain declares may still be one that a message went to.
    declared = [topic.name for topic in graph.topics]
    yield from (("topic", name) for name in dict.fromkeys([*declared, *(one.topic for one in graph.emits)]))
    yield from (("timeline", timeline.name) for timeline in graph.timelines)
    yield from (("agent", agent.name) for agent in graph.agents)


def _arrows(graph: Graph) -> Iterator[Arrow]:
    for routed in graph.routed:
        yield f"topic {routed.topic}", f"timeline {routed.timeline}", ", ".join(routed.events)
    for agent in graph.agents:
        yield f"timeline {agent.timeline}", f"agent {agent.name}", ", ".join(agent.reacts_to)
        for topic, events in _emitted(graph, agent.name).items():
            yield f"agent {agent.name}", f"topic {topic}", ", ".join(events)


def _emitted(graph: Graph, agent: str) -> dict[str, list[str]]:
    by_topic: dict[str, list[str]] = {}
    for one in graph.emits:
        if one.agent == agent:
            by_topic.setdefault(one.topic, []).append(one.event)
    return by_topic


def _quoted(text: str) -> str:
    """A text in quotes, as Graphviz reads it."""
    plain = escaped(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{plain}"'


def _entity(text: str) -> str:
    """A text in quotes, as Mermaid reads it."""
    plain = escaped(text).replace("#", "#35;").replace('"', "#quot;").replace("<", "#lt;").replace(">", "#gt;")
    return f'"{plain}"'
