"""A worker that is told to stop under load (SIGTERM) finishes what it has begun and ends with exit code 0."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator

import pytest
from facts import due_ids, records, sending
from observe import eventually, rows, settled, under_way
from promises import assert_histories_are_exact, assert_nothing_lost_or_doubled
from stages import Stage
from waiting import PATIENCE_SECONDS

FACTS = 240
ENTITIES = 4
#: Committed messages nobody has published, and lanes others would have to wait for.
LEFT_BEHIND = """
    SELECT (SELECT count(*) FROM outbox_messages), (SELECT count(*) FROM outbox_lanes WHERE owner IS NOT NULL)
"""


@pytest.fixture
def bare_process(stage: Stage) -> Iterator[subprocess.Popen[bytes]]:
    """The worker of the stage without its guard, so that its exit code can be seen."""
    worker = stage.worker
    worker.stop()
    with subprocess.Popen(
        worker.command(),
        env=dict(worker.environment()),
        cwd=worker.working_directory(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            eventually(worker.answers)
            yield process
        finally:
            process.kill()


def test_a_graceful_stop_under_load_loses_and_doubles_nothing(
    stage: Stage, bare_process: subprocess.Popen[bytes]
) -> None:
    facts = stage.cast.series("stopped", ENTITIES, FACTS)
    rest = threading.Event()
    with sending(stage.sandbox.kafka, records(facts), rest=rest):
        under_way(stage.database_url, due_ids(facts), stage.cast.deciders)
        rest.set()
        bare_process.terminate()
        # What the worker allows itself is its own matter: beyond that it ends with another code.
        code = bare_process.wait(PATIENCE_SECONDS)
        left_behind = rows(stage.database_url, LEFT_BEHIND)
        stage.worker.start()
    settled(stage.database_url, due_ids(facts), stage.cast.deciders)

    assert code == 0
    assert left_behind == [(0, 0)]
    assert_nothing_lost_or_doubled(stage.sandbox, facts, topics=stage.cast.catalogue.topics)
    assert_histories_are_exact(stage.sandbox, facts)
