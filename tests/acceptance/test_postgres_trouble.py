"""What other people do to the database of a running worker: it says so, and nothing is lost."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

import psycopg2
import pytest
from observe import eventually, get, rows, settled
from shop import Payment, send

from app.sandbox import Sandbox
from app.sandbox.worker_process import WorkerProcess


def check(worker: WorkerProcess, name: str) -> str:
    """What one check of readiness says."""
    return str(get(worker.url, "/health/ready")[1]["checks"][name])


def pay(sandbox: Sandbox, event_id: str) -> list[str]:
    payment = Payment(event_id, f"customer-{event_id}")
    asyncio.run(send(sandbox.kafka, [payment.structured()]))
    return [payment.event_id]


@contextlib.contextmanager
def away(database_url: str, table: str) -> Iterator[None]:
    rows(database_url, f"ALTER TABLE {table} RENAME TO away")
    try:
        yield
    finally:
        rows(database_url, f"ALTER TABLE away RENAME TO {table}")


@pytest.mark.parametrize(
    ("table", "named_by"), [("outbox_lanes", "outbox"), ("outbox_messages", "outbox"), ("decisions", "background")]
)
def test_a_table_that_is_away_is_said_and_waited_for(
    worker: WorkerProcess, sandbox: Sandbox, table: str, named_by: str
) -> None:
    with away(sandbox.database_url, table):
        events = pay(sandbox, f"away-{table}")
        eventually(lambda: check(worker, named_by), lambda said: f'relation "{table}" does not exist' in said)

    settled(sandbox.database_url, events)
    eventually(lambda: get(worker.url, "/health/ready")[0], lambda status: status == 200)


def test_a_database_that_is_read_only_is_said_and_waited_for(worker: WorkerProcess, sandbox: Sandbox) -> None:
    name = sandbox.database_url.rpartition("/")[2]
    _as_administrator(sandbox.database_url, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    try:
        _end_sessions(sandbox.database_url)
        events = pay(sandbox, "read-only")
        eventually(lambda: check(worker, "database"), lambda said: said == "PostgreSQL is read-only")
        eventually(lambda: check(worker, "background"), lambda said: "read-only transaction" in said)
    finally:
        _as_administrator(sandbox.database_url, f"ALTER DATABASE {name} RESET default_transaction_read_only")

    settled(sandbox.database_url, events)
    eventually(lambda: get(worker.url, "/health/ready")[0], lambda status: status == 200)


def test_a_client_that_keeps_decisions_locked_stops_them_and_nothing_else(
    worker: WorkerProcess, sandbox: Sandbox
) -> None:
    with contextlib.closing(psycopg2.connect(sandbox.database_url)) as stranger, stranger.cursor() as cursor:
        cursor.execute("LOCK TABLE decisions IN SHARE MODE")
        events = pay(sandbox, "locked")
        eventually(lambda: check(worker, "background"), lambda said: "lock timeout" in said)
        assert get(worker.url, "/health/live")[0] == 200

    settled(sandbox.database_url, events)


def _as_administrator(url: str, statement: str) -> None:
    rows(f"{url}?options=-cdefault_transaction_read_only%3Doff", statement)


def _end_sessions(url: str) -> None:
    """As a failover does."""
    rows(
        url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
