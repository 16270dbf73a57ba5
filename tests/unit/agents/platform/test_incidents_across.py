"""One incident per cause: people hear once however many services raise alarms, and when it is over and why."""

from __future__ import annotations

import random
from typing import Any

import pytest
from services import alarm, calls, deployed, play, slow, told

from app.testing.choreography import Choreography

CALLERS = [f"web-{number}" for number in range(6)]
#: Six services call one.
SHOP = (calls("store"), *(calls(name, "store") for name in CALLERS))
OUTAGE = (slow("store", 60), *(slow(name, 10) for name in CALLERS))
ALARMS = [alarm(name, 6 + number / 10, f"alarm-{name}") for number, name in enumerate(CALLERS)]


def said(played: Choreography, kind: str) -> list[dict[str, Any]]:
    return [event["data"] for event in played.published if event["type"] == kind]


def test_people_hear_once_of_a_service_that_many_others_raise_alarms_for() -> None:
    played = play([*SHOP, *OUTAGE, *ALARMS])
    [asked] = said(played, "EscalationRequested")
    assert (asked["service"], asked["failure"]) == ("store", "service_degraded")
    assert {each["culprit_service"] for each in said(played, "RootCauseIdentified")} == {"store"}
    assert len(said(played, "RootCauseIdentified")) == 6


def test_an_incident_is_over_when_the_metric_is_back_and_the_rollback_is_named() -> None:
    rollback = told("ServiceDeployed", "rollback", 9, service="store", version="1")
    back = told("MetricRecovered", "back", 11, service="store", metric="latency")
    played = play([*SHOP, deployed("store", -5), *OUTAGE, *ALARMS, rollback, back], latency=0)
    [over] = said(played, "IncidentResolved")
    assert (over["service"], over["failure"], over["culprit_event_id"]) == ("store", "bad_deployment", "deployed-store")
    assert (over["stopped_by"], over["reports"]) == ("rollback", 6)
    assert (over["from_at"], over["to_at"]) == ("2026-11-27T10:00:00Z", "2026-11-27T10:05:00Z")


def test_an_incident_that_nobody_stopped_says_so() -> None:
    back = told("MetricRecovered", "back", 11, service="store", metric="latency")
    [over] = said(play([*SHOP, *OUTAGE, *ALARMS, back]), "IncidentResolved")
    assert over["stopped_by"] is None


def test_an_incident_goes_on_while_another_metric_is_not_back() -> None:
    other = told("MetricRecovered", "other", 11, service="store", metric="availability")
    assert said(play([*SHOP, *OUTAGE, *ALARMS, other]), "IncidentResolved") == []


def test_without_a_word_of_recovery_it_is_over_once_nothing_was_lost_for_a_while() -> None:
    soon = told("ConfigChanged", "soon", 19, service="store", key="a", old=1, new=2)
    later = told("ConfigChanged", "later", 21, service="store", key="a", old=2, new=1)
    assert said(play([*SHOP, *OUTAGE, *ALARMS, soon]), "IncidentResolved") == []
    assert len(said(play([*SHOP, *OUTAGE, *ALARMS, soon, later]), "IncidentResolved")) == 1


def test_the_next_incident_is_told_of_again() -> None:
    back = told("MetricRecovered", "back", 11, service="store", metric="latency")
    again = [slow("store", 60, 120), slow("web-0", 60, 120), alarm("web-0", 126, "again")]
    played = play([*SHOP, *OUTAGE, *ALARMS, back, *again], latency=0)
    assert [each["service"] for each in said(played, "EscalationRequested")] == ["store", "store"]


def test_an_alarm_that_comes_after_the_end_of_its_incident_is_no_new_one() -> None:
    back = told("MetricRecovered", "back", 11, service="store", metric="latency")
    played = play([*SHOP, *OUTAGE, *ALARMS[:1], back, alarm("web-1", 12, "late")])
    assert len(said(played, "EscalationRequested")) == 1


