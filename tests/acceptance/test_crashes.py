"""Whatever is killed under load: nothing is lost, nothing is decided twice, every history is exact."""

from __future__ import annotations

import shutil
import signal
import threading

from observe import eventually, get, settled, under_way
from promises import assert_histories_are_exact, assert_nothing_lost_or_doubled
from shop import ids, records, sending, series

from app.sandbox import Sandbox
from app.sandbox.worker_process import WorkerProcess

#: Enough that a kill in the middle leaves work before, during and after it; a window of 50 overflows.
PAYMENTS = 240
CUSTOMERS = 4


def in_flight(worker: WorkerProcess) -> int:
    _, body = get(worker.url, "/agents")
    return sum(agent["in_flight"] for agent in body["agents"])


def test_a_killed_worker_starts_again_without_losing_or_doubling_anything(
    sandbox: Sandbox, worker: WorkerProcess
) -> None:
    payments = series("killed", CUSTOMERS, PAYMENTS)
    rest = threading.Event()
    with sending(sandbox.kafka, records(payments), rest=rest):
        under_way(sandbox.database_url, ids(payments))
        rest.set()
        worker.send(signal.SIGKILL)
        worker.start()
    settled(sandbox.database_url, ids(payments))

    assert_nothing_lost_or_doubled(sandbox, payments, repeats_allowed=True)
    assert_histories_are_exact(sandbox, payments)


def test_what_is_in_flight_when_everything_fails_at_once_is_decided_later(
    sandbox: Sandbox, worker: WorkerProcess
) -> None:
    # Twice the usual number: the offsets of what is acknowledged are committed every second, so it has to last longer.
    payments = series("all-gone", 2 * CUSTOMERS, 2 * PAYMENTS)
    rest = threading.Event()
    with sending(sandbox.kafka, records(payments), rest=rest):
        under_way(sandbox.database_url, ids(payments))
        sandbox.postgres.crash()
        # Of the rest nothing can be decided.
        rest.set()
    # Everything is in the windows and nothing can be decided: what was acknowledged too early would be lost now.
    eventually(lambda: in_flight(worker), lambda count: count >= PAYMENTS)
    worker.send(signal.SIGKILL)
    shutil.rmtree(worker.directory / "tables")
    sandbox.postgres.restart()
    worker.start()
    settled(sandbox.database_url, ids(payments))

    assert_nothing_lost_or_doubled(sandbox, payments, repeats_allowed=True)
    assert_histories_are_exact(sandbox, payments)


def test_a_crash_of_postgresql_under_load_loses_and_doubles_nothing(sandbox: Sandbox, worker: WorkerProcess) -> None:
    payments = series("no-database", CUSTOMERS, PAYMENTS)
    pid = worker.pid
    rest = threading.Event()
    with sending(sandbox.kafka, records(payments), rest=rest):
        under_way(sandbox.database_url, ids(payments))
        rest.set()
        sandbox.postgres.crash()
        sandbox.postgres.restart()
    settled(sandbox.database_url, ids(payments))

    assert worker.pid == pid
    assert_nothing_lost_or_doubled(sandbox, payments, repeats_allowed=True)
    assert_histories_are_exact(sandbox, payments)
