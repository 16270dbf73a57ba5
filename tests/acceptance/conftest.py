"""Fixtures of the acceptance tier: worker processes on the sandbox of the session.

All tests share one sandbox, one after another, and tell their events apart by the test's own ids. A test may kill the
worker: the next one that asks for it gets it started again, on the same tables.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.sandbox import Sandbox
from app.sandbox.worker_process import WorkerProcess


@pytest.fixture(scope="session")
def provider(request: pytest.FixtureRequest) -> str:
    """The broker chosen with `--provider`."""
    return str(request.config.getoption("--provider"))


@pytest.fixture(scope="session")
def first_worker(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    process = WorkerProcess(sandbox, tmp_path_factory.mktemp("worker") / "first")
    try:
        yield process
    finally:
        process.release()


@pytest.fixture
def worker(first_worker: WorkerProcess) -> WorkerProcess:
    """The worker of the session, ready."""
    first_worker.start()
    return first_worker
