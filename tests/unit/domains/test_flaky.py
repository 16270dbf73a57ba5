"""The agents of the domain under `tests/domains/myci`, by their rules and by a model's choice."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from ci_catalogue import CATALOGUE, ci_history
from myci.flaky import FlakyChoice
from myci.quarantine import Quarantine

from agents.model.decision import Decision
from agents.model.errors import OutsidePolicy
from agents.model.event import DomainEvent
from tables.event import Event

NINE = datetime(2025, 3, 1, 9, 0, tzinfo=UTC)
FLAKY, BLAME = CATALOGUE.agents["flaky"], CATALOGUE.agents["blame"]


def build(number: int, commit: str, *, passed: bool = False, test: str = "test_pay") -> Event:
    data: dict[str, Any] = {"repository_id": "shop-web", "build_id": f"b-{number}", "commit": commit}
    if not passed:
        data |= {"test": test, "message": "assert 1 == 2"}
    kind = "BuildPassed" if passed else "BuildFailed"
    return Event(id=f"e-{number}", source="urn:ci", type=kind, time=NINE + timedelta(minutes=number), data=data)


def error(minutes: int, repository: str = "shop-web") -> Event:
    data = {"service": "deployer", "step": "roll out", "error": "Timeout", "message": "", "repository_id": repository}
    return Event(id="error", source="urn:ci", type="ErrorOccurred", time=NINE + timedelta(minutes=minutes), data=data)


def told(events: Any) -> list[tuple[str, Mapping[str, Any]]]:
    found: list[DomainEvent] = list(events)
    return [(type(event).__name__, event.written()) for event in found]


PASSED, AGAIN, MORE = build(1, "c1", passed=True), build(2, "c1"), build(3, "c1")


def judged(event: Event, *earlier: Event) -> Decision:
    return FLAKY.by_rules(ci_history(event, *earlier))


def chosen(verdict: str, event: Event, *earlier: Event) -> Decision:
    history = ci_history(event, *earlier)
    choice = FlakyChoice.model_validate({"rationale": "as I see it", "verdict": verdict, "confidence": 0.7})
    return FLAKY.by_choice(choice, history, FLAKY.by_rules(history))


def test_a_failure_on_a_commit_that_never_passed_is_the_commits_fault() -> None:
    decision = judged(build(4, "c2"), PASSED, AGAIN)

    assert (decision.outcome, decision.hold) == ("broken", None)
    assert told(decision.events) == [
        ("FailureJudged", {"repository_id": "shop-web", "build_id": "b-4", "test": "test_pay", "verdict": "broken"})
    ]


def test_a_failure_on_a_commit_that_passed_is_the_tests_fault() -> None:
    decision = judged(MORE, PASSED, AGAIN)

    assert (decision.outcome, decision.effects) == ("flaky", ())
    assert told(decision.events) == [
        ("FailureJudged", {"repository_id": "shop-web", "build_id": "b-3", "test": "test_pay", "verdict": "flaky"}),
        ("FlakyTestFound", {"repository_id": "shop-web", "test": "test_pay", "times": 2}),
    ]


def test_the_third_time_a_person_is_asked_for_a_quarantine() -> None:
    third, fourth = build(4, "c1"), build(5, "c1")

    decision = judged(third, PASSED, AGAIN, MORE)

    assert (decision.outcome, decision.hold) == ("quarantine", "quarantine")
    assert list(decision.effects) == [Quarantine(repository_id="shop-web", test="test_pay")]
    assert [kind for kind, _ in told(decision.events)] == ["RepositoryQuarantined", "FailureJudged", "FlakyTestFound"]
    assert [kind for kind, _ in told(decision.otherwise)] == ["FailureJudged", "FlakyTestFound", "EscalationRequested"]
    assert judged(fourth, PASSED, AGAIN, MORE, third).outcome == "flaky"


def test_the_sixth_time_it_is_quarantined_unless_it_is() -> None:
    builds = [PASSED, *(build(number, "c1") for number in range(2, 7))]
    told_of = Event(
        id="q-1",
        source="urn:innervate:agent:flaky",
        type="RepositoryQuarantined",
        time=NINE,
        data={"repository_id": "shop-web", "quarantine_id": "q", "test": "test_pay"},
    )

    at_once, known = judged(build(7, "c1"), *builds), judged(build(7, "c1"), *builds, told_of)

    assert (at_once.outcome, at_once.hold, len(at_once.effects)) == ("quarantine", None, 1)
    assert [kind for kind, _ in told(at_once.otherwise)] == ["FailureJudged", "FlakyTestFound", "EscalationRequested"]
    assert (known.outcome, known.effects) == ("flaky", ())


def test_another_test_is_counted_by_itself() -> None:
    assert judged(build(4, "c1", test="test_search"), PASSED, AGAIN, MORE).outcome == "flaky"


def test_a_quarantine_is_a_row_of_the_decision_and_the_same_whoever_asks() -> None:
    quarantine = Quarantine(repository_id="shop-web", test="test_pay")

    [(statement, row)] = quarantine.statements(UUID(int=7))

    assert "INTO quarantines" in statement
    assert row == {
        "quarantine_id": quarantine.quarantine_id,
        "decision_id": str(UUID(int=7)),
        "repository_id": "shop-web",
        "test": "test_pay",
    }
    assert Quarantine.restored(quarantine.kept()) == quarantine
    assert Quarantine(repository_id="shop-web", test="test_buy").quarantine_id != quarantine.quarantine_id


def test_a_model_that_agrees_says_so_in_its_own_words() -> None:
    decision = chosen("flaky", build(4, "c1"), PASSED, AGAIN, MORE)

    assert (decision.outcome, decision.hold, decision.confidence) == ("quarantine", "quarantine", 0.7)
    assert decision.reason == "flaky, by the rules quarantine; a model says: as I see it"


def test_a_model_may_blame_the_commit_but_a_person_must_agree_that_it_is_the_test() -> None:
    stricter, milder = chosen("broken", MORE, PASSED, AGAIN), chosen("flaky", build(4, "c2"), PASSED)

    assert (stricter.outcome, stricter.hold) == ("broken", None)
    assert (milder.outcome, milder.hold) == ("flaky", "downgrade")
    assert [event["verdict"] for _, event in told(milder.otherwise)] == ["broken"]


def test_where_the_rules_ask_for_a_quarantine_a_model_cannot_take_it_back() -> None:
    with pytest.raises(OutsidePolicy):
        chosen("broken", build(4, "c1"), PASSED, AGAIN, MORE)


def test_an_error_is_blamed_on_the_build_that_failed_shortly_before() -> None:
    decision = BLAME.by_rules(ci_history(error(40), AGAIN, MORE))

    [(kind, data)] = told(decision.events)
    assert (decision.outcome, kind) == ("broken_build", "RootCauseIdentified")
    assert (data["repository_id"], data["culprit_event_id"], data["alternatives"]) == ("shop-web", "e-3", ["e-2"])


def test_an_error_nothing_explains_is_handed_over_to_its_service() -> None:
    decision = BLAME.by_rules(ci_history(error(200), AGAIN, MORE))

    [event] = decision.events
    assert told([event])[0][0] == "RootCauseSuspected"
    assert (event.kafka_key, event.written()["repository_id"]) == ("shop-web", "shop-web")
    assert event.written()["service"] == "deployer"
