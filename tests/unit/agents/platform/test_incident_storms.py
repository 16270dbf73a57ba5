"""Incidents that are longer than the window: every order is named, and people hear once."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

import pytest
from choreography import Choreography
from test_incident import HOUR, broken, configured, deployed, failed, suspected

from agents.platform.incident.rules import SUSPICIONS, incident
from app.testing.choreography import Sending
from tables.event import Event, to_json

#: Of an order that failed: the error, and the suspicion that follows from it at once.
Pair = tuple[Event, Event]


def at_once(order: str, minutes: float) -> Pair:
    """A suspicion carries the time of its error, as the messages of agents do."""
    return failed(order, minutes), suspected(order, minutes)


def run(log: Iterable[Event], latency: int = 3) -> Choreography:
    return Choreography(latency=lambda _: latency, agents=[incident]).run(Sending(to_json(each)) for each in log)


def final(ran: Choreography) -> Mapping[str, str | None]:
    """The last verdict on each error, by the error's id."""
    return {
        event["data"]["error_event_id"]: event["data"]["culprit_event_id"]
        for event in ran.published
        if event["type"] == "RootCauseIdentified"
    }


def escalated(ran: Choreography) -> list[tuple[str, str]]:
    """The failure of each escalation, and its first evidence: the change, if one is named."""
    found = [event["data"] for event in ran.published if event["type"] == "EscalationRequested"]
    return [(each["failure"], each["evidence"][0]) for each in found]


def shop_noise(number: int) -> list[Event]:
    """Errors of orders that their own past explains: nobody suspects the service."""
    return [failed(f"noise-{number}-{each}", number / 10) for each in range(3)]


@pytest.mark.parametrize(("failing", "latency"), [(600, 3), (400, 0), (400, 700)])
def test_all_orders_that_fail_after_one_deployment_are_one_incident(failing: int, latency: int) -> None:
    orders = [str(number) for number in range(failing)]
    log = [deployed()]
    for number, order in enumerate(orders):
        log += [*at_once(order, 5 + number / 10), *(shop_noise(number) if number % 10 == 0 else ())]

    ran = run(log, latency)

    assert final(ran) == {f"e-{order}": "deployed" for order in orders}
    assert escalated(ran) == [("bad_deployment", "deployed")]
    assert Counter(Counter(_answered(ran)).values()) == {1: failing - 2, 2: 2}


def _answered(ran: Choreography) -> Iterable[str]:
    return (each["data"]["error_event_id"] for each in ran.published if each["type"] == "RootCauseIdentified")


def test_errors_that_all_come_before_the_first_suspicion_are_one_incident() -> None:
    pairs = [at_once(str(number), 5 + number / 10) for number in range(400)]
    ran = run([deployed(), *(error for error, _ in pairs), *(suspicion for _, suspicion in pairs)])

    assert set(final(ran).values()) == {"deployed"}
    assert len(final(ran)) == 400
    assert escalated(ran) == [("bad_deployment", "deployed")]


def test_a_change_in_the_middle_of_a_long_incident_is_not_taken_for_its_cause() -> None:
    log = [deployed()]
    for number in range(500):
        log += at_once(str(number), 5 + number / 10)
        if number == 100:
            log += [configured("meanwhile", 15)]

    ran = run(log)

    assert set(final(ran).values()) == {"deployed"}
    assert escalated(ran) == [("bad_deployment", "deployed")]


def test_an_incident_that_lasts_for_days_stays_one() -> None:
    log = [deployed(), *(event for number in range(450) for event in at_once(str(number), 5 + 10 * number))]

    ran = run(log)

    assert set(final(ran).values()) == {"deployed"}
    assert escalated(ran) == [("bad_deployment", "deployed")]


def test_a_change_since_which_clearly_more_fails_is_named_although_the_service_was_never_quiet() -> None:
    log = [deployed(), *(event for number in range(250) for event in at_once(f"first-{number}", 5 + number / 10))]
    log += [event for number in range(40) for event in at_once(f"trickle-{number}", (number + 1) * 3 * HOUR)]
    log += [configured("worse", 122 * HOUR)]
    log += [event for number in range(150) for event in at_once(f"second-{number}", 122 * HOUR + 5 + number / 10)]

    ran = run(log)

    culprits = final(ran)
    assert {culprits[f"e-first-{number}"] for number in range(250)} == {"deployed"}
    assert {culprits[f"e-second-{number}"] for number in range(150)} == {"worse"}
    assert escalated(ran) == [("bad_deployment", "deployed"), ("bad_configuration", "worse")]


def test_a_rollback_ends_an_incident_and_the_next_one_has_a_culprit_and_an_escalation_of_its_own() -> None:
    log = [deployed()]
    for number in range(330):
        log += at_once(f"first-{number}", 5 + number / 10)
    log += [deployed("rollback", 50)]
    for number in range(5):
        log += at_once(f"late-{number}", 51 + number)
    log += [deployed("again", 20 * HOUR)]
    for number in range(50):
        log += at_once(f"second-{number}", 20 * HOUR + 5 + number / 10)

    ran = run(log)

    culprits = final(ran)
    assert {culprits[f"e-first-{number}"] for number in range(330)} == {"deployed"}
    assert {culprits[f"e-late-{number}"] for number in range(5)} == {"deployed"}
    assert {culprits[f"e-second-{number}"] for number in range(50)} == {"again"}
    assert escalated(ran) == [("bad_deployment", "deployed"), ("bad_deployment", "again")]


