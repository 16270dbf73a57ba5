"""Whole choreographies of a domain in a test: what all agents decide, until nothing is left."""

from __future__ import annotations

from datetime import timedelta

import pytest
from builds import QuarantineRefused, RepositoryQuarantined, TeamTold, builds, failed, passed, repository, tell

from agents import Agent, Decision, Domain, History, WindowSpec
from app.testing import DomainDriver
from app.testing.choreography import Answer


@pytest.fixture
def ci() -> DomainDriver:
    return DomainDriver(builds)


def test_agents_decide_on_what_others_publish_until_nothing_is_left(ci: DomainDriver) -> None:
    told = ci.run([passed(1), failed(2)])

    assert [(each.agent, each.outcome) for each in told.decisions] == [("flaky", "flaky"), ("tell", "told")]
    assert told.events == [RepositoryQuarantined(repository_id="r-1"), TeamTold(repository_id="r-1")]
    assert [message.topic for message in told.published] == ["quarantines", "teams"]
    [decision] = told.of(tell)
    assert decision.published[0].envelope.causationid == told.published[0].envelope.id


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("wait", []),
        ("approve", [RepositoryQuarantined(repository_id="r-1"), TeamTold(repository_id="r-1")]),
        ("reject", [QuarantineRefused(repository_id="r-1"), TeamTold(repository_id="r-1")]),
    ],
)
def test_a_held_decision_is_answered_as_the_test_says(ci: DomainDriver, answer: Answer, told: list[object]) -> None:
    assert ci.run([passed(1), failed(1000)], answer=answer).events == told


def test_some_agents_may_run_alone(ci: DomainDriver) -> None:
    events = [passed(1), failed(2), RepositoryQuarantined(repository_id="r-2")]
    assert [(each.agent, each.entity_id) for each in ci.run(events, agents=[tell]).decisions] == [("tell", "r-2")]


def test_an_event_that_comes_again_is_decided_once(ci: DomainDriver) -> None:
    again = ci.event(failed(2), id="a")
    assert len(ci.run([again, again]).decisions) == 1


def test_the_same_id_from_another_source_is_decided_too(ci: DomainDriver) -> None:
    assert len(ci.run([ci.event(failed(2), id="a"), ci.event(failed(3), id="a", source="urn:other")]).decisions) == 2


def test_what_no_worker_can_read_is_a_dead_letter_and_the_rest_goes_on(ci: DomainDriver) -> None:
    told = ci.run([b"no json", ci.event("BuildFailed", {"repository_id": "r-1"}), failed(1)])

    assert [letter.reason for letter in told.dead_letters] == ["invalid_json", "invalid_data"]
    assert [each.outcome for each in told.decisions] == ["broken"]


def test_a_chain_of_answers_ends_where_a_worker_would_end_it() -> None:
    echo = Agent(
        name="echo",
        entity=repository,
        reacts_to=(TeamTold,),
        remembers=(),
        window=WindowSpec(events=1, age=timedelta(days=1)),
    )

    @echo.rules
    def answer(told: TeamTold, history: History) -> Decision:
        return Decision(outcome="again", reason="", emit=[told])

    ci = DomainDriver(Domain(name="echo", entities=[repository], events=[TeamTold], agents=[echo]))
    told = ci.run([TeamTold(repository_id="r-1")])

    assert [each.status for each in told.decisions] == [*["committed"] * 16, "refused"]
    assert len(told.published) == 16
