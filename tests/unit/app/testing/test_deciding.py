"""What a domain's test sees of one decision: as a worker would decide and write it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from builds import (
    BuildFailed,
    BuildPassed,
    FlakyChoice,
    Quarantine,
    QuarantineRefused,
    RepositoryQuarantined,
    builds,
    failed,
    flaky,
    passed,
    repository,
    tell,
)

from agents import Agent, Decision, Domain, DomainEvent, DomainInvalid, History, Id, WindowSpec
from app.testing import DecisionFailed, DomainDriver, HoldPolicy, InvalidEvent, NothingToDecide


@pytest.fixture
def ci() -> DomainDriver:
    return DomainDriver(builds)


def test_an_agent_decides_on_what_it_has_seen(ci: DomainDriver) -> None:
    decision = ci.decide(flaky, failed(3), after=[passed(1), failed(2)])

    assert (decision.outcome, decision.reason, decision.confidence) == ("flaky", "knows [1, 2]", 0.7)
    assert (decision.agent, decision.brain, decision.status, decision.held_for) == ("flaky", "rules", "committed", None)
    assert (decision.entity_id, decision.event_id) == ("r-1", "event-3")


def test_what_is_published_has_its_topic_key_subject_data_and_cause(ci: DomainDriver) -> None:
    [message] = ci.decide(flaky, failed(2), after=[passed(1)]).published

    assert (message.topic, message.key, message.type) == ("quarantines", "r-1", "RepositoryQuarantined")
    assert (message.subject, message.data) == ("r-1", {"repository_id": "r-1"})
    assert message.event == RepositoryQuarantined(repository_id="r-1")
    assert (message.envelope.source, message.envelope.causationid) == ("urn:innervate:agent:flaky", "event-2")


def test_what_is_done_is_the_effect_and_its_statements(ci: DomainDriver) -> None:
    decision = ci.decide(flaky, failed(2), after=[passed(1)])

    assert decision.effects == [Quarantine(repository_id="r-1")]
    assert decision.statements == [
        ("INSERT INTO quarantines VALUES (%(id)s, %(by)s)", {"id": "r-1", "by": str(decision.record.id)}),
    ]
    assert decision.refused.events == [QuarantineRefused(repository_id="r-1")]


def test_an_event_of_another_entity_is_not_in_the_history(ci: DomainDriver) -> None:
    assert ci.decide(flaky, failed(2), after=[passed(1, "r-2")]).reason == "knows []"


def test_the_window_is_bound_by_events_and_by_age(ci: DomainDriver) -> None:
    assert ci.decide(flaky, failed(5), after=[passed(n) for n in range(1, 5)]).reason == "knows [2, 3, 4]"
    day_later = ci.event(failed(3), later=timedelta(days=1))
    assert ci.decide(flaky, day_later, after=[passed(1), passed(2)]).reason == "knows [2]"


def test_a_copy_counts_once_and_the_same_id_of_another_source_is_another_event(ci: DomainDriver) -> None:
    first, copy = (ci.event(passed(1), id="a") for _ in range(2))
    other = ci.event(passed(2), id="a", source="urn:other")
    assert ci.decide(flaky, failed(3), after=[first, copy, other]).reason == "knows [1, 2]"


def test_times_are_absolute_and_a_minute_apart(ci: DomainDriver) -> None:
    noon = datetime(2024, 5, 1, 12, tzinfo=UTC)
    an_hour_later = ci.event(passed(2), at=noon + timedelta(hours=1))

    history = ci.decide(flaky, failed(4), after=[passed(1), an_hour_later, passed(3)]).history

    minutes = [(past.at - noon) // timedelta(minutes=1) for past in history.of(DomainEvent)]
    assert (minutes, history.at) == ([0, 60, 61], noon + timedelta(minutes=62))


def test_a_time_without_a_zone_is_refused_and_so_is_data_beside_data(ci: DomainDriver) -> None:
    with pytest.raises(ValueError, match="a time needs a zone"):
        ci.event(passed(1), at=datetime(2024, 5, 1, 12))  # noqa: DTZ001 - what is refused
    with pytest.raises(ValueError, match="BuildPassed has its data already"):
        ci.event(passed(1), {"number": 2})


def test_the_same_test_gives_the_same_bytes(ci: DomainDriver) -> None:
    first, second = (ci.decide(flaky, failed(2), after=[passed(1)]).record for _ in range(2))
    assert first == second


def test_data_that_is_not_of_its_type_is_refused_as_the_router_does(ci: DomainDriver) -> None:
    with pytest.raises(InvalidEvent, match=r"BuildFailed data\.number: "):
        ci.decide(flaky, ci.event("BuildFailed", {"repository_id": "r-1", "number": "two"}))
    with pytest.raises(InvalidEvent, match="at most 256 bytes"):
        ci.decide(flaky, ci.event("BuildFailed", {"repository_id": "ß" * 200, "number": 1}))


def test_an_event_that_no_domain_declares_is_refused(ci: DomainDriver) -> None:
    class Elsewhere(DomainEvent, topic="builds", about=repository):
        repository_id: Id

    with pytest.raises(DomainInvalid, match="no loaded domain declares the event Elsewhere"):
        ci.decide(flaky, failed(1), after=[Elsewhere(repository_id="r-1")])


def test_a_decision_that_emits_what_no_domain_declares_fails_as_in_a_worker() -> None:
    wrong = Agent(
        name="wrong",
        entity=repository,
        reacts_to=(BuildPassed,),
        remembers=(),
        window=WindowSpec(events=1, age=timedelta(days=1)),
    )

    @wrong.rules
    def judge(build: BuildPassed, history: History) -> Decision:
        return Decision(outcome="told", reason="", emit=[RepositoryQuarantined(repository_id=build.repository_id)])

    ci = DomainDriver(Domain(name="other", entities=[repository], events=[BuildPassed], agents=[wrong]))
    with pytest.raises(DecisionFailed, match="no loaded domain declares the event RepositoryQuarantined"):
        ci.decide(wrong, passed(1))


def test_a_type_with_slots_is_not_pushed_out_by_others() -> None:
    def told(slots: dict[Any, int]) -> str:
        watcher = Agent(
            name="watcher",
            entity=repository,
            reacts_to=(BuildFailed,),
            remembers=(BuildPassed, BuildFailed),
            window=WindowSpec(events=5, age=timedelta(days=1)),
            slots=slots,
        )

        @watcher.rules
        def judge(build: BuildFailed, history: History) -> Decision:
            return Decision(outcome="told", reason=" ".join(event.type for event in history.events()))

        ci = DomainDriver(
            Domain(name="other", entities=[repository], events=[BuildPassed, BuildFailed], agents=[watcher])
        )
        return ci.decide(watcher, failed(99), after=[passed(1), *(failed(number) for number in range(2, 40))]).reason

    assert told({}) == "BuildFailed " * 4 + "BuildFailed"
    assert told({BuildPassed: 1}) == "BuildPassed " + "BuildFailed " * 4 + "BuildFailed"


def test_a_domain_with_which_no_worker_starts_is_refused() -> None:
    with pytest.raises(DomainInvalid, match="no loaded domain declares the entity repository"):
        DomainDriver(Domain(name="half", events=[BuildPassed]))


def test_what_the_rules_raise_fails_the_test(ci: DomainDriver) -> None:
    with pytest.raises(DecisionFailed, match="ZeroDivisionError") as caught:
        ci.decide(flaky, failed(13))
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_an_event_the_agent_is_not_asked_about_is_no_decision(ci: DomainDriver) -> None:
    with pytest.raises(NothingToDecide, match="flaky does not react to BuildPassed"):
        ci.decide(flaky, passed(1))
    with pytest.raises(ValueError, match="no agent is called nobody: there are flaky, tell"):
        ci.decide("nobody", failed(1))


def test_a_decision_that_an_agent_or_an_operator_holds_does_nothing_until_it_is_answered(ci: DomainDriver) -> None:
    by_agent = ci.decide(flaky, failed(1000), after=[passed(1)])
    by_policy = ci.decide(flaky, failed(2), after=[passed(1)], hold=HoldPolicy(confidence_under=0.8))

    assert [(each.status, each.held_for) for each in (by_agent, by_policy)] == [
        ("held", "large"),
        ("held", "confidence"),
    ]
    for held in (by_agent, by_policy):
        assert (held.status, held.published, held.effects, held.statements) == ("held", [], [], [])
        assert held.approved.events == [RepositoryQuarantined(repository_id="r-1")]
        assert held.approved.effects == [Quarantine(repository_id="r-1")]
        assert len(held.approved.statements) == 1
        assert held.rejected.events == [QuarantineRefused(repository_id="r-1")]
        assert (held.rejected.effects, held.rejected.statements) == ([], [])


def test_nobody_is_asked_about_a_decision_that_is_not_held(ci: DomainDriver) -> None:
    with pytest.raises(ValueError, match="flaky decided broken, and nobody is asked: it is committed"):
        _ = ci.decide(flaky, failed(1)).approved


def test_a_model_chooses_by_filling_the_form(ci: DomainDriver) -> None:
    choice = FlakyChoice(rationale="It passed an hour ago.", verdict="broken")

    decision = ci.choose(flaky, choice, failed(2), after=[passed(1)])

    assert (decision.outcome, decision.brain, decision.fallback_reason) == ("broken", "test-model", None)
    assert decision.reason == "broken, by the rules flaky; a model says: It passed an hour ago."


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ('{"rationale": "Why not.", "verdict": "ignored"}', "not_permitted"),
        ('{"rationale": "Why not.", "verdict": "green"}', "invalid"),
        ("I would rather not say.", "not_json"),
    ],
)
def test_the_rules_decide_where_a_model_may_not_or_cannot(ci: DomainDriver, reply: str, reason: str) -> None:
    decision = ci.choose(flaky, reply, failed(2), after=[passed(1)])
    assert (decision.outcome, decision.brain, decision.fallback_reason) == ("flaky", "rules", reason)


def test_no_model_is_asked_where_the_rules_leave_nothing_open(ci: DomainDriver) -> None:
    choice = FlakyChoice(rationale="It never passed.", verdict="flaky")
    with pytest.raises(NothingToDecide, match="no model is asked: flaky decides broken by its rules"):
        ci.choose(flaky, choice, failed(2))
    with pytest.raises(NothingToDecide, match="no model is asked: tell decides told by its rules"):
        ci.choose(tell, choice, RepositoryQuarantined(repository_id="r-1"))


def test_what_the_function_of_a_choice_raises_fails_the_test(ci: DomainDriver) -> None:
    choice = FlakyChoice(rationale="It is wrong.", verdict="wrong")
    with pytest.raises(DecisionFailed, match="ZeroDivisionError"):
        ci.choose(flaky, choice, failed(2), after=[passed(1)])


async def test_a_model_chooses_within_an_event_loop_as_well(ci: DomainDriver) -> None:
    choice = FlakyChoice(rationale="It passed an hour ago.", verdict="flaky")
    assert ci.choose(flaky, choice, failed(2), after=[passed(1)]).brain == "test-model"
