"""A worker that is told to stop under load (SIGTERM) finishes what it has begun and ends with exit code 0."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator

import pytest
from observe import eventually, rows, settled, under_way
from promises import assert_histories_are_exact, assert_nothing_lost_or_doubled
from shop import ids, records, sending, series
from waiting import PATIENCE_SECONDS

from app.sandbox import Sandbox
from app.sandbox.worker_process import WorkerProcess

PAYMENTS = 240
CUSTOMERS = 4
#: Committed messages nobody has published, and lanes others would have to wait for.
LEFT_BEHIND = """
    SELECT (SELECT count(*) FROM outbox_messages), (SELECT count(*) FROM outbox_lanes WHERE owner IS NOT NULL)
"""


@pytest.fixture
def bare_process(first_worker: WorkerProcess) -> Iterator[subprocess.Popen[bytes]]:
    """The worker of the session without its guard, so that its exit code can be seen."""
    first_worker.stop()
    with subprocess.Popen(
        first_worker.command(),
        env=dict(first_worker.environment()),
        cwd=first_worker.working_directory(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            eventually(first_worker.answers)
            yield process
        finally:
            process.kill()


def test_a_graceful_stop_under_load_loses_and_doubles_nothing(
    sandbox: Sandbox, bare_process: subprocess.Popen[bytes], first_worker: WorkerProcess
) -> None:
    payments = series("stopped", CUSTOMERS, PAYMENTS)
    rest = threading.Event()
    with sending(sandbox.kafka, records(payments), rest=rest):
        under_way(sandbox.database_url, ids(payments))
        rest.set()
        bare_process.terminate()
        # What the worker allows itself is its own matter: beyond that it ends with another code.
        code = bare_process.wait(PATIENCE_SECONDS)
        left_behind = rows(sandbox.database_url, LEFT_BEHIND)
        first_worker.start()
    settled(sandbox.database_url, ids(payments))

    assert code == 0
    assert left_behind == [(0, 0)]
    assert_nothing_lost_or_doubled(sandbox, payments)
    assert_histories_are_exact(sandbox, payments)