def test_two_services_that_break_at_once_are_two_incidents() -> None:
    def other(event: Event) -> Event:
        renamed = {"service": "shipping"} | {
            field: f"{event.data[field]}-x" for field in ("order_id", "error_event_id") if field in event.data
        }
        return replace(event, id=f"{event.id}-x", data={**event.data, **renamed})

    mine = [deployed(), *(event for number in range(120) for event in at_once(str(number), 5 + number / 10))]
    log = [event for each in mine for event in (each, other(each))]

    ran = run(log)

    assert Counter(final(ran).values()) == {"deployed": 120, "deployed-x": 120}
    assert escalated(ran) == [("bad_deployment", "deployed"), ("bad_deployment", "deployed-x")]


def test_a_storm_of_errors_of_the_service_does_not_push_out_the_change_nor_the_orders() -> None:
    log = [deployed(), *(event for number in range(3) for event in at_once(str(number), 5 + number))]
    log += [broken(f"b-{number}", 10 + number / 100) for number in range(450)]
    log += at_once("last", 25)

    ran = run(log)

    assert set(final(ran).values()) == {"deployed"}
    assert {"e-last", "e-0", "b-449"} <= set(final(ran))
    assert escalated(ran) == [("bad_deployment", "deployed")]


@pytest.mark.parametrize("seed", range(8))
def test_whatever_arrives_first_everyone_who_failed_is_named_in_the_end_and_people_hear_once(seed: int) -> None:
    orders = [str(number) for number in range(40)]
    log = [deployed(), deployed("older", -20 * HOUR), *(e for n, o in enumerate(orders) for e in at_once(o, 5 + n))]
    random.Random(seed).shuffle(log)

    ran = run(log, latency=seed)

    assert final(ran) == {f"e-{order}": "deployed" for order in orders}
    assert ("bad_deployment", "deployed") in escalated(ran)
    assert len(escalated(ran)) == len(set(escalated(ran)))


def test_events_that_come_twice_change_nothing() -> None:
    log = [deployed(), *(event for number in range(50) for event in at_once(str(number), 5 + number))]
    once, twice = run(log), run([event for each in log for event in (each, each)])

    assert final(twice) == final(once)
    assert escalated(twice) == escalated(once)


def test_a_deployment_that_is_reported_again_under_another_id_is_no_rival_of_itself() -> None:
    log = [deployed(), deployed("again"), *(event for number in range(5) for event in at_once(str(number), 5 + number))]

    assert set(final(run(log)).values()) == {"deployed"}


def test_a_change_that_comes_late_is_named_for_everyone_at_once_when_it_comes() -> None:
    log = [*(event for number in range(SUSPICIONS) for event in at_once(str(number), 5 + number / 10)), deployed()]

    ran = run(log)

    assert set(final(ran).values()) == {"deployed"}
    assert escalated(ran) == [("bad_deployment", "deployed")]


def test_a_late_suspicion_of_an_early_error_is_named_too() -> None:
    log = [deployed(), *(event for number in range(1, 330) for event in at_once(str(number), 5 + number / 10))]
    early, late = at_once("early", 5.05)

    ran = run([log[0], early, *log[1:], replace(late, time=log[-1].time)])

    assert final(ran)["e-early"] == "deployed"
    assert len(escalated(ran)) == 1


def test_two_changes_that_came_together_are_not_told_apart_and_both_are_named() -> None:
    log = [deployed(), configured(minutes=0.5), *(e for n in range(5) for e in at_once(str(n), 10 + n))]

    ran = run(log)
    verdicts = [event["data"] for event in ran.published if event["type"] == "RootCauseIdentified"]

    assert escalated(ran) == [("inconclusive", "configured")]
    assert set(final(ran).values()) == {None}
    assert verdicts[-1]["failure"] == "inconclusive"
    assert verdicts[-1]["alternatives"] == ["configured", "deployed"]
    assert verdicts[-1]["missing"] == ["what failed between configured and deployed"]
    assert verdicts[-1]["evidence"][:3] == ["configured", "deployed", "e-4"]


def test_other_changes_are_ruled_out_with_the_reason() -> None:
    log = [configured("old", -100), *at_once("b", -90), deployed()]
    log += [event for number in range(8) for event in at_once(str(number), 5 + number)]
    log += [configured("fix", 12.5), *at_once("last", 13)]

    ran = run(log)
    last = [event["data"] for event in ran.published if event["type"] == "RootCauseIdentified"][-1]

    assert last["culprit_event_id"] == "deployed"
    assert last["ruled_out"] == [
        {"event_id": "old", "why": "1 failed between it and deployed, 9 since then"},
        {"event_id": "fix", "why": "these errors had begun before it"},
    ]


def test_an_escalation_says_how_many_failed_and_names_the_first_of_them() -> None:
    log = [*(event for number in range(30) for event in at_once(f"{number:02}", 5 + number / 10)), deployed()]
    [told] = [event["data"] for event in run(log).published if event["type"] == "EscalationRequested"]

    named = ", ".join(f"order_id {number:02}" for number in range(20))
    assert told["reason"] == (
        "30 failed after change deployed, 0 in as long before it; answers revised: 29"
        f"; so far: {named} and 10 more; everyone it meets gets a verdict that names the same"
    )
    assert told["evidence"][0] == "deployed"
