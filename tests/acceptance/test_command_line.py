"""The command line as any Faust user types it in the checkout, and what it says when it cannot start."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg2
import pytest
from aiokafka.admin import AIOKafkaAdminClient
from observe import eventually, rows
from shop_catalogue import AGENTS
from waiting import PATIENCE_SECONDS

from app.sandbox import Sandbox
from app.sandbox.process import clean_environment, free_port
from app.sandbox.worker_process import CHECKOUT, WorkerProcess

Done = subprocess.CompletedProcess[str]

NO_DATABASE = "postgresql://127.0.0.1:1/innervate"
WORKER = "worker"

#: What is typed, by a name for the test: the arguments and the settings on top of the sandbox's own.
TYPED: dict[str, tuple[str, dict[str, str]]] = {
    "agents": ("agents", {}),
    "tables": ("tables", {}),
    "migrate": ("migrate", {"DATABASE_URL": "never_migrated"}),
    "topics": ("topics", {"AGENTS": "confirmation"}),
    "topics without kafka": ("topics", {"KAFKA_BROKER": "127.0.0.1:1"}),
    "migrate without a database": ("migrate", {"DATABASE_URL": NO_DATABASE}),
    "worker without a database": (WORKER, {"DATABASE_URL": NO_DATABASE}),
    "worker without kafka": (WORKER, {"KAFKA_BROKER": "127.0.0.1:1"}),
    "worker that may not migrate": (WORKER, {"DATABASE_URL": "not_migrated", "MIGRATE_AT_START": "false"}),
    "worker on every address": (f"{WORKER} --web-bind 0.0.0.0", {}),
    "worker at a path": (f"{WORKER} --web-transport unix:///tmp/innervate-never-there", {}),
    "worker with other partitions": (WORKER, {"TOPIC_PARTITIONS": "4"}),
    "simulate": ("simulate --orders 2 --failures 1 --services 1 --per-second 1000", {}),
    "simulate too many failures": ("simulate --orders 2 --failures 2", {}),
    "unknown agent": ("agents", {"AGENTS": "fraud,nobody"}),
    "no port": ("agents", {"KAFKA_BROKER": "localhost"}),
    "no partitions": ("agents", {"TOPIC_PARTITIONS": "0"}),
    "open to the network": ("agents", {"WEB_BIND": "0.0.0.0"}),
}


def of_the_server(sandbox: Sandbox, database: str) -> str:
    return f"{sandbox.database_url.rpartition('/')[0]}/{database}"


def faust(sandbox: Sandbox, directory: Path, command: str, settings: Mapping[str, str]) -> Done:
    """Run `faust -A app …` to its end."""
    arguments = command.split()
    if arguments[0] == WORKER:
        arguments = ["--datadir", str(directory), *arguments, "-l", "info", "--web-port", str(free_port())]
    environment = {**clean_environment(), **sandbox.worker_environment(), **settings}
    if environment["DATABASE_URL"].endswith("_migrated"):
        environment["DATABASE_URL"] = of_the_server(sandbox, environment["DATABASE_URL"])
    return subprocess.run(
        [str(Path(sys.executable).with_name("faust")), "-A", "app", *arguments],
        cwd=CHECKOUT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


@pytest.fixture(scope="module")
def done(sandbox: Sandbox, first_worker: WorkerProcess, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Done]:
    """Everything typed, run side by side: most of the time goes into imports and waiting."""
    first_worker.start()
    for database in ("never_migrated", "not_migrated"):
        rows(sandbox.database_url, f"CREATE DATABASE {database}")
    directory = tmp_path_factory.mktemp("command-line")
    with ThreadPoolExecutor(4) as pool:
        running = {
            name: pool.submit(faust, sandbox, directory / str(number), *typed)
            for number, (name, typed) in enumerate(TYPED.items())
        }
        return {name: run.result() for name, run in running.items()}


def last_line(run: Done) -> str:
    return run.stderr.rstrip().rpartition("\n")[2]


def test_agents_are_listed(done: Mapping[str, Done]) -> None:
    run = done["agents"]

    assert (run.returncode, run.stderr) == (0, "")
    assert re.search(r"\| @fraud +\| timeline-customer +\| Reacts to PaymentSucceeded of a customer\. +\|", run.stdout)
    assert re.search(r"\| @recovery +\| timeline-order +\| Reacts to AddressChanged, FraudScored, ", run.stdout)


def test_tables_are_listed(done: Mapping[str, Done]) -> None:
    run = done["tables"]

    assert (run.returncode, run.stderr) == (0, "")
    assert re.search(r"\| fraud-windows +\| windows: last 50 events, no older than 120 days", run.stdout)


def test_a_simulation_is_sent_and_decided_on(sandbox: Sandbox, done: Mapping[str, Done]) -> None:
    run = done["simulate"]

    assert run.returncode == 0, run.stderr
    assert " records sent: 2 orders, 1 errors, " in run.stdout
    assert " 1 faults of services" in run.stdout
    on_errors = "SELECT agent FROM decisions WHERE agent = 'root_cause' AND event_id LIKE 'o-0000_-ErrorOccurred-1'"
    assert eventually(lambda: rows(sandbox.database_url, on_errors)) == [("root_cause",)]


def test_a_simulation_that_cannot_be_says_so(done: Mapping[str, Done]) -> None:
    run = done["simulate too many failures"]

    assert (run.returncode, last_line(run)) == (1, "innervate: 2 failures need at least 4 orders, got 2")


def test_migrate_brings_an_empty_database_up_to_date_and_may_be_repeated(
    sandbox: Sandbox, done: Mapping[str, Done], tmp_path: Path
) -> None:
    again = faust(sandbox, tmp_path, *TYPED["migrate"])

    for run in (done["migrate"], again):
        assert (run.returncode, run.stdout) == (0, "the database has the newest schema\n"), run.stderr
    url = of_the_server(sandbox, "never_migrated")
    assert rows(url, "SELECT count(*) FROM decisions") == [(0,)]
    assert rows(url, "SELECT count(*) FROM outbox_lanes") == [(64,)]


def test_the_topics_of_a_set_are_created_before_any_worker_of_it_runs(
    sandbox: Sandbox, done: Mapping[str, Done]
) -> None:
    run = done["topics"]

    assert (run.returncode, run.stdout) == (0, "the set confirmation has its topics\n"), run.stderr
    assert "innervate-confirmation-confirmation-windows-changelog" in topics(sandbox.kafka)


def test_topics_without_kafka_says_so(done: Mapping[str, Done]) -> None:
    run = done["topics without kafka"]

    assert run.returncode == 1
    assert last_line(run).startswith("innervate: Kafka at 127.0.0.1:1: ")
    assert "Traceback" not in run.stderr


def topics(kafka: str) -> set[str]:
    async def listed() -> set[str]:
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
        await admin.start()
        try:
            return set(await admin.list_topics())
        finally:
            await admin.close()

    return asyncio.run(listed())


def test_migrate_without_a_database_says_so(done: Mapping[str, Done]) -> None:
    run = done["migrate without a database"]

    assert run.returncode == 1
    assert last_line(run).startswith('innervate: connection to server at "127.0.0.1", port 1 failed')
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("unknown agent", f"AGENTS: no agent named nobody; there are {', '.join(AGENTS)}"),
        ("no port", "KAFKA_BROKER: expected host:port, separated by commas"),
        ("no partitions", "TOPIC_PARTITIONS: Input should be greater than or equal to 1"),
        (
            "open to the network",
            "WEB_BIND is not loopback: set API_TOKEN or API_TOKENS, or the whole network can read the windows",
        ),
    ],
)
def test_a_wrong_setting_stops_every_command_with_one_line(done: Mapping[str, Done], name: str, line: str) -> None:
    run = done[name]

    assert (run.returncode, run.stdout, run.stderr) == (2, "", f"innervate: {line}\n")


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("worker without a database", 'innervate: connection to server at "127.0.0.1", port 1 failed'),
        ("worker without kafka", "innervate: Kafka at 127.0.0.1:1: "),
        (
            "worker on every address",
            "innervate: the HTTP interface would listen on 0.0.0.0, which is not loopback: set API_TOKEN or",
        ),
        ("worker at a path", "innervate: the HTTP interface would listen on /tmp/innervate-never-there, which is not"),
        (
            "worker that may not migrate",
            "innervate: the schema is not current: run `faust -A app migrate` or set MIGRATE_AT_START",
        ),
        (
            "worker with other partitions",
            "innervate: topic timeline-customer has 8 partitions, TOPIC_PARTITIONS is 4",
        ),
    ],
)
def test_a_worker_that_cannot_start_ends_and_says_why_in_its_last_line(
    done: Mapping[str, Done], name: str, line: str
) -> None:
    run = done[name]

    assert run.returncode == 1
    assert last_line(run).startswith(line)
    assert "Traceback" not in run.stderr


def test_a_worker_that_cannot_write_its_data_directory_says_so_in_its_last_line(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()

    run = faust(sandbox, tmp_path / "file" / "data", WORKER, {})

    assert run.returncode == 1
    assert last_line(run) == f"innervate: DATADIR {tmp_path}/file/data cannot be written: Not a directory"
    assert "Traceback" not in run.stderr


def test_a_worker_that_may_not_migrate_does_not(sandbox: Sandbox, done: Mapping[str, Done]) -> None:
    with pytest.raises(psycopg2.errors.UndefinedTable):
        rows(of_the_server(sandbox, "not_migrated"), "SELECT 1 FROM decisions")
