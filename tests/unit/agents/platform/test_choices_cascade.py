"""When a language model may put another service first among those that may be behind an error."""

from __future__ import annotations

from typing import Any

import pytest
from choosing import HOSTILE, by_rules, chosen, refused
from fakes import history_of
from services import alarm, calls, slow, suggested

from agents.model.decision import Decision
from agents.model.errors import Violation
from agents.platform.cascade.rules import cascade
from agents.shop.events import DomainEvent, RootCauseIdentified
from tables.event import Event

#: A service that waited 90 seconds longer: 50 for one that it calls, 30 for another.
KNOWN = (calls("web", "api", "mail"), slow("web", 90), suggested("web", "api", 50), suggested("web", "mail", 30))
ALARM = alarm("web", 6)


def judged(*services: str, event_id: str | None = None, confidence: float = 0.9) -> Decision:
    answers: dict[str, Any] = {"services": services, "culprit_event_id": event_id, "confidence": confidence}
    return chosen(cascade, ALARM, *KNOWN, **answers)


def ruled() -> Decision:
    return by_rules(cascade, ALARM, *KNOWN)


def verdict_of(decision: Decision) -> RootCauseIdentified:
    [verdict] = [each for each in decision.emit if isinstance(each, RootCauseIdentified)]
    return verdict


def named(decision: Decision) -> list[str]:
    return [each.service for each in verdict_of(decision).candidates]


def others(decision: Decision) -> list[DomainEvent]:
    return [each for each in decision.emit if not isinstance(each, RootCauseIdentified)]


def test_the_rules_name_the_service_that_lost_most_itself() -> None:
    assert named(ruled()) == ["api", "mail", "web"]
    assert verdict_of(ruled()).culprit_service == "api"


@pytest.mark.parametrize("services", [(), ("api",), ("api", "mail", "web")])
def test_agreeing_is_what_the_rules_decide(services: tuple[str, ...]) -> None:
    decision = judged(*services)
    assert decision.emit == ruled().emit
    assert decision.reason.endswith(f"a model says: {HOSTILE}")


def test_another_order_of_the_others_is_no_other_verdict() -> None:
    decision = judged("api", "web", "mail", event_id="api-latency-0")
    assert named(decision) == ["api", "web", "mail"]
    assert verdict_of(decision).model_copy(update={"candidates": ()}) == verdict_of(ruled()).model_copy(
        update={"candidates": ()}
    )


def test_another_first_one_is_a_guess_and_who_hears_of_the_incident_stays() -> None:
    decision = judged("mail", event_id="mail-latency-0")
    verdict = verdict_of(decision)
    assert named(decision) == ["mail", "api", "web"]
    assert (verdict.culprit_service, verdict.culprit_event_id) == ("mail", "mail-latency-0")
    assert (verdict.failure, verdict.confidence) == ("service_degraded", 0.49)
    assert verdict.alternatives[0] == "api-latency-0"
    assert others(decision) == others(ruled())
    assert verdict_of(judged("mail", confidence=0.2)).confidence == 0.2


@pytest.mark.parametrize(
    ("services", "event_id"),
    [
        (("store",), None),
        (("api", HOSTILE[:80]), None),
        (("api",), "mail-latency-0"),
        (("api",), "alarm"),
        ((), "alarm"),
    ],
)
def test_a_service_or_an_event_that_speaks_for_none_cannot_be_named(
    services: tuple[str, ...], event_id: str | None
) -> None:
    assert denied(services, event_id) is Violation.UNKNOWN_EVENT


def denied(services: tuple[str, ...], event_id: str | None = None) -> Violation:
    return refused(cascade, ALARM, *KNOWN, services=services, culprit_event_id=event_id, confidence=0.9)


def test_no_service_is_named_twice() -> None:
    assert denied(("api", "api")) is Violation.NOT_PERMITTED


@pytest.mark.parametrize(
    ("event", "known"),
    [
        (slow("web", 90), KNOWN[:1]),
        (alarm("web", 300), KNOWN),
        (calls("web", "api"), KNOWN),
    ],
    ids=["no error", "nothing lost then", "whom it calls"],
)
def test_a_model_is_asked_only_where_there_is_a_verdict(event: Event, known: tuple[Event, ...]) -> None:
    history = history_of(event, *known)
    assert not cascade.leaves_open(history, cascade.by_rules(history))