def test_where_losses_do_not_add_up_people_hear_from_the_service_that_has_the_alarm() -> None:
    shop = (calls("web", "store", "mail"), calls("store"), calls("mail"))
    played = play([*shop, slow("mail", 30), slow("store", 30.1), slow("web", 61), alarm("web")])
    [asked] = said(played, "EscalationRequested")
    assert (asked["service"], asked["failure"]) == ("web", "inconclusive")


#: web → api → store; what store lost is heard of after the alarm was answered.
CHAIN = (calls("web", "api"), calls("api", "store"), calls("store"))
EARLY = (slow("api", 45), slow("web", 46), alarm("web", 6))
#: Other things that happen meanwhile, so that messages arrive.
MEANWHILE = [slow("aside", 1, 30 + number) for number in range(30)]


def test_nobody_is_called_for_a_verdict_that_is_corrected_while_the_call_is_due() -> None:
    played = play([*CHAIN, *EARLY, slow("store", 40), *MEANWHILE])
    assert {each["culprit_service"] for each in said(played, "RootCauseIdentified")} == {"web", "api", "store"}
    assert [each["service"] for each in said(played, "EscalationRequested")] == ["store"]
    assert said(played, "EscalationCorrected") == []


def test_a_call_for_the_wrong_service_is_corrected_once_and_its_incident_goes_on_at_the_right_one() -> None:
    played = play([*CHAIN, *EARLY, *MEANWHILE, slow("store", 40)])
    [called] = said(played, "EscalationRequested")
    assert (called["service"], called["incident_id"]) == ("api", "alarm")
    [corrected] = said(played, "EscalationCorrected")
    assert (corrected["service"], corrected["incident_id"]) == ("store", "alarm")
    [over] = said(played, "IncidentResolved")
    assert (over["service"], over["incident_id"], over["moved_to"]) == ("api", "alarm", "store")


def test_an_incident_that_has_moved_is_over_where_it_has_moved_to() -> None:
    back = told("MetricRecovered", "back", 11, service="store", metric="latency")
    played = play([*CHAIN, *EARLY, *MEANWHILE, slow("store", 40), *MEANWHILE, back])
    assert [(each["service"], each["incident_id"], each["moved_to"]) for each in said(played, "IncidentResolved")] == [
        ("api", "alarm", "store"),
        ("store", "alarm", None),
    ]


def test_an_alarm_before_anything_is_known_to_be_lost_is_one_call_and_a_correction() -> None:
    played = play([*CHAIN, alarm("web", 6), *MEANWHILE, slow("store", 40), slow("api", 45), slow("web", 46)])
    [called] = said(played, "EscalationRequested")
    assert (called["service"], called["failure"], called["incident_id"]) == ("web", "unknown", "alarm")
    [corrected] = said(played, "EscalationCorrected")
    assert (corrected["service"], corrected["incident_id"]) == ("store", "alarm")


@pytest.mark.parametrize("seed", range(20))
def test_one_alarm_calls_a_person_once_in_any_order_of_arrival(seed: int) -> None:
    events = [
        *CHAIN, deployed("store", -5), *EARLY, slow("store", 40), slow("store", 30, 5), slow("api", 36, 5),
        slow("web", 37, 5), slow("aside", 9),
    ]  # fmt: skip
    chance = random.Random(seed)
    arriving = [*chance.sample(events, len(events)), *chance.sample(events, 4), *MEANWHILE]
    latency = chance.randrange(0, 9)
    played = play(arriving, latency=latency)
    assert len(said(played, "EscalationRequested")) == 1
    # The last that people heard of is the last verdict's culprit.
    heard = [e for e in played.published if e["type"] in ("EscalationRequested", "EscalationCorrected")]
    assert heard[-1]["data"]["service"] == "store"
    assert {each["data"]["incident_id"] for each in heard} == {"alarm"}


def test_the_messages_of_one_breach_are_bounded_by_those_that_call() -> None:
    many = [f"caller-{number:03}" for number in range(120)]
    played = play([calls("store"), *(calls(name, "store") for name in many), slow("store", 60)], latency=0)
    # Fifty callers are told, and nobody is known to call those: each says so once.
    heard = said(played, "CauseSuggested")
    assert len([each for each in heard if each["service"] != "unknown-caller"]) == 50
    assert len(heard) == 100
