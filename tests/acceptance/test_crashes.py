"""Whatever is killed under load: nothing is lost, nothing is decided twice, every history is exact."""

from __future__ import annotations

import shutil
import signal
import threading
from collections.abc import Sequence

from facts import Fact, due_ids, records, sending
from observe import eventually, get, settled, under_way
from promises import assert_histories_are_exact, assert_nothing_lost_or_doubled
from stages import Stage

from app.sandbox.worker_process import WorkerProcess

#: Enough that a kill in the middle leaves work before, during and after it; a window of 50 overflows.
FACTS = 240
ENTITIES = 4


def in_flight(worker: WorkerProcess) -> int:
    _, body = get(worker.url, "/agents")
    return sum(agent["in_flight"] for agent in body["agents"])


def assert_promises_kept(stage: Stage, facts: Sequence[Fact]) -> None:
    settled(stage.sandbox.database_url, due_ids(facts), stage.cast.deciders)
    assert_nothing_lost_or_doubled(stage.sandbox, facts, topics=stage.cast.catalogue.topics, repeats_allowed=True)
    assert_histories_are_exact(stage.sandbox, facts)


def test_a_killed_worker_starts_again_without_losing_or_doubling_anything(stage: Stage) -> None:
    facts = stage.cast.series("killed", ENTITIES, FACTS)
    rest = threading.Event()
    with sending(stage.sandbox.kafka, records(facts), rest=rest):
        under_way(stage.sandbox.database_url, due_ids(facts), stage.cast.deciders)
        rest.set()
        stage.worker.send(signal.SIGKILL)
        stage.worker.start()
    assert_promises_kept(stage, facts)


def test_what_is_in_flight_when_everything_fails_at_once_is_decided_later(stage: Stage) -> None:
    # Twice the usual number: the offsets of what is acknowledged are committed every second, so it has to last longer.
    facts = stage.cast.series("all-gone", 2 * ENTITIES, 2 * FACTS)
    rest = threading.Event()
    with sending(stage.sandbox.kafka, records(facts), rest=rest):
        under_way(stage.sandbox.database_url, due_ids(facts), stage.cast.deciders)
        stage.sandbox.postgres.crash()
        # Of the rest nothing can be decided.
        rest.set()
    # Everything is in the windows and nothing can be decided: what was acknowledged too early would be lost now.
    eventually(lambda: in_flight(stage.worker), lambda count: count >= FACTS)
    stage.worker.send(signal.SIGKILL)
    shutil.rmtree(stage.worker.directory / "tables")
    stage.sandbox.postgres.restart()
    stage.worker.start()
    assert_promises_kept(stage, facts)


def test_a_crash_of_postgresql_under_load_loses_and_doubles_nothing(stage: Stage) -> None:
    facts = stage.cast.series("no-database", ENTITIES, FACTS)
    pid = stage.worker.pid
    rest = threading.Event()
    with sending(stage.sandbox.kafka, records(facts), rest=rest):
        under_way(stage.sandbox.database_url, due_ids(facts), stage.cast.deciders)
        rest.set()
        stage.sandbox.postgres.crash()
        stage.sandbox.postgres.restart()
    assert stage.worker.pid == pid
    assert_promises_kept(stage, facts)
