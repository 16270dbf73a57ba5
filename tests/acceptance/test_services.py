"""`make services` as a process: the environment it prints is all a worker needs, and nothing stays behind."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from observe import eventually, get, rows, scored, settled
from processes import children, end, is_open, is_running
from shop import send, series
from waiting import PATIENCE_SECONDS

from app.sandbox.process import LOOPBACK, clean_environment, free_port

INNERVATE = Path(sys.executable).with_name("innervate")
ENVIRONMENT = Path("var/services.env")


@contextmanager
def services(folder: Path, provider: str) -> Iterator[subprocess.Popen[bytes]]:
    """`make services` in this folder, printing into `printed` and `complained`; it ends with the block."""
    with (folder / "printed").open("wb") as printed, (folder / "complained").open("wb") as complained:
        process = subprocess.Popen(
            [sys.executable, "-m", "app.sandbox.services", "--provider", provider],
            cwd=folder,
            stdout=printed,
            stderr=complained,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait(PATIENCE_SECONDS)


def sourced(folder: Path, file: Path) -> dict[str, str]:
    """The environment of a shell that has sourced the file, and nothing else but what every process has."""
    eventually((folder / ENVIRONMENT).exists, what="the services to say where they are")
    shell = subprocess.run(
        ["sh", "-c", f". ./{file} && exec env -0"],
        cwd=folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=True,
    )
    found = dict(entry.partition("=")[::2] for entry in shell.stdout.split("\0") if entry)
    return {name: value for name, value in found.items() if name not in {"PWD", "OLDPWD", "SHLVL", "_"}}


@contextmanager
def worker(folder: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """`innervate worker` with exactly this environment, ready; gives its address and ends it in order."""
    port = free_port()
    with (folder / "worker.log").open("wb") as log:
        process = subprocess.Popen(
            [str(INNERVATE), "--datadir", str(folder / "data"), "worker", "-l", "info", "--web-port", str(port)],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=log,
        )
    url = f"http://{LOOPBACK}:{port}"
    try:
        eventually(lambda: is_open(f"{LOOPBACK}:{port}") and get(url, "/health/ready")[0] == 200, what="the worker")
        yield url
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0
    finally:
        process.kill()
        process.wait(PATIENCE_SECONDS)


def test_the_printed_environment_is_all_a_worker_needs_and_ctrl_c_leaves_nothing(tmp_path: Path, provider: str) -> None:
    payments = series("services", 2, 3)
    with services(tmp_path, provider) as process:
        environment = sourced(tmp_path, ENVIRONMENT)
        listed = subprocess.run(
            [str(INNERVATE), "agents"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        with worker(tmp_path, environment):
            asyncio.run(send(environment["KAFKA_BROKER"], [payment.structured() for payment in payments]))
            settled(environment["DATABASE_URL"], [payment.event_id for payment in payments])
        scores = {event_id: len(events) for event_id, events in scored(environment["KAFKA_BROKER"]).items()}
        printed = sourced(tmp_path, Path("printed"))

        assert end(process, signal.SIGINT, services=children(process.pid)) == (0, set())

    assert (listed.returncode, listed.stderr) == (0, "")
    assert re.search(r"\| @fraud +\|", listed.stdout)
    assert scores == {payment.event_id: 1 for payment in payments}
    assert printed == environment
    assert not (tmp_path / ENVIRONMENT).exists()
    assert not (tmp_path / "var/services").exists()
    for address in (environment["KAFKA_BROKER"], urlsplit(environment["DATABASE_URL"]).netloc.rpartition("@")[2]):
        assert not is_open(address)


def test_a_service_that_ends_by_itself_ends_the_other_and_is_named(tmp_path: Path, provider: str) -> None:
    with services(tmp_path, provider) as process:
        environment = sourced(tmp_path, ENVIRONMENT)
        running = children(process.pid)
        [(data,)] = rows(environment["DATABASE_URL"], "SHOW data_directory")
        os.kill(int(Path(data, "postmaster.pid").read_text().split()[0]), signal.SIGQUIT)

        assert process.wait(PATIENCE_SECONDS) == 1

    assert (tmp_path / "complained").read_text() == "innervate: postgresql ended\n"
    assert not {pid for pid in running if is_running(pid)}
    assert not (tmp_path / ENVIRONMENT).exists()
