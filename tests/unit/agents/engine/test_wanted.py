"""Wanted: a timeline has what some agent of its entity wants, and what is asked for besides."""

from __future__ import annotations

from datetime import timedelta

import pytest

from agents import Agent, Domain, DomainEvent, Entity, WindowSpec
from agents.engine.wanted import Wanted, problem_of
from agents.model.catalogue import Catalogue
from agents.model.decision import Decision
from agents.model.event import Id
from agents.model.history import History

machine, room = Entity("machine", "machine_id"), Entity("room", "room_id")


class Overheated(DomainEvent, topic="machines", about=(machine, room)):
    machine_id: Id
    room_id: Id


class Serviced(DomainEvent, topic="machines", about=(machine, room)):
    machine_id: Id
    room_id: Id


class Moved(DomainEvent, topic="machines", about=(machine, room)):
    machine_id: Id
    room_id: Id


def agent(name: str, entity: Entity, *, reacts_to: type[DomainEvent], remembers: type[DomainEvent]) -> Agent:
    made = Agent(
        name=name,
        entity=entity,
        reacts_to=[reacts_to],
        remembers=[remembers],
        window=WindowSpec(events=5, age=timedelta(days=1)),
    )

    @made.rules
    def decide(event: DomainEvent, history: History) -> Decision:
        raise NotImplementedError

    return made


CATALOGUE = Catalogue(
    [
        Domain(
            name="machines",
            entities=[machine, room],
            events=[Overheated, Serviced, Moved],
            agents=[
                agent("cooler", machine, reacts_to=Overheated, remembers=Serviced),
                agent("janitor", room, reacts_to=Moved, remembers=Moved),
            ],
        )
    ]
)
EVERY_TYPE = ("Overheated", "Serviced", "Moved", "Undeclared")


def written(wanted: Wanted, entity: str) -> list[str]:
    return [kind for kind in EVERY_TYPE if wanted.has(entity, kind)]


@pytest.mark.parametrize(
    ("asked", "of_machine", "of_room"),
    [
        ((), ["Overheated", "Serviced"], ["Moved"]),
        (("all",), list(EVERY_TYPE), list(EVERY_TYPE)),
        (("room",), ["Overheated", "Serviced"], list(EVERY_TYPE)),
        (("room:Undeclared", "machine:Moved"), ["Overheated", "Serviced", "Moved"], ["Moved", "Undeclared"]),
    ],
)
def test_what_agents_of_the_entity_want_is_written_and_what_is_asked_for(
    asked: tuple[str, ...], of_machine: list[str], of_room: list[str]
) -> None:
    wanted = Wanted(CATALOGUE, asked)
    assert written(wanted, "machine") == of_machine
    assert written(wanted, "room") == of_room


def test_an_agent_of_no_domain_is_told_what_it_would_never_see() -> None:
    curious = agent("cooler", machine, reacts_to=Overheated, remembers=Moved)
    assert Wanted(CATALOGUE).missing(curious) == ["Moved"]
    assert Wanted(CATALOGUE, ["machine:Moved"]).missing(curious) == []


@pytest.mark.parametrize("asked", ["all", "machine", "room:Moved", "room:Undeclared"])
def test_timelines_are_asked_for_by_name(asked: str) -> None:
    assert problem_of(asked, CATALOGUE) is None


@pytest.mark.parametrize("asked", ["machines", "Moved", "machine:", ":Moved", "timeline-machine", "ALL", "all:Moved"])
def test_what_is_no_timeline_is_refused_with_those_there_are(asked: str) -> None:
    assert problem_of(asked, CATALOGUE) == (
        f"{asked!r} is neither all nor an entity nor entity:Type; the entities are machine, room"
    )
