"""Graphs of services with faults: what is told is what happened, and the books know who is behind it."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

from app.simulator.services import KINDS, Case, Kind, case, faults_until_now, records_of
from app.simulator.services.faults import Fault, Harm, Network
from app.simulator.services.graph import Graph, Node, graph

TEN = datetime(2026, 11, 27, 10, tzinfo=UTC)


def every_kind(seed: int) -> list[Case]:
    return [case(seed, kind) for kind in KINDS]


def told(played: Case, event_type: str) -> list[dict[str, object]]:
    return [event["data"] for event in played.events if event["type"] == event_type]


def time_of(played: Case, event_id: str) -> datetime:
    [time] = [event["time"] for event in played.events if event["id"] == event_id]
    return datetime.fromisoformat(time)


def chain(*, caught: float = 0.0) -> Network:
    """page → api → store; one request of api waits for two of store."""
    nodes = {
        name: Node(kind="service", layer=layer, latency=0.1, requests=100)
        for layer, name in enumerate(("page", "api", "store"))
    }
    network = Network(random.Random(1), Graph(nodes, {"page": {"api": 1.0}, "api": {"store": 2.0}, "store": {}}))
    network.caught = {("page", "api"): caught, ("api", "store"): caught}
    return network


def broken(harm: Harm, *, timed_out: float = 0.0) -> Fault:
    return Fault(service="store", harm=harm, from_at=TEN, to_at=TEN + timedelta(minutes=10), timed_out=timed_out)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_is_the_same_case_and_another_one_is_not(kind: Kind) -> None:
    assert case(7, kind, missing=0.1) == case(7, kind, missing=0.1)
    assert case(7, kind).events != case(8, kind).events


def test_callers_wait_as_often_as_they_call() -> None:
    harm = chain().harm([(broken(Harm(0.3, 0.0)), 1.0)])
    assert harm["api"].seconds == harm["page"].seconds == pytest.approx(0.6)
    assert harm["page"].failing == 0


def test_what_a_caller_catches_does_not_reach_its_callers() -> None:
    harm = chain(caught=0.5).harm([(broken(Harm(0.0, 0.2)), 1.0)])
    assert harm["store"].failing == pytest.approx(0.2)
    assert harm["api"].failing == pytest.approx(0.1)
    assert harm["page"].failing == pytest.approx(0.05)


def test_a_caller_with_a_time_limit_fails_and_does_not_wait_on() -> None:
    harm = chain().harm([(broken(Harm(60.0, 0.0), timed_out=0.4), 1.0)])
    assert harm["store"] == Harm(60.0, 0.0)
    assert harm["api"].seconds == pytest.approx(0.6)
    assert harm["api"].failing == pytest.approx(0.4)
    assert harm["page"].failing == pytest.approx(0.4)


@pytest.mark.parametrize(("minute", "share"), [(-5, 0.0), (-2, 0.6), (0, 1.0), (8, 0.4), (10, 0.0)])
def test_a_fault_counts_for_the_share_of_a_span_in_which_it_was_there(minute: int, share: float) -> None:
    began = TEN + timedelta(minutes=minute)
    assert broken(Harm(1.0, 0.0)).share_of(began, began + timedelta(minutes=5)) == pytest.approx(share)


@pytest.mark.parametrize("seed", range(20))
def test_every_service_but_the_first_is_called_and_nobody_calls_back(seed: int) -> None:
    made = graph(random.Random(seed))
    names = list(made.nodes)
    called = {each for those in made.calls.values() for each in those}
    assert {name for name, node in made.nodes.items() if node.layer} <= called
    assert all(names.index(each) > names.index(name) for name, those in made.calls.items() for each in those)


def test_a_name_does_not_tell_where_a_service_stands() -> None:
    layers: dict[str, set[int]] = {}
    for seed in range(60):
        for name, node in graph(random.Random(seed)).nodes.items():
            layers.setdefault(name.split("-")[0], set()).add(node.layer)
    assert all(len(found) >= 4 for found in layers.values())


@pytest.mark.parametrize("seed", range(3))
def test_an_alarm_is_raised_while_its_cause_is_there_by_a_service_that_reaches_it(seed: int) -> None:
    for played in every_kind(seed):
        calls = {str(each["service"]): each["calls"] for each in told(played, "DependencyDeclared")}
        for each in told(played, "DependencyObserved"):
            calls.setdefault(str(each["service"]), []).append(each["calls"])  # type: ignore[attr-defined]
        assert played.answers
        for answer in played.answers:
            reached = [answer.alarmed]
            for name in reached:
                reached += [each for each in calls.get(name, ()) if each not in reached]  # type: ignore[attr-defined]
            assert answer.culprit in reached
            [ended] = [each for each in played.ended if each.service == answer.culprit]
            assert time_of(played, answer.alarm_id) < ended.at


@pytest.mark.parametrize("kind", ["deployment", "configuration", "cascade"])
def test_the_change_to_blame_is_one_of_the_culprit_shortly_before_and_another_one_ends_it(kind: Kind) -> None:
    for seed in range(5):
        played = case(seed, kind)
        [ended] = played.ended
        [change_id] = {answer.change_id for answer in played.answers}
        [change] = [event for event in played.events if event["id"] == change_id]
        assert change["type"] == ("ConfigChanged" if kind == "configuration" else "ServiceDeployed")
        assert change["data"]["service"] == ended.service
        assert ended.stopped_by is not None
        assert time_of(played, ended.stopped_by) == ended.at
        before = time_of(played, played.answers[0].alarm_id) - datetime.fromisoformat(change["time"])
        assert timedelta(0) < before < timedelta(minutes=35)


def test_services_that_are_not_to_blame_change_as_well() -> None:
    innocent = 0
    for seed in range(10):
        played = case(seed, "deployment")
        [ended] = played.ended
        changes = [*told(played, "ServiceDeployed"), *told(played, "ConfigChanged")]
        innocent += sum(change["service"] != ended.service for change in changes)
    assert innocent >= 10


def test_what_is_missing_is_told_by_nobody() -> None:
    for kind in KINDS:
        assert not told(case(3, kind, missing=1.0), "MetricBreached")
        assert not told(case(3, kind, unmeasured=1.0), "MetricBreached")
        assert {tuple(each["calls"]) for each in told(case(3, kind, missing=1.0), "DependencyDeclared")} <= {()}  # type: ignore[arg-type]


def test_something_is_out_of_its_normal_only_while_the_fault_is_there_where_requests_are_many() -> None:
    played = case(4, "latency")
    [ended] = played.ended
    times = [
        str(each["from_at"]) for each in told(played, "MetricBreached")
        if each["service"] == ended.service and each["metric"] == "latency"
    ]  # fmt: skip
    assert len(times) >= 3
    assert max(map(datetime.fromisoformat, times)) < ended.at


def test_nothing_of_the_answer_is_told() -> None:
    for played in every_kind(5):
        for event in played.events:
            assert set(event["data"]) <= {
                "service", "kind", "calls", "metric", "value", "normal", "requests", "from_at", "to_at", "version",
                "key", "old", "new", "step", "error", "message",
            }  # fmt: skip


def test_faults_until_now_are_over_before_now_and_no_two_share_a_service_or_an_id() -> None:
    faults = faults_until_now(1, 8, now=TEN)
    assert [fault.kind for fault in faults] == [*KINDS, KINDS[0]]
    services = [{str(event["data"]["service"]) for event in fault.events} for fault in faults]
    assert sum(map(len, services)) == len(set().union(*services))
    records = [record for fault in faults for record in records_of(fault)]
    assert len({record.value for record in records}) == len(records)
    assert {record.topic for record in records} == {"platform"}
    assert TEN - timedelta(hours=13) <= min(record.at for record in records)
    assert max(record.at for record in records) <= TEN
