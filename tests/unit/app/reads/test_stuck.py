"""Whether anything is stuck, over all workers: told of work that nobody does, and not of processes that are gone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from app.reads.workers import Heard, WorkerShown, WorkerTopic, stuck

NOW = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)


def worker(name: str = "a", *, unseen_seconds: float = 2.0, partitions: range = range(4), **more: Any) -> Heard:
    """One of the set `all` that runs `fraud` and has these partitions of `timeline-order`, of 4."""
    shown: dict[str, Any] = {
        "name": name,
        "kind": "live",
        "agent_set": "all",
        "agents": ["fraud"],
        "release": "1",
        "address": None,
        "status": "alive" if unseen_seconds < 20 else "silent",
        "started_at": NOW - timedelta(hours=2),
        "seen_at": NOW - timedelta(seconds=unseen_seconds),
        "stopped_at": None,
        "lanes": [],
        "topics": [WorkerTopic(topic="timeline-order", partitions=list(partitions))],
        "partitions": [],
        "left_out": 0,
        "in_flight": 0,
        "oldest_in_flight_at": None,
        "checks": {"assignment": "ok", "lag": "ok"},
        "failing_since": {},
        "held_up": {},
    }
    return Heard(
        shown=WorkerShown(**{**shown, **more}),
        timelines=["timeline-order"],
        timeline_partitions=4,
        unseen_seconds=unseen_seconds,
        asked_at=NOW,
    )


def told(*workers: Heard) -> list[str]:
    return list(stuck(workers))


def test_nothing_is_stuck_where_one_worker_does_everything() -> None:
    assert told(worker()) == []


def test_where_no_worker_was_ever_heard_of_that_is_said() -> None:
    assert told() == ["no worker has said anything within a day"]


def test_a_killed_worker_whose_work_others_do_is_no_trouble() -> None:
    assert told(worker("a"), worker("b", unseen_seconds=3600)) == []


def test_agents_that_nobody_runs_any_more_are_named_with_who_ran_them_last() -> None:
    gone = worker("b", unseen_seconds=3600, agent_set="fraud-recovery", agents=["fraud", "recovery"])
    before = worker("c", unseen_seconds=7200, agent_set="fraud-recovery", agents=["fraud", "recovery"])

    assert told(worker("a", agents=["incident"]), gone, before) == [
        "nobody runs fraud, recovery: b of the set fraud-recovery has been silent since 2024-05-01T11:00:00+00:00"
    ]


def test_a_worker_that_said_goodbye_has_stopped_and_is_not_silent() -> None:
    gone = worker(unseen_seconds=3600, status="stopped", stopped_at=NOW - timedelta(hours=1))
    assert told(gone) == ["nobody runs fraud: a of the set all stopped at 2024-05-01T11:00:00+00:00"]


def test_an_agent_that_another_set_runs_by_now_is_run() -> None:
    assert told(worker("a"), worker("b", unseen_seconds=3600, agent_set="fraud")) == []


def test_a_shadow_does_the_work_of_nobody() -> None:
    gone = worker("b", unseen_seconds=3600)
    shadow = worker("a", kind="shadow", agent_set="shadow-fraud-new")
    assert told(shadow, gone) == ["nobody runs fraud: b of the set all has been silent since 2024-05-01T11:00:00+00:00"]


def test_that_the_windows_of_an_agent_nobody_runs_are_being_built_anew_is_said() -> None:
    gone = worker("b", unseen_seconds=3600)
    rebuild = worker("a", kind="rebuild", topics=[])
    [sentence] = told(rebuild, gone)
    assert sentence.startswith("nobody runs fraud: b of the set all has been silent since ")
    assert sentence.endswith("; the windows of fraud are being built anew")


def test_partitions_that_nobody_of_a_set_has_are_named() -> None:
    assert told(worker("a", partitions=range(2)), worker("b", partitions=range(3, 4))) == [
        "nobody of the set all has timeline-order[2]"
    ]


def test_a_timeline_of_which_nobody_has_anything_is_named() -> None:
    assert told(worker(topics=[])) == ["nobody of the set all has timeline-order[0-3]"]


def test_each_set_needs_all_partitions() -> None:
    other = worker("b", agent_set="fraud", partitions=range(3))
    assert told(worker("a"), other) == ["nobody of the set fraud has timeline-order[3]"]


def test_partitions_of_a_worker_that_went_a_moment_ago_are_still_being_taken_over() -> None:
    assert told(worker("a", partitions=range(2)), worker("b", unseen_seconds=30, partitions=range(2, 4))) == []
    assert told(worker("a", partitions=range(2)), worker("b", unseen_seconds=61, partitions=range(2, 4))) == [
        "nobody of the set all has timeline-order[2-3]"
    ]


def test_while_partitions_are_shared_out_none_is_missed() -> None:
    settling = {"assignment": "rebalancing or recovering"}
    since = {"assignment": NOW - timedelta(seconds=30)}
    assert told(worker(partitions=range(1), checks=settling, failing_since=since)) == []


def test_a_worker_that_has_just_started_may_have_no_partitions_yet() -> None:
    assert told(worker(partitions=range(0), started_at=NOW - timedelta(seconds=10))) == []


def test_sharing_out_that_does_not_end_is_named() -> None:
    settling = {"assignment": "rebalancing or recovering"}
    since = {"assignment": NOW - timedelta(seconds=90)}
    assert told(worker(checks=settling, failing_since=since)) == [
        "assignment: rebalancing or recovering, says a of the set all"
    ]


def test_what_a_check_says_is_passed_on_with_who_says_it() -> None:
    checks = {"commits": "timeline-order[3] has not moved for 71 s", "lag": "ok"}
    assert told(worker(checks=checks)) == ["commits: timeline-order[3] has not moved for 71 s, says a of the set all"]


def test_the_same_from_several_workers_is_said_once() -> None:
    one = worker("a", checks={"router": "payments[3] has not moved for 71 s"})
    two = worker("b", checks={"router": "payments[3] has not moved for 68 s"})
    assert told(one, two) == ["router: payments[3] has not moved for 71 s, says a of the set all and 1 more"]


def test_what_a_silent_worker_said_last_is_not_passed_on() -> None:
    assert told(worker("a"), worker("b", unseen_seconds=30, checks={"lag": "timeline-order[3] is 700 s behind"})) == []
