"""Who is named behind an alarm: by what was lost, whatever the order in which anything becomes known."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from services import alarm, calls, deployed, failing, play, slow, told

from agents.platform.events.calls import MOST_CANDIDATES
from app.testing.choreography import Choreography
from tables.event import Event

#: web → api → store, and web → mail.
SHOP = (calls("web", "api", "mail"), calls("api", "store"), calls("store"), calls("mail"))
#: What the store lost, the others waited for.
OUTAGE = (slow("store", 40), slow("api", 45), slow("web", 46))


def verdicts(played: Choreography) -> dict[str, dict[str, Any]]:
    """The last verdict on each error."""
    return {
        event["data"]["error_event_id"]: event["data"]
        for event in played.published
        if event["type"] == "RootCauseIdentified"
    }


def verdict(*events: Event, on: str = "alarm") -> dict[str, Any]:
    return verdicts(play(events))[on]


def named(said: dict[str, Any]) -> list[str]:
    return [each["service"] for each in said["candidates"]]


def test_the_service_that_lost_most_itself_is_named_and_the_others_after_it() -> None:
    said = verdict(*SHOP, *OUTAGE, alarm("web"))
    assert named(said) == ["store", "api", "web"]
    assert [each["loss"] for each in said["candidates"]] == [40.0, 5.0, 1.0]
    assert (said["culprit_service"], said["culprit_event_id"]) == ("store", "store-latency-0")
    assert (said["failure"], said["service"]) == ("service_degraded", "web")
    assert said["confidence"] > 0.8


def test_the_deployment_of_one_service_is_named_for_the_errors_of_another() -> None:
    said = verdict(*SHOP, deployed("store", -20), deployed("mail", -3), *OUTAGE, alarm("web"))
    assert (said["failure"], said["culprit_event_id"]) == ("bad_deployment", "deployed-store")
    assert said["candidates"][0]["why"].endswith("after bad_deployment deployed-store")


def test_a_setting_is_named_as_such() -> None:
    changed = told("ConfigChanged", "pool", -2, service="store", key="pool", old=10, new=1)
    said = verdict(*SHOP, changed, *OUTAGE, alarm("web"))
    assert (said["failure"], said["culprit_event_id"]) == ("bad_configuration", "pool")


def test_an_alarm_near_which_nothing_was_lost_is_left_to_whoever_counts_errors() -> None:
    said = verdict(*SHOP, *OUTAGE, alarm("web", 300))
    assert (said["failure"], said["candidates"]) == ("unknown", [])


def test_a_later_verdict_replaces_the_one_that_knew_less() -> None:
    played = play([*SHOP, slow("web", 46), alarm("web"), slow("api", 45), slow("store", 40)], latency=0)
    said = [event["data"]["culprit_service"] for event in played.published if event["type"] == "RootCauseIdentified"]
    assert said == ["web", "api", "store"]


def test_measured_services_come_before_those_that_only_their_callers_measure() -> None:
    shop = (calls("web", "far", "store"), calls("far", kind="remote"), calls("store"))
    said = verdict(*shop, slow("far", 90), slow("store", 60), slow("web", 150), alarm("web"))
    assert named(said) == ["store", "far"]
    assert said["candidates"][1]["why"].endswith("but only its callers measure it")


def test_failing_requests_outweigh_slow_ones_of_another_service() -> None:
    shop = (calls("web", "store", "mail"), calls("store"), calls("mail"))
    said = verdict(*shop, slow("mail", 30), slow("web", 30), failing("store", 300), failing("web", 300), alarm("web"))
    assert named(said) == ["store"]


def test_where_two_lost_as_much_the_verdict_is_inconclusive_and_names_both() -> None:
    shop = (calls("web", "store", "mail"), calls("store"), calls("mail"))
    said = verdict(*shop, slow("mail", 30), slow("store", 30.1), slow("web", 61), alarm("web"))
    assert (said["failure"], said["culprit_service"], said["culprit_event_id"]) == ("inconclusive", None, None)
    assert named(said) == ["store", "mail", "web"]
    assert said["alternatives"][:2] == ["store-latency-0", "mail-latency-0"]
    assert len(said["missing"]) == 1
    assert said["confidence"] < 0.5


def test_of_two_that_lost_as_much_the_one_that_was_changed_is_named() -> None:
    shop = (calls("web", "store", "mail"), calls("store"), calls("mail"), deployed("store", -3))
    said = verdict(*shop, slow("mail", 30), slow("store", 30.1), slow("web", 61), alarm("web"))
    assert said["culprit_event_id"] == "deployed-store"


def test_where_nobody_lost_much_of_all_that_was_lost_the_verdict_is_inconclusive() -> None:
    leaves = [f"leaf-{number}" for number in range(5)]
    shop = (calls("web", *leaves), *map(calls, leaves))
    lost = [slow(leaf, 20 + 2 * number) for number, leaf in enumerate(leaves)]
    assert verdict(*shop, *lost, slow("web", 120), alarm("web"))["failure"] == "inconclusive"


def test_a_caller_without_a_change_of_its_own_is_named_less_surely_than_one_that_calls_nobody() -> None:
    alone = verdict(calls("web"), slow("web", 40), alarm("web"))
    caller = verdict(calls("web", "store"), calls("store"), slow("web", 40), alarm("web"))
    changed = verdict(calls("web", "store"), calls("store"), deployed("web", -5), slow("web", 40), alarm("web"))
    # A change of a caller may be chance: what it calls and nobody declared would explain the loss as well.
    assert (alone["confidence"], caller["confidence"], changed["confidence"]) == (0.85, 0.75, 0.85)


def test_who_calls_nobody_is_blamed_most_surely_by_others() -> None:
    # Of itself it may be that its calls were not told.
    assert verdict(calls("web", "store"), calls("store"), slow("store", 40), alarm("web"))["confidence"] == 0.95


#: Nobody is known to call store.
APART = (calls("web", "mail"), calls("mail"), calls("store"))


def test_who_lost_at_the_same_time_by_no_known_call_comes_second() -> None:
    said = verdict(*APART, slow("store", 40), slow("web", 41), alarm("web"))
    assert named(said) == ["web", "store"]
    assert said["candidates"][1]["why"].endswith("but nobody told of a call that leads to it")


def test_who_lost_as_much_at_the_same_time_by_no_known_call_is_a_guess_before_who_would_call_it() -> None:
    # A caller loses no more than those it calls; and somebody calls this one.
    said = verdict(*APART, slow("store", 60), slow("web", 41), alarm("web"))
    assert (named(said), said["confidence"] < 0.5) == (["store", "web"], True)


@pytest.mark.parametrize(
    "others",
    [
        pytest.param([slow("store", 300)], id="far more"),
        pytest.param([slow("store", 60), failing("store", 300)], id="it fails as well, and the caller does not"),
        pytest.param([slow("store", 60), failing("web", 300)], id="the caller fails as well, and it does not"),
        pytest.param([slow("web", 41, -5), slow("store", 100)], id="later than the caller"),
        pytest.param([calls("store", "web", minute=-60), slow("store", 120)], id="it calls the other"),
    ],
)
def test_who_lost_at_the_same_time_comes_second_where_a_call_would_not_explain_it(others: list[Event]) -> None:
    assert named(verdict(*APART, slow("web", 41), *others, alarm("web")))[0] == "web"


def test_who_lost_at_the_same_time_after_a_change_of_its_own_is_a_guess_before_one_without() -> None:
    changed = (*APART, deployed("store", -3))
    said = verdict(*changed, slow("store", 40), slow("web", 41), alarm("web"))
    assert (named(said), said["culprit_event_id"]) == (["store", "web"], "deployed-store")
    assert said["confidence"] < 0.5
    both = verdict(*changed, deployed("web", -2), slow("store", 30), slow("web", 41), alarm("web"))
    assert (named(both), both["culprit_event_id"]) == (["web", "store"], "deployed-web")


def test_of_two_that_lost_as_much_the_one_that_was_changed_just_before_comes_first() -> None:
    shop = (calls("web", "store", "mail"), calls("store"), calls("mail"), deployed("store", -3))
    said = verdict(*shop, slow("mail", 31), slow("store", 30), slow("web", 61), alarm("web"))
    assert (named(said)[0], said["culprit_event_id"]) == ("store", "deployed-store")


def test_who_never_told_whom_it_calls_is_blamed_less_surely() -> None:
    assert verdict(slow("web", 40), alarm("web"))["confidence"] == 0.75


def test_a_service_too_slow_for_its_callers_is_behind_their_failing() -> None:
    shop = (calls("page", "web"), calls("web", "store"), calls("store"))
    said = verdict(*shop, slow("store", 400), failing("web", 30), failing("page", 30), alarm("page"))
    assert (named(said), said["candidates"][0]["loss"]) == (["store"], 30.0)


def test_a_service_a_little_slower_is_not_behind_the_failing_of_its_callers() -> None:
    shop = (calls("web", "store"), calls("store"))
    assert named(verdict(*shop, slow("store", 10), failing("web", 30), alarm("web"))) == ["web"]


@given(data=st.data())
@settings(max_examples=20)
def test_who_was_too_slow_is_behind_the_failing_in_any_order_of_arrival(data: st.DataObject) -> None:
    shop = (calls("page", "web"), calls("web", "store", "mail"), calls("store"), calls("mail"))
    lost = (slow("store", 400), slow("mail", 3), failing("web", 30), failing("page", 31))
    arrived = data.draw(st.permutations([*shop, *lost, alarm("page")]))
    assert named(verdict(*arrived)) == ["store", "page"]


def test_a_called_service_that_fails_itself_is_counted_by_that_and_not_by_its_slowness() -> None:
    shop = (calls("web", "store"), calls("store"))
    said = verdict(*shop, slow("store", 400), failing("store", 10), failing("web", 30), alarm("web"))
    assert [(each["service"], each["loss"]) for each in said["candidates"]] == [("web", 20.0), ("store", 10.0)]


def test_what_was_lost_little_or_at_another_time_is_no_guess_before_the_service_itself() -> None:
    apart = (calls("web", "mail"), calls("mail"), calls("store"))
    assert named(verdict(*apart, slow("store", 4), slow("web", 41), alarm("web"))) == ["web", "store"]
    assert named(verdict(*apart, slow("store", 40, 60), slow("web", 41), alarm("web"))) == ["web"]


def test_a_call_that_becomes_known_makes_the_guess_a_finding() -> None:
    apart = (calls("web", "mail", minute=-60), calls("mail"), calls("store"))
    said = verdict(*apart, slow("store", 40), slow("web", 41), alarm("web"), calls("web", "mail", "store", minute=9))
    assert (named(said), said["confidence"]) == (["store", "web"], 0.93)


def test_a_handful_of_candidates_at_most_is_named() -> None:
    leaves = [f"leaf-{number}" for number in range(9)]
    shop = (calls("web", *leaves), *map(calls, leaves))
    lost = [slow(leaf, 10.0**number) for number, leaf in enumerate(leaves)]
    assert len(verdict(*shop, *lost, slow("web", 10.0**9), alarm("web"))["candidates"]) == MOST_CANDIDATES


EVENTS: Sequence[Event] = [
    *SHOP, calls("page", "web"), calls("alone"), deployed("store", -20), slow("store", 40), slow("api", 45),
    slow("web", 50), slow("store", 30, 5), slow("web", 31, 5), slow("alone", 9), failing("mail", 2), slow("page", 60),
    alarm("web"), alarm("page", 6, "page-alarm"),
]  # fmt: skip


@given(data=st.data())
@settings(max_examples=60)
def test_any_order_of_arrival_with_copies_ends_in_the_same_verdict(data: st.DataObject) -> None:
    arrived = data.draw(st.permutations(EVENTS))
    copies = data.draw(st.lists(st.sampled_from(EVENTS), max_size=4))
    latency = data.draw(st.integers(0, 9))
    expected = verdicts(play(EVENTS))
    assert verdicts(play([*arrived, *copies], latency)) == expected
    assert named(expected["alarm"]) == ["store", "web", "api"]


@given(
    losses=st.lists(st.integers(1, 90), min_size=7, max_size=7),
    edges=st.sets(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=14),
    data=st.data(),
)
@settings(max_examples=40)
def test_whoever_calls_whom_any_order_ends_in_the_same_verdict(
    losses: list[int], edges: set[tuple[int, int]], data: st.DataObject
) -> None:
    names = [f"s{number}" for number in range(7)]
    graph = [calls(name, *(names[to] for of, to in sorted(edges) if of == number)) for number, name in enumerate(names)]
    events = [*graph, *(slow(name, lost) for name, lost in zip(names, losses, strict=True)), alarm("s0")]
    arrived = data.draw(st.permutations(events))
    assert verdicts(play(arrived, data.draw(st.integers(0, 5)))) == verdicts(play(events))


@pytest.mark.parametrize("seed", range(12))
def test_where_calls_go_round_in_circles_any_order_ends_in_the_same_verdict(seed: int) -> None:
    # The way that a loss took decides who may hear of it: another one has to be told, or an old one stays.
    graph = {0: (1, 2, 4), 1: (2, 5), 2: (0, 3), 3: (5,), 4: (5,), 5: (4,), 6: (4,)}
    losses = (46, 70, 29, 78, 66, 73, 85)
    declared = [calls(f"s{number}", *(f"s{each}" for each in called)) for number, called in graph.items()]
    events = [*declared, *(slow(f"s{number}", lost) for number, lost in enumerate(losses)), alarm("s0")]
    chance = random.Random(seed)
    shuffled = chance.sample(events, len(events))
    assert verdicts(play(shuffled, chance.randrange(6))) == verdicts(play(events))
