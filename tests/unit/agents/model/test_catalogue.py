"""Which domains fit together, and what is said in one line of those that do not."""

from __future__ import annotations

import uuid
import warnings
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Literal

import pytest
from pydantic import Field

from agents import (
    Agent,
    Choice,
    Decision,
    Domain,
    DomainEvent,
    DomainInvalid,
    Effect,
    Entity,
    Id,
    OpenEvent,
    Statement,
    WindowSpec,
    platform,
    service,
)
from agents.model.catalogue import Catalogue

repository = Entity("repository", field="repository_id")
branch = Entity("branch", field="branch_id")
WINDOW = WindowSpec(events=5, age=timedelta(days=1))


class BuildFailed(DomainEvent, topic="builds", about=repository):
    repository_id: Id


class BuildPassed(BuildFailed):
    pass


class Noticed(OpenEvent, topic="notices"):
    text: str


class Quarantine(Effect):
    repository_id: Id

    def statements(self, decision_id: uuid.UUID) -> Sequence[Statement]:  # noqa: ARG002
        return []


def agent(name: str = "flaky", *, rules: bool = True, **changes: Any) -> Agent:
    given: dict[str, Any] = {
        "entity": repository,
        "reacts_to": (BuildFailed,),
        "remembers": (BuildFailed,),
        "window": WINDOW,
    }
    made = Agent(name=name, **given | changes)
    if rules:
        made.rules(lambda _event, _history: Decision(outcome="seen", reason="seen"))
    return made


def domain(**changes: Any) -> Domain:
    given: dict[str, Any] = {
        "name": "ci",
        "entities": [repository],
        "events": [BuildFailed, BuildPassed],
        "agents": [agent()],
        "effects": [Quarantine],
    }
    return Domain(**given | changes)


def event(name: str = "Odd", *, topic: str | None = "builds", about: Any = repository, **fields: Any) -> Any:
    annotations = {"repository_id": Id} | fields
    body = {"__annotations__": annotations, "__module__": __name__}
    metaclass: Any = type(DomainEvent)
    return metaclass(name, (DomainEvent,), body, topic=topic, about=about)


def hiding(base: Any, field: str, **how: Any) -> Any:
    """A class with a field that hides something; pydantic warns of it, and goes on."""
    body = {"__annotations__": {"repository_id": Id, field: str}, "__module__": __name__}
    with warnings.catch_warnings(action="ignore"):
        return type(base)("Odd", (base,), body, **how)


def renamed(kind: Any, name: str) -> Any:
    return type(kind)(name, (kind,), {"__module__": __name__})


class Untold(Choice):
    pass


def chooses(form: Any, **how: Any) -> Agent:
    made = agent()
    made.model(form, **how)(lambda *_: Decision(outcome="x", reason="y"))
    return made


def itself() -> Domain:
    first = Domain(name="first")
    second = Domain(name="second", uses=[first])
    object.__setattr__(first, "uses", (second,))
    return second


class Aliased(DomainEvent, topic="builds", about=repository):
    repository_id: Id = Field(alias="repo")


class OneWay(DomainEvent, topic="builds"):
    text: str = Field(validation_alias="words")


class OddKind(Quarantine, kind="Odd Kind"):
    pass


class Abstract(Effect):
    pass


