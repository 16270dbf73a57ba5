"""When a change of a service is to blame for the orders that fail in it, and what is said before that is clear."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from fakes import NOON, history_of
from hypothesis import given
from hypothesis import strategies as st
from shop_catalogue import parse_data

from agents.model.decision import Decision
from agents.platform.incident.rules import incident, investigate
from agents.shop.entities import order
from agents.shop.events import (
    ConfigChanged,
    DomainEvent,
    ErrorOccurred,
    EscalationRequested,
    RootCauseIdentified,
    RootCauseSuspected,
    ServiceDeployed,
)
from tables.event import Event

HOUR, DAY = 60.0, 24 * 60.0


def platform(kind: type[DomainEvent], event_id: str, minutes: float, **data: object) -> Event:
    """An event of the service checkout, that many minutes after noon."""
    at = NOON + timedelta(minutes=minutes)
    return Event(id=event_id, source="urn:test:shop", type=kind.__name__, time=at, data={"service": "checkout"} | data)


def deployed(event_id: str = "deployed", minutes: float = 0) -> Event:
    return platform(ServiceDeployed, event_id, minutes, version="2.0")


def configured(event_id: str = "configured", minutes: float = 0) -> Event:
    return platform(ConfigChanged, event_id, minutes, key="timeout", old=1, new=None)


def failed(order: str, minutes: float) -> Event:
    text = {"step": "run", "error": "Failed", "message": "disk full"}
    return platform(ErrorOccurred, f"e-{order}", minutes, order_id=order, **text)


def broken(event_id: str, minutes: float) -> Event:
    """An error of the service itself."""
    return platform(ErrorOccurred, event_id, minutes, step="run", error="Failed", message="disk full")


def suspected(order: str, minutes: float, error_id: str | None = None, alternatives: Sequence[str] = ()) -> Event:
    verdict = {"culprit_event_id": None, "failure": "unknown", "confidence": 0.1, "evidence": [f"e-{order}"]}
    about = {"order_id": order, "error_event_id": error_id or f"e-{order}", "alternatives": list(alternatives)}
    return platform(RootCauseSuspected, f"s-{order}", minutes, **verdict, **about)


def unexplained(order: str, minutes: float) -> tuple[Event, Event]:
    """An error of an order and, a little later, the suspicion of the service."""
    return failed(order, minutes), suspected(order, minutes + 0.1)


def decide(*log: Event) -> Decision:
    """What is decided on the last event of the log."""
    *earlier, last = log
    return investigate(parse_data(last), history_of(last, *earlier))  # type: ignore[arg-type]


def answers(*log: Event) -> dict[str, str | None]:
    """Error to culprit, for every verdict that the last event of the log brings."""
    verdicts = [event for event in decide(*log).emit if isinstance(event, RootCauseIdentified)]
    assert len({each.error_event_id for each in verdicts}) == len(verdicts)
    return {each.error_event_id: each.culprit_event_id for each in verdicts}


def escalations(*log: Event) -> list[str]:
    return [event.failure for event in decide(*log).emit if isinstance(event, EscalationRequested)]


ONE, TWO, THREE, FOUR = (unexplained(order, minutes) for order, minutes in (("1", 5), ("2", 6), ("3", 8), ("4", 9)))


def test_too_few_orders_are_answered_unknown_with_the_change_as_first_alternative() -> None:
    error, _ = TWO
    suspicion = suspected("2", 6.1, alternatives=["odd"])
    decision = decide(deployed("older", -DAY), configured("old", -30), deployed(), *ONE, error, suspicion)
    assert decision.emit == [
        RootCauseIdentified(
            order_id="2",
            service="checkout",
            error_event_id="e-2",
            culprit_event_id=None,
            failure="unknown",
            confidence=0.1,
            evidence=("e-2",),
            alternatives=("deployed", "old", "odd"),
            missing=("at least 3 that fail after a change, and clearly more than before it",),
        )
    ]
    assert (decision.outcome, decision.confidence) == ("unknown", 0.1)


def test_the_third_order_names_the_change_and_revises_the_earlier_answers() -> None:
    decision = decide(deployed(), *ONE, *TWO, *THREE)
    assert answers(deployed(), *ONE, *TWO, *THREE) == {"e-3": "deployed", "e-1": "deployed", "e-2": "deployed"}
    named = [event for event in decision.emit if isinstance(event, RootCauseIdentified)]
    assert [(order.id_of(each), each.failure, each.confidence) for each in named] == [
        ("3", "bad_deployment", 0.75),
        ("1", "bad_deployment", 0.75),
        ("2", "bad_deployment", 0.75),
    ]
    assert named[0].evidence == ("deployed", "e-3", "e-1", "e-2")
    assert named[0].alternatives == ()
    assert (len(decision.emit), decision.outcome, decision.confidence) == (4, "bad_deployment", 0.75)


def test_a_revision_comes_once_and_later_orders_get_the_verdict_at_once() -> None:
    assert answers(deployed(), *ONE, *TWO, *THREE, *FOUR) == {"e-4": "deployed"}
    assert decide(deployed(), *ONE, *TWO, *THREE, *FOUR).confidence == 0.8


def test_over_the_whole_log_each_error_is_answered_unknown_at_most_once_and_named_once() -> None:
    log = [deployed(), *ONE, *TWO, *THREE, *FOUR, *unexplained("5", 10), *unexplained("6", 400)]
    said: list[tuple[str, str | None]] = []
    for length in range(1, len(log) + 1):
        if log[length - 1].type == "RootCauseSuspected":
            said += answers(*log[:length]).items()
    assert said == [
        *[("e-1", None), ("e-2", None)],
        *[("e-3", "deployed"), ("e-1", "deployed"), ("e-2", "deployed")],
        *[("e-4", "deployed"), ("e-5", "deployed"), ("e-6", None)],
    ]


def test_a_change_of_configuration_is_named_as_such() -> None:
    assert decide(configured(), *ONE, *TWO, *THREE).outcome == "bad_configuration"
    assert answers(configured(), *ONE, *TWO, *THREE)["e-3"] == "configured"


def test_three_errors_of_two_orders_are_not_enough() -> None:
    again = failed("1", 7), suspected("1", 7.1)
    second = Event(**{name: getattr(again[0], name) for name in ("source", "type", "time", "data")}, id="e-1b")
    suspicion = suspected("1", 7.1, error_id="e-1b")
    suspicion = Event(**{name: getattr(suspicion, name) for name in ("source", "type", "time", "data")}, id="s-1b")
    assert answers(deployed(), *ONE, *TWO, second, suspicion) == {"e-1b": None}


def test_errors_that_their_orders_explain_do_not_count() -> None:
    assert answers(deployed(), failed("1", 5), failed("2", 6), *THREE) == {"e-3": None}


def test_the_nearest_change_before_the_first_error_is_to_blame_and_the_others_are_alternatives() -> None:
    changes = deployed("older", -200), configured("old", -100), deployed()
    decision = decide(*changes, *ONE, *TWO, *THREE)
    named = decision.emit[0]
    assert isinstance(named, RootCauseIdentified)
    assert (named.culprit_event_id, named.alternatives) == ("deployed", ("old", "older"))
    turned = deployed("old", -100), configured()
    assert answers(*turned, *ONE, *TWO, *THREE)["e-3"] == "configured"


def test_a_change_after_the_first_error_is_no_culprit() -> None:
    assert answers(*ONE, deployed(minutes=5.5), *TWO, *THREE, *FOUR) == {"e-4": None}
    burst = (deployed(), *ONE, *TWO, deployed("repair", 7), *THREE)
    assert answers(*burst) == {"e-3": "deployed", "e-1": "deployed", "e-2": "deployed"}
    assert answers(*burst, *FOUR, *unexplained("5", 10), *unexplained("6", 11)) == {"e-6": "deployed"}


def test_an_error_at_the_very_time_of_the_change_is_not_its_fault() -> None:
    log = (deployed(minutes=5), *ONE, *TWO, *THREE, *FOUR)
    assert answers(*log) == {"e-4": None}
    assert set(answers(*log, *unexplained("5", 10))) == {"e-5", "e-2", "e-3", "e-4"}


@pytest.mark.parametrize(("minutes", "culprit"), [(5 - DAY, "deployed"), (4.9 - DAY, None)])
def test_a_change_is_to_blame_for_a_day(minutes: float, culprit: str | None) -> None:
    assert answers(deployed(minutes=minutes), *ONE, *TWO, *THREE)["e-3"] == culprit


def test_a_service_that_failed_as_often_before_the_change_was_not_broken_by_it() -> None:
    before = [event for number in range(3) for event in unexplained(f"b{number}", -1 - 2 * number)]
    assert answers(*before, deployed(), *ONE, *TWO, *THREE) == {"e-3": None}


def test_an_error_or_two_before_the_change_do_not_hide_it() -> None:
    log = (*unexplained("b", -2), deployed(), *ONE, *TWO, *THREE)
    assert answers(*log) == {"e-3": None}
    assert answers(*log, *FOUR) == {"e-4": "deployed", "e-1": "deployed", "e-2": "deployed", "e-3": "deployed"}
    assert decide(*log, *FOUR).confidence == 0.67


def test_a_less_likely_change_is_not_named_while_the_likeliest_is_not_proven() -> None:
    log = (deployed("old", -20 * HOUR), *unexplained("b", -2), deployed(), *ONE, *TWO, *THREE)
    assert answers(*log)["e-3"] is None


def test_two_changes_that_are_as_likely_give_way_to_the_likelier_one() -> None:
    log = (configured("old", -60), *unexplained("b", -2), deployed(), *ONE, *TWO)
    assert decide(*log).outcome == "inconclusive"
    assert answers(*log) == {"e-2": None, "e-1": None, "e-b": None}
    assert answers(*log, *THREE) == {"e-3": None}
    assert answers(*log, *THREE, *FOUR) == {"e-4": "deployed", "e-1": "deployed", "e-2": "deployed", "e-3": "deployed"}
    assert answers(*log, *THREE, *FOUR, *unexplained("5", 10)) == {"e-5": "deployed"}


def test_a_burst_is_over_after_six_quiet_hours() -> None:
    burst = (deployed(), *ONE, *TWO, *THREE)
    assert answers(*burst, *unexplained("9", 8 + 6 * HOUR)) == {"e-9": "deployed"}
    assert answers(*burst, *unexplained("9", 8.1 + 6 * HOUR)) == {"e-9": None}


def test_a_second_burst_has_a_culprit_of_its_own() -> None:
    first = (deployed(), *ONE, *TWO, *THREE, *FOUR)
    second = [event for number in range(3) for event in unexplained(f"x{number}", 12 * HOUR + number)]
    found = answers(*first, configured("next", 11 * HOUR), *second)
    assert found == {"e-x2": "next", "e-x0": "next", "e-x1": "next"}


def test_the_time_of_an_error_counts_and_not_that_of_its_suspicion() -> None:
    early = failed("1", -5), suspected("1", 5)
    assert answers(deployed(), *early, *TWO, *THREE) == {"e-3": None}
    late = [event for order in "123" for event in (failed(order, 5), suspected(order, 9000))]
    assert answers(deployed(), *late)["e-3"] == "deployed"


def test_a_change_that_arrives_late_is_named_when_it_arrives() -> None:
    assert answers(*ONE, *TWO, *THREE, deployed()) == {"e-1": "deployed", "e-2": "deployed", "e-3": "deployed"}
    assert answers(*ONE, *TWO, *THREE, deployed(), *FOUR) == {"e-4": "deployed"}


def test_a_change_that_explains_nothing_leads_to_nothing() -> None:
    for log in ((deployed(),), (*ONE, deployed()), (*ONE, *TWO, *THREE, deployed("after", 9))):
        assert (decide(*log).outcome, decide(*log).emit) == ("explains_nothing", ())


def test_an_error_of_an_order_is_left_to_the_order() -> None:
    decision = decide(deployed(), *ONE, *TWO, failed("3", 8))
    assert (decision.outcome, decision.emit) == ("left_to_others", ())


def test_an_error_of_the_service_itself_is_answered_and_escalated_once_per_burst() -> None:
    decision = decide(deployed(), broken("b1", 1))
    named, escalation = decision.emit
    assert isinstance(named, RootCauseIdentified)
    assert isinstance(escalation, EscalationRequested)
    assert (named.service, named.failure, named.alternatives) == ("checkout", "unknown", ("deployed",))
    assert (named.carried, named.kafka_key) == ({}, "checkout")
    assert (escalation.carried, escalation.service, escalation.evidence) == ({}, "checkout", ("b1",))
    assert "disk" not in escalation.reason
    assert escalations(deployed(), broken("b1", 1), broken("b2", 2)) == []
    assert escalations(broken("b1", 1), broken("b2", 1 + 6 * HOUR)) == []
    assert escalations(broken("b1", 1), broken("b2", 1.1 + 6 * HOUR)) == ["unknown"]


def test_errors_of_the_service_count_with_orders_and_their_culprit_is_escalated_once() -> None:
    log = (deployed(), broken("b1", 1), *ONE, broken("b2", 6))
    assert answers(*log) == {"b2": "deployed", "b1": "deployed", "e-1": "deployed"}
    assert escalations(*log) == ["bad_deployment"]
    assert escalations(*log, broken("b3", 7)) == []
    assert answers(*log, broken("b3", 7)) == {"b3": "deployed"}


def test_a_revision_that_explains_an_error_of_the_service_is_escalated() -> None:
    assert escalations(deployed(), broken("b1", 1), *ONE, *TWO) == ["bad_deployment"]
    assert escalations(deployed(), broken("b1", 1), *ONE, *TWO, *THREE) == []


def test_orders_that_a_change_made_fail_are_escalated_once_and_a_single_one_is_not() -> None:
    assert escalations(deployed(), *ONE, *TWO, *THREE) == ["bad_deployment"]
    assert escalations(deployed(), *ONE, *TWO, *THREE, *FOUR) == []
    assert escalations(*ONE) == []


def test_the_evidence_is_bounded() -> None:
    many = [event for number in range(15) for event in unexplained(f"{number:02}", 1 + number)]
    named = decide(deployed(), *many).emit[0]
    assert isinstance(named, RootCauseIdentified)
    assert named.evidence == ("deployed", "e-14", *(f"e-{number:02}" for number in range(8)))


@given(st.permutations([configured("old", -100), deployed(), *ONE, *TWO, *unexplained("b", -90), deployed("fix", 7)]))
def test_the_order_of_arrival_changes_no_verdict(log: list[Event]) -> None:
    named = decide(*log, *THREE).emit[0]
    assert isinstance(named, RootCauseIdentified)
    assert (named.error_event_id, named.culprit_event_id, named.confidence) == ("e-3", "deployed", 0.75)
    assert named.alternatives == ("old",)


def test_the_agent_decides_by_these_rules_in_the_timeline_of_a_service() -> None:
    *earlier, last = deployed(), *ONE, *TWO, *THREE
    assert incident.by_rules(history_of(last, *earlier)).outcome == "bad_deployment"
    assert (incident.name, incident.entity.name) == ("incident", "service")
    assert incident.reacts_to == {"RootCauseSuspected", "ErrorOccurred", "ServiceDeployed", "ConfigChanged"}
    assert incident.remembers == incident.reacts_to | {
        *("RootCauseIdentified", "EscalationRequested"),
        *("DependencyDeclared", "DependencyObserved", "MetricBreached", "CauseSuggested"),
    }
    assert (incident.window.events, incident.window.age) == (200, timedelta(days=7))


def test_errors_of_the_service_count_each_although_their_sources_number_them_alike() -> None:
    tills = [replace(broken("1001", minute), source=f"urn:till:{minute}") for minute in (5, 6, 8)]
    assert answers(deployed(), *tills) == {"1001": "deployed"}


def test_an_error_that_two_sources_could_mean_gives_no_time_to_its_suspicion() -> None:
    far = replace(failed("9", -3 * DAY), id="1001", source="urn:elsewhere")
    mine = replace(failed("3", 8), id="1001")
    third = suspected("3", 8.1, error_id="1001")
    assert answers(deployed(), far, *ONE, *TWO, mine, third) == {
        "1001": "deployed",
        "e-1": "deployed",
        "e-2": "deployed",
    }
