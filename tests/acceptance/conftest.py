"""Fixtures of the acceptance tier: worker processes on the sandbox of the session.

All tests share one sandbox, one after another, and tell their events apart by the test's own ids. A test may kill the
worker: the next one that asks for it gets it started again, on the same tables.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from stages import CASTS, Stage

from app.sandbox import Sandbox
from app.sandbox.worker_process import WorkerProcess


@pytest.fixture(scope="session")
def provider(request: pytest.FixtureRequest) -> str:
    """The broker chosen with `--provider`."""
    return str(request.config.getoption("--provider"))


@pytest.fixture(scope="session")
def first_worker(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    # One type that no agent wants is asked for, in one timeline; see `test_bad_input`.
    settings = {"TIMELINES": "customer:LoyaltyPointsEarned"}
    process = WorkerProcess(sandbox, tmp_path_factory.mktemp("worker") / "first", settings)
    try:
        yield process
    finally:
        process.release()


@pytest.fixture
def worker(first_worker: WorkerProcess) -> WorkerProcess:
    """The worker of the session, ready."""
    first_worker.start()
    return first_worker


@pytest.fixture(scope="session", params=["shop", "ci"])
def stage_of_the_session(
    request: pytest.FixtureRequest, provider: str, installed_ci: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    """The shop on the sandbox of the session, another domain on services of its own."""
    cast = CASTS[request.param]
    settings = {"DOMAINS": cast.domains, "PYTHONPATH": str(installed_ci)}
    if request.param == "shop":
        yield Stage(cast, request.getfixturevalue("sandbox"), request.getfixturevalue("first_worker"), settings)
        return
    directory = tmp_path_factory.mktemp(request.param)
    with ExitStack() as stack:
        sandbox = stack.enter_context(Sandbox(directory / "sandbox", provider))
        worker = WorkerProcess(sandbox, directory / "worker", settings)
        stack.callback(worker.release)
        yield Stage(cast, sandbox, worker, settings)


@pytest.fixture
def stage(stage_of_the_session: Stage) -> Stage:
    """The stage, its worker ready; a test that asks for one runs with each domain."""
    stage_of_the_session.worker.start()
    return stage_of_the_session