WRONG: dict[str, tuple[Any, str]] = {
    "name": (lambda: domain(name="CI"), "domain name 'CI': expected lower-case letters, digits and _, at most 40"),
    "no name": (lambda: domain(name=""), "domain name '': expected lower-case letters, digits and _, at most 40"),
    "name of another type": (lambda: domain(name=None), "domain None: name must be a text, got NoneType"),
    "one entity": (lambda: domain(entities=repository), "domain ci: entities must be a sequence, got Entity"),
    "one event": (lambda: domain(events=BuildFailed), "domain ci: events must be a sequence, got BuildFailed"),
    "a text": (lambda: domain(agents="flaky"), "domain ci: agents must be a sequence, got str"),
    "names": (
        lambda: domain(entities=["repository"]),
        "domain ci: entities must be a sequence of Entity, got str in it",
    ),
    "class of agent": (lambda: domain(agents=[Agent]), "domain ci: agents must be a sequence of Agent, got type in it"),
    "event for its class": (
        lambda: domain(events=[BuildFailed(repository_id="r-1")]),
        "domain ci: events must be a sequence of classes of DomainEvent",
    ),
    "effect for its class": (
        lambda: domain(effects=[Quarantine(repository_id="r-1")]),
        "domain ci: effects must be a sequence of classes of Effect",
    ),
    "effect among events": (
        lambda: domain(events=[Quarantine]),
        "domain ci: events must be a sequence of classes of DomainEvent",
    ),
    "migrations": (lambda: domain(migrations=["a:b"]), "domain ci: migrations must be a text, got list"),
    "used by name": (lambda: domain(uses=["platform"]), "domain ci: uses must be a sequence of Domain, got str in it"),
    "entity twice": (
        lambda: domain(entities=[repository, repository]),
        "domain ci: two entities are called repository",
    ),
    "event twice": (lambda: domain(events=[BuildFailed, BuildFailed]), "domain ci: two events are called BuildFailed"),
    "agent twice": (lambda: domain(agents=[agent(), agent()]), "domain ci: two agents are called flaky"),
    "effect twice": (lambda: domain(effects=[Quarantine, Quarantine]), "domain ci: two effects are called quarantine"),
    "entity of the platform": (
        lambda: domain(entities=[repository, Entity("service", field="name")], uses=[platform]),
        "domain platform and domain ci: two entities are called service",
    ),
    "event of the platform": (
        lambda: domain(events=[BuildFailed, event("ServiceDeployed")], uses=[platform]),
        "domain platform and domain ci: two events are called ServiceDeployed",
    ),
    "agent of the platform": (
        lambda: domain(agents=[agent("incident")], uses=[platform]),
        "domain platform and domain ci: two agents are called incident",
    ),
    "uses itself": (itself, "domain second uses itself: second → first → second"),
    "two of one name": (lambda: domain(uses=[domain()]), "domain ci uses itself: ci → ci"),
    "carries": (lambda: domain(carries=[branch]), "carries: no loaded domain declares the entity branch"),
    "no topic": (
        lambda: domain(events=[BuildFailed, event(topic=None)]),
        "domain ci: event Odd: expected a topic (`topic=...` behind its bases), got ''",
    ),
    "impossible topic": (
        lambda: domain(events=[BuildFailed, event(topic="my topic")]),
        "domain ci: event Odd: expected a topic (`topic=...` behind its bases), got 'my topic'",
    ),
    "topic of dead letters": (
        lambda: domain(events=[BuildFailed, event(topic="dead-letters")]),
        "domain ci: event Odd: the topic dead-letters is written by Innervate itself",
    ),
    "timeline": (
        lambda: domain(events=[BuildFailed, event(topic="timeline-branch")]),
        "domain ci: event Odd: the topic timeline-branch is written by Innervate itself",
    ),
    "about nobody's": (
        lambda: domain(events=[BuildFailed, event(about=[branch], branch_id=str)]),
        "domain ci: event Odd: no loaded domain declares the entity branch",
    ),
    "about another's namesake": (
        lambda: domain(events=[BuildFailed, event(about=Entity("repository", field="id"), id=str)]),
        "domain ci: event Odd: no loaded domain declares the entity repository",
    ),
    "no field": (
        lambda: domain(entities=[repository, branch], events=[BuildFailed, event(about=[repository, branch])]),
        "domain ci: event Odd: it is about a branch and has no field branch_id",
    ),
    "number": (
        lambda: domain(events=[BuildFailed, event(repository_id=int)]),
        "domain ci: event Odd: repository_id must be a text, as an id is",
    ),
    "word of a list": (
        lambda: domain(events=[BuildFailed, event(repository_id=Literal["a"])]),
        "domain ci: event Odd: repository_id must be a text, as an id is",
    ),
    "alias of an id": (
        lambda: domain(events=[BuildFailed, Aliased]),
        "domain ci: event Aliased: repository_id is what it is about and can have no alias",
    ),
    "read only": (
        lambda: domain(events=[BuildFailed, OneWay]),
        "domain ci: event OneWay: text must be read and written under the same alias",
    ),
    "hidden": (
        lambda: domain(events=[BuildFailed, hiding(DomainEvent, "kafka_key", topic="builds")]),
        "domain ci: event Odd: the field kafka_key hides what Innervate needs: call it otherwise, with an alias",
    ),
    "kind": (
        lambda: domain(effects=[OddKind]),
        "domain ci: effect OddKind: kind 'Odd Kind': expected lower-case letters, digits and _, at most 40",
    ),
    "field kind": (
        lambda: domain(effects=[hiding(Quarantine, "kind")]),
        "domain ci: effect Odd: the field kind hides what Innervate needs: call it otherwise, with an alias",
    ),
    "field events": (
        lambda: domain(effects=[hiding(Quarantine, "events")]),
        "domain ci: effect Odd: the field events hides what Innervate needs: call it otherwise, with an alias",
    ),
    "no statements": (
        lambda: domain(effects=[Abstract]),
        "domain ci: effect Abstract: it does not say what is written (`statements`)",
    ),
    "no rules": (lambda: domain(agents=[agent(rules=False)]), "domain ci: agent flaky: it has no rules"),
    "reacts to nothing": (
        lambda: domain(agents=[agent(reacts_to=())]),
        "domain ci: agent flaky: it reacts to nothing",
    ),
    "entity of nobody": (
        lambda: domain(agents=[agent(entity=branch)]),
        "domain ci: agent flaky: no loaded domain declares the entity branch",
    ),
    "event of nobody": (
        lambda: domain(agents=[agent(remembers=(Noticed,))]),
        "domain ci: agent flaky: no loaded domain declares the event Noticed",
    ),
    "event of another class": (
        lambda: domain(agents=[agent(reacts_to=(renamed(BuildFailed, "BuildPassed"),))]),
        "domain ci: agent flaky: no loaded domain declares the event BuildPassed",
    ),
    "about somebody else": (
        lambda: domain(entities=[repository, branch], agents=[agent(entity=branch)]),
        "domain ci: agent flaky: BuildFailed is about no branch",
    ),
    "asked about what it passes by": (
        lambda: domain(agents=[chooses(Untold, on=(BuildPassed,))]),
        "domain ci: agent flaky: a model is asked about BuildPassed, which it never decides on",
    ),
    "no task": (
        lambda: domain(agents=[chooses(Untold)]),
        "domain ci: agent flaky: the docstring of Untold says no task to a model",
    ),
    "no form": (
        lambda: domain(agents=[chooses(BuildFailed)]),
        "domain ci: agent flaky: the form of its model must be a class of Choice",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("make", "why"), WRONG.values(), ids=WRONG)
def test_what_does_not_fit_together_is_refused_in_one_line(make: Any, why: str) -> None:
    with pytest.raises(DomainInvalid) as refused:
        Catalogue([make()], reserved=["dead-letters"])

    assert str(refused.value) == why


def test_an_effect_that_has_no_json_form_is_refused_in_one_line() -> None:
    class Odd(Quarantine):
        how: Callable[[], int]

    with pytest.raises(DomainInvalid, match="domain ci: effect Odd: it cannot be kept while a person is asked: ") as no:
        Catalogue([domain(effects=[Odd])])
    assert "\n" not in str(no.value)


def test_two_domains_of_one_name_are_refused_and_one_that_comes_twice_is_loaded_once() -> None:
    with pytest.raises(DomainInvalid, match=r"^two domains are called ci$"):
        Catalogue([domain(), domain()])

    ci = domain(uses=[platform])
    assert Catalogue([ci, platform, ci]).domains == (platform, ci)


def test_a_domain_of_nothing_but_a_name_fits() -> None:
    catalogue = Catalogue([Domain(name="empty")])

    assert (dict(catalogue.entities), dict(catalogue.agents), catalogue.topics) == ({}, {}, ())


def test_no_domain_at_all_fits_and_declares_nothing() -> None:
    assert Catalogue([]).topics == ()


def test_an_agent_may_react_to_and_remember_what_a_used_domain_declares() -> None:
    watcher = agent("watcher", entity=service, reacts_to=platform.events[:2], remembers=platform.events[1:2])

    catalogue = Catalogue([domain(agents=[watcher], uses=[platform])])

    assert list(catalogue.agents) == ["watcher", "cascade", "incident"]


def test_an_agent_may_remember_nothing() -> None:
    assert Catalogue([domain(agents=[agent(remembers=())])]).agents["flaky"].remembers == frozenset()


def test_an_agent_of_an_own_entity_may_read_the_open_events_of_another_domain() -> None:
    notices = Domain(name="notices", events=[Noticed])
    reader = agent("reader", reacts_to=[Noticed], remembers=[Noticed])

    catalogue = Catalogue([domain(agents=[reader], uses=[notices], carries=[repository])])

    assert catalogue.topics == ("builds", "notices")


def test_two_entities_may_share_a_field_and_an_event_may_be_about_both() -> None:
    mirror = Entity("mirror", field="repository_id")

    catalogue = Catalogue(
        [domain(entities=[repository, mirror], events=[event(about=[repository, mirror])], agents=[])]
    )

    assert list(catalogue.entities) == ["repository", "mirror"]


def test_an_id_may_be_missing_where_the_model_says_so() -> None:
    assert Catalogue([domain(events=[BuildFailed, event(repository_id=Id | None)])]).topics == ("builds",)


def test_generators_will_do_for_sequences() -> None:
    once = domain(events=(kind for kind in (BuildFailed, BuildPassed)))

    assert list(Catalogue([once]).types.events) == ["BuildFailed", "BuildPassed"]
    assert list(Catalogue([once]).types.events) == ["BuildFailed", "BuildPassed"]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"reacts_to": BuildFailed}, "agent flaky: reacts_to must be a sequence of classes of events"),
        ({"remembers": "BuildFailed"}, "agent flaky: remembers must be a sequence of classes of events"),
        ({"remembers": ["BuildFailed"]}, "agent flaky: remembers must be a sequence of classes of events"),
        ({"reacts_to": [Quarantine]}, "agent flaky: reacts_to must be a sequence of classes of events"),
        ({"entity": "repository"}, "agent flaky: entity must be an Entity, got str"),
        ({"window": 50}, "agent flaky: window must be a WindowSpec, got int"),
    ],
)
def test_an_agent_of_other_things_than_it_is_made_of_is_refused(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(TypeError) as refused:
        agent(**changes)
    assert str(refused.value) == why


@pytest.mark.parametrize("name", ["router", "all", "shadow"])
def test_an_agent_is_not_called_as_innervate_itself_is(name: str) -> None:
    with pytest.raises(ValueError, match=rf"^agent name '{name}': Innervate itself is called so$"):
        agent(name)


@pytest.mark.parametrize("name", ["flaky@v2", "flaky-v2", "flaky,other", "Flaky", "_flaky", "4flaky", "f" * 41, ""])
def test_an_agents_name_holds_nothing_that_separates_names_elsewhere(name: str) -> None:
    with pytest.raises(ValueError, match="expected lower-case letters, digits and _, at most 40"):
        agent(name)


@pytest.mark.parametrize("about", ["repository", ["repository"], [repository, "branch"], [DomainEvent]])
def test_an_event_about_something_else_than_entities_is_refused(about: Any) -> None:
    with pytest.raises(TypeError, match=r"^event Odd: about must be an Entity, or several$"):
        event(about=about)
