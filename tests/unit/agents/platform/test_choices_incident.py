"""When a language model may blame a change of a service, and that the agent still knows what it said."""

from __future__ import annotations

from typing import Any

import pytest
from choosing import HOSTILE, by_rules, chosen, fill, refused
from fakes import history_of
from test_incident import broken, configured, deployed, failed, suspected, unexplained

from agents.model.decision import Decision
from agents.model.errors import Violation
from agents.platform.incident.rules import incident
from agents.shop.entities import order
from agents.shop.events import DomainEvent, EscalationRequested, RootCauseIdentified
from tables.event import Event

#: One error after two changes: too little for the rules.
EARLY = (configured(minutes=0), deployed(minutes=5), *unexplained("o-1", 10))
#: The third order makes a burst, which the rules blame on the deployment.
BURST = (*EARLY, *unexplained("o-2", 20), *unexplained("o-3", 30))


def judged(culprit: str | None, *log: Event, confidence: float = 1.0) -> Decision:
    *earlier, last = log
    return chosen(incident, last, *earlier, culprit_event_id=culprit, confidence=confidence)


def ruled(*log: Event) -> Decision:
    *earlier, last = log
    return by_rules(incident, last, *earlier)


def answers(events: Any) -> list[tuple[str, str | None, str, float]]:
    return [
        (event.error_event_id, event.culprit_event_id, event.failure, event.confidence)
        for event in events
        if isinstance(event, RootCauseIdentified)
    ]


def escalations(events: Any) -> list[DomainEvent]:
    return [event for event in events if isinstance(event, EscalationRequested)]


@pytest.mark.parametrize(("log", "culprit"), [(EARLY, None), (BURST, "deployed")], ids=["unknown", "burst"])
def test_agreeing_is_what_the_rules_decide(log: tuple[Event, ...], culprit: str | None) -> None:
    decision = judged(culprit, *log)

    assert (decision.outcome, decision.emit, decision.confidence) == (
        ruled(*log).outcome,
        ruled(*log).emit,
        ruled(*log).confidence,
    )
    assert (decision.hold, decision.otherwise) == (None, ())
    assert decision.reason.endswith(f"a model says: {HOSTILE}")


@pytest.mark.parametrize(("culprit", "failure"), [("deployed", "bad_deployment"), ("configured", "bad_configuration")])
def test_a_change_that_the_rules_do_not_blame_is_named_as_a_guess(culprit: str, failure: str) -> None:
    decision = judged(culprit, *EARLY)

    assert answers(ruled(*EARLY).emit) == [("e-o-1", None, "unknown", 0.1)]
    assert answers(decision.emit) == [("e-o-1", culprit, failure, 0.49)]
    assert (decision.outcome, decision.confidence, decision.hold) == (failure, 0.49, None)
    [guess] = decision.emit
    assert isinstance(guess, RootCauseIdentified)
    assert (order.id_of(guess), guess.service, guess.evidence) == ("o-1", "checkout", (culprit, "e-o-1"))
    assert guess.alternatives == ("configured" if culprit == "deployed" else "deployed",)
    assert judged(culprit, *EARLY, confidence=0.2).confidence == 0.2


@pytest.mark.parametrize("culprit", [None, "configured"], ids=["withdrawn", "another"])
def test_where_a_model_does_not_agree_with_a_burst_the_rules_decision_waits_for_a_person(culprit: str | None) -> None:
    decision = judged(culprit, *BURST)

    assert (decision.hold, decision.emit) == ("doubtful", ruled(*BURST).emit)
    assert decision.outcome == "bad_deployment"
    assert answers(decision.otherwise) == [("e-o-3", None, "unknown", 0.1)]
    [told] = escalations(decision.otherwise)
    assert told.model_dump()["service"] == "checkout"
    assert "deployed" in told.model_dump()["reason"]


def test_a_guess_is_answered_again_by_the_burst_and_nothing_is_answered_twice_after_it() -> None:
    assert answers(judged("configured", *EARLY).emit) == [("e-o-1", "configured", "bad_configuration", 0.49)]

    burst = ruled(*BURST).emit
    later = ruled(*BURST, *unexplained("o-4", 40)).emit

    assert {error for error, *_ in answers(burst)} == {"e-o-1", "e-o-2", "e-o-3"}
    assert {culprit for _, culprit, *_ in answers(burst)} == {"deployed"}
    assert [error for error, *_ in answers(later)] == ["e-o-4"]


def test_what_operators_are_told_of_an_error_of_the_service_stays_when_a_model_guesses() -> None:
    log = (deployed(), broken("b-1", 10))

    assert escalations(judged("deployed", *log).emit) == escalations(ruled(*log).emit) != []


@pytest.mark.parametrize("culprit", ["nowhere", "s-o-1", HOSTILE[:80]])
def test_a_change_that_is_not_remembered_cannot_be_blamed(culprit: str) -> None:
    assert denied(culprit, *EARLY) is Violation.UNKNOWN_EVENT
    assert denied("nowhere", *BURST) is Violation.UNKNOWN_EVENT


def denied(culprit: str, *log: Event) -> Violation:
    *earlier, last = log
    return refused(incident, last, *earlier, culprit_event_id=culprit, confidence=0.9)


def test_what_is_no_change_or_not_earlier_than_the_error_cannot_be_blamed() -> None:
    late = (failed("o-1", 10), deployed("with", 10), deployed("late", 10.05), suspected("o-1", 10.1))

    assert denied("e-o-1", *EARLY) is Violation.NOT_PERMITTED
    assert denied("with", *late) is Violation.NOT_PERMITTED
    assert denied("late", *late) is Violation.NOT_PERMITTED
    assert denied("late", deployed("late", 10), broken("b-1", 10)) is Violation.NOT_PERMITTED


def test_an_error_of_an_order_leaves_no_choice() -> None:
    event = failed("o-1", 10)
    assert not incident.leaves_open(history_of(event, deployed()), by_rules(incident, event, deployed()))


@pytest.mark.parametrize(
    "changed", [{"culprit_event_id": ""}, {"culprit_event_id": 1}, {"confidence": -1}, {"failure": "bad_deployment"}]
)
def test_what_is_not_asked_for_is_no_form(changed: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(changed))):
        fill(incident, **{"culprit_event_id": "deployed", "confidence": 0.5} | changed)
