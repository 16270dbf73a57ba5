"""The graph: who hears what, as it is declared; and what agents emit only where somebody has looked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from shop_catalogue import CATALOGUE as SHOP

from agents import Agent, Decision, Domain, DomainEvent, Entity, Id, OpenEvent, Text, WindowSpec
from agents.model.catalogue import Catalogue
from app.reads.graph import Emission, GraphAgent, GraphTimeline, GraphTopic, Heard, Reaction, Routed, graph_of

AT = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)

repository = Entity("repository", field="repository_id")
person = Entity("person", field="login")


class BuildFailed(DomainEvent, topic="builds", about=(repository, person)):
    repository_id: Id
    login: Id


class BuildPassed(DomainEvent, topic="builds", about=repository):
    repository_id: Id


class Noticed(OpenEvent, topic="notices"):
    text: Text


def agent(name: str, entity: Entity, reacts_to: list[type[DomainEvent]], remembers: list[type[DomainEvent]]) -> Agent:
    made = Agent(
        name=name,
        entity=entity,
        reacts_to=reacts_to,
        remembers=remembers,
        window=WindowSpec(events=5, age=timedelta(days=1)),
    )
    made.rules(lambda *_: Decision(outcome="seen", reason="seen"))
    return made


flaky = agent("flaky", repository, [BuildFailed], [BuildFailed, Noticed])
praise = agent("praise", person, [BuildFailed], [])
CI = Domain(
    name="ci",
    entities=[repository, person],
    events=[BuildFailed, BuildPassed, Noticed],
    agents=[flaky, praise],
    carries=[repository],
)
CATALOGUE = Catalogue([CI])
NOTICED = Emission(agent="flaky", topic="notices", event="Noticed", decisions=3, last_at=AT)


def test_topics_and_timelines_are_those_of_the_declarations() -> None:
    graph = graph_of(CATALOGUE)

    assert graph.topics == [
        GraphTopic(name="builds", events=["BuildFailed", "BuildPassed"]),
        GraphTopic(name="notices", events=["Noticed"]),
    ]
    assert graph.timelines == [
        GraphTimeline(name="timeline-repository", entity="repository", field="repository_id"),
        GraphTimeline(name="timeline-person", entity="person", field="login"),
    ]


def test_a_type_is_routed_to_the_timelines_where_an_agent_wants_it_and_no_others() -> None:
    assert graph_of(CATALOGUE).routed == [
        Routed(topic="builds", timeline="timeline-repository", events=["BuildFailed"]),
        Routed(topic="builds", timeline="timeline-person", events=["BuildFailed"]),
        Routed(topic="notices", timeline="timeline-repository", events=["Noticed"]),
    ]


def test_what_an_operator_asks_for_is_routed_where_it_can_name_the_entity() -> None:
    routed = graph_of(CATALOGUE, asked=["all"]).routed

    assert routed[0] == Routed(topic="builds", timeline="timeline-repository", events=["BuildFailed", "BuildPassed"])
    assert routed[1] == Routed(topic="builds", timeline="timeline-person", events=["BuildFailed"])


def test_an_agent_says_what_reaches_it_from_which_topic() -> None:
    assert graph_of(CATALOGUE).agents[0] == GraphAgent(
        name="flaky",
        domain="ci",
        entity="repository",
        timeline="timeline-repository",
        reacts_to=["BuildFailed"],
        remembers=["BuildFailed", "Noticed"],
        may_ask_a_model=False,
        hears=[
            Heard(topic="builds", reacts_to=["BuildFailed"], remembers=[]),
            Heard(topic="notices", reacts_to=[], remembers=["Noticed"]),
        ],
    )


def test_nothing_is_said_of_what_agents_emit_unless_somebody_looked() -> None:
    graph = graph_of(CATALOGUE)
    assert (graph.observed, graph.emits, graph.reactions) == (False, [], [])

    looked = graph_of(CATALOGUE, emits=[])
    assert (looked.observed, looked.emits, looked.reactions) == (True, [], [])


def test_who_reacts_to_whom_follows_from_what_is_emitted() -> None:
    failed = Emission(agent="praise", topic="builds", event="BuildFailed", decisions=1, last_at=AT)

    graph = graph_of(CATALOGUE, emits=[NOTICED, failed])

    assert graph.emits == [NOTICED, failed]
    # Remembering is no reaction; an agent that hears its own is one.
    assert graph.reactions == [
        Reaction(agent="praise", listener="flaky", events=["BuildFailed"]),
        Reaction(agent="praise", listener="praise", events=["BuildFailed"]),
    ]


def test_what_an_agent_emitted_that_no_loaded_domain_declares_any_more_is_left_out() -> None:
    gone = NOTICED.model_copy(update={"agent": "gone"})
    assert graph_of(CATALOGUE, emits=[gone]).emits == []


def test_a_domain_without_anything_is_an_empty_graph() -> None:
    graph = graph_of(Catalogue([Domain(name="empty")]))
    assert (graph.topics, graph.timelines, graph.agents, graph.routed) == ([], [], [], [])


@pytest.mark.parametrize("name", list(SHOP.agents))
def test_everything_an_agent_of_the_shop_listens_to_comes_from_a_topic_by_its_timeline(name: str) -> None:
    graph = graph_of(SHOP)
    [found] = [each for each in graph.agents if each.name == name]

    heard = {event for each in found.hears for event in (*each.reacts_to, *each.remembers)}
    routed = {event for each in graph.routed if each.timeline == found.timeline for event in each.events}
    assert heard == {*found.reacts_to, *found.remembers}
    assert heard <= routed
