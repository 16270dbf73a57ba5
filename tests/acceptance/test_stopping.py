"""A worker that is told to stop ends, whatever it is waiting for, and leaves nothing that others have to wait for."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from observe import eventually, rows
from shop import records, sending, series
from waiting import PATIENCE_SECONDS

from app.sandbox import Sandbox
from app.sandbox.process import Service
from app.sandbox.worker_process import WorkerProcess


@pytest.fixture
def own_sandbox(provider: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """Services that a test may freeze."""
    with Sandbox(tmp_path_factory.mktemp("stopping") / "sandbox", provider) as services:
        yield services


@contextmanager
def running(worker: WorkerProcess, log: Path, changes: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """The worker without its guard, so that its exit code can be seen."""
    worker.take_ports()
    with (
        log.open("wb") as output,
        subprocess.Popen(
            worker.command(),
            env={**worker.environment(), **changes},
            cwd=worker.working_directory(),
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def silent() -> Iterator[str]:
    """An address that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        host, port = server.getsockname()[:2]
        yield f"{host}:{port}"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("service", ["DATABASE_URL", "KAFKA_BROKER"])
def test_a_worker_that_waits_for_a_silent_service_at_its_start_ends(
    sandbox: Sandbox, tmp_path: Path, silent: str, service: str, number: signal.Signals
) -> None:
    worker = WorkerProcess(sandbox, tmp_path / "worker")
    address = f"postgresql://{silent}/innervate" if service == "DATABASE_URL" else silent
    log = tmp_path / "worker.log"
    with running(worker, log, {service: address}) as process:
        # Its parts have begun to start.
        eventually(lambda: "Runtime" in log.read_text())
        process.send_signal(number)
        process.wait(PATIENCE_SECONDS)


def processes(service: Service) -> list[int]:
    """The service's own process and those it has started, like the backends of PostgreSQL."""
    children = Path(f"/proc/{service.pid}/task/{service.pid}/children").read_text()
    return [service.pid, *map(int, children.split())]


@contextmanager
def frozen(service: Service) -> Iterator[None]:
    """It keeps its connections and says nothing."""
    stopped = processes(service)
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in stopped:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("name", ["postgres", "broker"])
def test_a_worker_whose_services_are_frozen_under_load_ends(own_sandbox: Sandbox, tmp_path: Path, name: str) -> None:
    worker = WorkerProcess(own_sandbox, tmp_path / "worker")
    payments = series("frozen", 4, 200)
    with running(worker, tmp_path / "worker.log", {}) as process:
        eventually(worker.answers)
        with sending(own_sandbox.kafka, records(payments)):
            eventually(lambda: rows(own_sandbox.database_url, "SELECT 1 FROM decisions LIMIT 1"))
        with frozen(getattr(own_sandbox, name)):
            process.terminate()
            process.wait(PATIENCE_SECONDS)


def test_a_worker_that_is_told_to_stop_before_it_is_ready_ends_at_once(sandbox: Sandbox, tmp_path: Path) -> None:
    worker = WorkerProcess(sandbox, tmp_path / "worker")
    log = tmp_path / "worker.log"
    with running(worker, log, {}) as process:
        eventually(lambda: "Runtime" in log.read_text())
        process.terminate()
        assert process.wait(PATIENCE_SECONDS) == 0
