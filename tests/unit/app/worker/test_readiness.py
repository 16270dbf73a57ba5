"""Readiness: each check names what does not get done, and is ok otherwise."""

from __future__ import annotations

import time

import pytest

from app.worker.probe import ProgressProbe
from app.worker.readiness import (
    background_check,
    commits_check,
    in_flight_check,
    lag_check,
    named,
    router_check,
    transactions_check,
)
from outbox.watch import Pending, PendingLane

PLACE = ("payments", 3)


@pytest.fixture
def probe() -> ProgressProbe:
    return ProgressProbe(group="innervate-all", router="innervate-router", topics=("payments",), client={})


def long_ago(seconds: float) -> float:
    return time.monotonic() - seconds


def test_a_probe_that_has_seen_nothing_yet_finds_nothing_wrong(probe: ProgressProbe) -> None:
    checks = (commits_check(probe), router_check(probe), transactions_check(probe), lag_check(probe, Pending(), 600))
    assert checks == ("ok",) * 4


def test_a_partition_of_a_domain_topic_that_stands_still_is_named(probe: ProgressProbe) -> None:
    probe.router.observe({PLACE: (5, 9)}, now=long_ago(61))
    assert router_check(probe) == "payments[3] has not moved for 61 s"


def test_a_partition_that_stands_still_for_a_while_is_ready(probe: ProgressProbe) -> None:
    probe.router.observe({PLACE: (5, 9)}, now=long_ago(50))
    assert router_check(probe) == "ok"


def test_a_topic_that_must_not_be_read_is_named_at_once(probe: ProgressProbe) -> None:
    probe.unreadable = {"payments": "TopicAuthorizationFailedError"}
    assert router_check(probe) == "payments cannot be read: TopicAuthorizationFailedError"


def test_a_timeline_that_stands_still_is_named(probe: ProgressProbe) -> None:
    probe.agents.observe({("timeline-order", 0): (5, 9)}, now=long_ago(75))
    assert commits_check(probe) == "timeline-order[0] has not moved for 75 s"


def test_a_kafka_that_has_not_answered_for_long_is_named(probe: ProgressProbe) -> None:
    probe.answered_at = long_ago(90)
    probe.problem = "GroupAuthorizationFailedError('innervate-all')"
    assert commits_check(probe) == (
        "Kafka has not said for 90 s how far the groups are: GroupAuthorizationFailedError('innervate-all')"
    )


def test_a_transaction_that_hangs_is_named(probe: ProgressProbe) -> None:
    probe.transactions.observe({PLACE: (5, 9)}, now=long_ago(70))
    assert transactions_check(probe) == "payments[3] waits at an open transaction for 70 s"


def test_what_moves_and_is_too_late_is_named(probe: ProgressProbe) -> None:
    probe.lag.observe({PLACE: (5, 9)}, now=long_ago(700))
    pending = Pending()
    pending.observe([PendingLane(7, 1, 800.0, "a")], now=time.monotonic())

    assert lag_check(probe, pending, 600) == "lane 7 of the outbox is 800 s behind; payments[3] is 700 s behind"
    assert lag_check(probe, pending, 900) == "ok"


def test_an_event_that_is_not_finished_is_named() -> None:
    assert in_flight_check([("fraud: timeline-customer[1]", 61.0), ("fraud: timeline-customer[2]", 59.0)]) == (
        "fraud: timeline-customer[1] has waited 61 s"
    )


def test_a_background_task_that_fails_is_named() -> None:
    assert background_check({"router": "KeyError: 'x'"}) == "router: KeyError: 'x'"


def test_many_things_are_named_by_the_first_few() -> None:
    assert named(f"lane {n}" for n in range(64)) == "lane 0; lane 1; lane 2; lane 3; lane 4; and 59 more"
