"""Losses climb from service to service along the calls, whatever the order in which anything becomes known."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from services import calls, deployed, failing, play, slow, told

from app.testing.choreography import Choreography
from tables.event import Event

#: web → api → store, and web → mail.
SHOP = (calls("web", "api", "mail"), calls("api", "store"), calls("store"), calls("mail"))


def heard(played: Choreography, service: str) -> dict[str, dict[str, Any]]:
    """The last that each service it calls has told this one, by service and metric."""
    last = {}
    for event in played.published:
        data = event["data"]
        if event["type"] == "CauseSuggested" and data["service"] == service:
            last[f"{data['suggested_by']} {data['metric']} {data['from_at'][11:16]}"] = data
    return last


def causes(played: Choreography, service: str) -> dict[str, list[tuple[str, float]]]:
    return {
        said: [(each["service"], each["loss"]) for each in data["candidates"]]
        for said, data in heard(played, service).items()
    }


def messages(played: Choreography) -> int:
    return sum(event["type"] == "CauseSuggested" for event in played.published)


def test_a_service_hands_its_own_loss_on_to_those_that_call_it() -> None:
    played = play([*SHOP, slow("store", 40)])
    assert causes(played, "api") == {"store latency 10:00": [("store", 40.0)]}


def test_what_a_called_service_lost_is_no_loss_of_its_callers_own() -> None:
    played = play([*SHOP, slow("store", 40), slow("api", 45), slow("web", 45)])
    assert causes(played, "web")["api latency 10:00"] == [("store", 40.0), ("api", 5.0)]


def test_a_service_in_between_that_nobody_measures_hands_on_what_it_hears() -> None:
    played = play([*SHOP, slow("store", 40)])
    said = heard(played, "web")["api latency 10:00"]
    assert said["loss"] is None
    assert [each["path"] for each in said["candidates"]] == [[]]
    assert [each["service"] for each in said["candidates"]] == ["store"]


def test_the_way_a_loss_took_is_told() -> None:
    chain = (calls("a", "b"), calls("b", "c"), calls("c", "d"), calls("d"))
    played = play([*chain, slow("d", 10)])
    [candidate] = heard(played, "a")["b latency 10:00"]["candidates"]
    assert (candidate["service"], candidate["path"]) == ("d", ["c"])


def test_failed_requests_and_seconds_are_not_added_up() -> None:
    played = play([*SHOP, slow("store", 40), failing("api", 30)])
    assert causes(played, "web") == {
        "api availability 10:00": [("api", 30.0)],
        "api latency 10:00": [("store", 40.0)],
    }


def test_spans_apart_are_told_apart() -> None:
    played = play([*SHOP, slow("store", 40, 0), slow("api", 40, 60)])
    assert causes(played, "web") == {
        "api latency 10:00": [("store", 40.0)],
        "api latency 11:00": [("api", 40.0)],
    }


def test_a_report_that_is_missing_does_not_make_the_caller_the_culprit() -> None:
    played = play([*SHOP, slow("store", 40, 0), slow("api", 40, 0), slow("api", 40, 5), slow("web", 40, 5)])
    assert causes(played, "web")["api latency 10:05"] == [("store", 40.0)]


def test_endpoints_seen_from_outside_come_after_what_was_measured() -> None:
    shop = (calls("web", "api"), calls("api", "far", "store"), calls("far", kind="remote"), calls("store"))
    played = play([*shop, slow("far", 90), slow("store", 10)])
    assert causes(played, "web")["api latency 10:00"] == [("store", 10.0), ("far", 90.0)]


def test_only_the_handful_of_greatest_losses_is_handed_on() -> None:
    leaves = [f"leaf-{number}" for number in range(9)]
    shop = (calls("web", "api"), calls("api", *leaves), *(calls(leaf) for leaf in leaves))
    played = play([*shop, *(slow(leaf, 10 + number) for number, leaf in enumerate(leaves))])
    assert [name for name, _ in causes(played, "web")["api latency 10:00"]] == leaves[:3:-1]


def test_what_two_ways_lead_to_is_named_once() -> None:
    shop = (calls("web", "left", "right"), calls("left", "store"), calls("right", "store"), calls("store"))
    lost = slow("store", 40), slow("left", 20), slow("right", 20), slow("web", 40)
    played = play([calls("page", "web"), *shop, *lost])
    assert causes(played, "page")["web latency 10:00"] == [("store", 40.0)]


def test_a_change_shortly_before_a_breach_is_named_with_it() -> None:
    played = play([*SHOP, deployed("store", -30), slow("store", 40)])
    [candidate] = heard(played, "api")["store latency 10:00"]["candidates"]
    assert (candidate["change_id"], candidate["change_failure"]) == ("deployed-store", "bad_deployment")


@pytest.mark.parametrize("minute", [-61, 5, 30])
def test_a_change_long_before_or_after_a_breach_has_nothing_to_do_with_it(minute: float) -> None:
    played = play([*SHOP, deployed("store", minute), slow("store", 40)])
    [candidate] = heard(played, "api")["store latency 10:00"]["candidates"]
    assert candidate["change_id"] is None


def test_of_two_services_that_call_each_other_the_one_that_lost_more_is_behind_it() -> None:
    shop = (calls("page", "a"), calls("a", "b"), calls("b", "a"))
    for order in ([slow("a", 10), slow("b", 8)], [slow("b", 8), slow("a", 10)]):
        assert causes(play([*shop, *order]), "page")["a latency 10:00"] == [("a", 10.0)]


def test_a_circle_of_calls_comes_to_rest() -> None:
    ring = [f"s{number}" for number in range(6)]
    shop = [calls(name, ring[(number + 1) % 6]) for number, name in enumerate(ring)]
    played = play([*shop, *(slow(name, 10 + number) for number, name in enumerate(ring))])
    assert messages(played) < 200


def test_the_newest_declaration_holds() -> None:
    shop = (*SHOP, calls("api", minute=-60), slow("store", 40))
    assert causes(play(shop), "web") == {}
    assert causes(play([calls("api", minute=-60), *SHOP, slow("store", 40)]), "web") == {}


def test_a_call_that_becomes_known_later_is_told_of_what_happened_before() -> None:
    played = play([slow("store", 40), calls("store"), calls("api", "store")])
    assert causes(played, "api") == {"store latency 10:00": [("store", 40.0)]}


def test_a_call_seen_in_a_trace_counts_as_one_declared() -> None:
    seen = told("DependencyObserved", "trace-1", -10, service="api", calls="store")
    assert causes(play([seen, slow("store", 40)]), "api") == {"store latency 10:00": [("store", 40.0)]}


def test_a_service_whose_metrics_keep_to_their_normal_says_nothing() -> None:
    assert messages(play([*SHOP, deployed("store", -5), deployed("web", -4)])) == 0


def test_the_same_told_again_changes_nothing() -> None:
    once = play([*SHOP, slow("store", 40)])
    again = [*SHOP, slow("store", 40), *SHOP, slow("store", 40)]
    assert messages(play(_renamed(again))) == messages(once)


def test_a_metric_that_does_not_add_up_is_kept_and_nothing_more() -> None:
    full = told(
        "MetricBreached", "cpu", 5, service="store", metric="cpu", value=99.0, normal=20.0, requests=10,
        from_at="2026-11-27T10:00:00Z", to_at="2026-11-27T10:05:00Z",
    )  # fmt: skip
    assert messages(play([*SHOP, full])) == 0


@pytest.mark.parametrize("seed", range(20))
def test_any_order_of_arrival_ends_in_the_same(seed: int) -> None:
    events: Sequence[Event] = [
        *SHOP, deployed("store", -20), slow("store", 40), slow("api", 45), slow("web", 50), slow("mail", 4),
        slow("store", 30, 5), slow("web", 30, 5), failing("mail", 12), failing("web", 12),
    ]  # fmt: skip
    chance = random.Random(seed)
    shuffled = [*chance.sample(events, len(events)), *chance.sample(events, 4)]
    expected = play([calls("page", "web"), *events])
    played = play([calls("page", "web"), *shuffled], latency=chance.randrange(1, 9))
    assert causes(played, "page") == causes(expected, "page")


def _renamed(events: Iterable[Event]) -> Iterable[Event]:
    for number, event in enumerate(events):
        yield Event(id=f"e-{number}", source=event.source, type=event.type, time=event.time, data=event.data)
