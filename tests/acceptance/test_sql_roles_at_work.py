"""Least privilege at work: who migrates owns the tables, a whole worker works as its role, and views read as theirs."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest
from aiohttp.test_utils import TestClient, TestServer
from observe import eventually, get, read, rows, settled
from promises import assert_histories_are_exact, assert_nothing_lost_or_doubled
from psycopg2.extensions import make_dsn
from shop import Payment, Record, ids, records, send, series
from waiting import PATIENCE_SECONDS

from app.composition import create_app
from app.sandbox import Sandbox
from app.sandbox.process import clean_environment
from app.sandbox.worker_process import CHECKOUT, WorkerProcess
from app.settings import Settings

PAYMENTS: Final = 24
CUSTOMERS: Final = 4
#: An order that cannot be delivered: what was paid is given back, which waits for a person.
ORDER: Final = "roles-order"
STORY: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    "OrderPlaced": (
        "orders",
        {"items": [{"sku": "s1", "quantity": 1, "price_minor": 10_000}], "total_minor": 10_000, "currency": "EUR"},
    ),
    "InventoryShort": ("orders", {"sku": "s1", "wanted": 1, "available": 0}),
    "PaymentSucceeded": (
        "payments",
        {"payment_id": "roles-paid", "amount_minor": 10_000, "currency": "EUR", "method": "card"},
    ),
    "ErrorOccurred": ("platform", {"service": "label-api", "step": "label", "error": "Timeout", "message": "late"}),
}
#: The routes that ask no more than PostgreSQL and Kafka, by what stands in their braces.
PLACES: Final[Mapping[str, str]] = {
    "decision_id": "SELECT decision_id::text FROM approvals",
    "code_id": "SELECT min(id)::text FROM code_versions",
    "letter_id": "SELECT min(id::text) FROM dead_letters",
}
#: They look at a worker that runs, last for ever, or need rows of a model or of the relay that are not there.
NOT_ASKED: Final = re.compile(r"/health/ready|/ui/live|/ui/static/|{agent}|{seq}|{call_id}|{digest}")


def as_user(sandbox: Sandbox, user: str) -> str:
    return str(make_dsn(sandbox.database_url, user=user))


@pytest.fixture(scope="module")
def company(provider: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A database whose owner, who is no superuser, has migrated it; `worker` and `reader` are in the roles for it."""
    with Sandbox(tmp_path_factory.mktemp("roles") / "sandbox", provider) as sandbox:
        rows(sandbox.database_url, "CREATE ROLE owner LOGIN CREATEROLE")
        rows(sandbox.database_url, "ALTER DATABASE innervate OWNER TO owner")
        roles = {"DATABASE_WORKER_ROLE": "workers", "DATABASE_READER_ROLE": "readers"}
        done = subprocess.run(
            [sys.executable, "-m", "faust", "-A", "app", "migrate"],
            cwd=CHECKOUT,
            env={
                **clean_environment(),
                **sandbox.worker_environment(),
                **roles,
                "DATABASE_URL": as_user(sandbox, "owner"),
            },
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        for user, role in (("worker", "workers"), ("reader", "readers")):
            rows(sandbox.database_url, f"CREATE ROLE {user} LOGIN IN ROLE {role}")
        yield sandbox


@pytest.fixture(scope="module")
def employee(company: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    """A worker as the user `worker`."""
    settings = {
        "DATABASE_URL": as_user(company, "worker"),
        "MIGRATE_AT_START": "false",
        "HOLD_MOVES_OVER_MINOR": "1",
    }
    with ExitStack() as stack:
        process = WorkerProcess(company, tmp_path_factory.mktemp("roles") / "worker", settings)
        stack.callback(process.release)
        process.start()
        yield process


def story() -> list[Record]:
    """The order, and bytes that are no event."""
    told = [
        (kind, topic, {"order_id": ORDER, "customer_id": "roles-customer", "country": "DE", "device_id": "d1", **data})
        for kind, (topic, data) in STORY.items()
    ]
    events = [Payment(f"{ORDER}-{kind}", ORDER, number, kind, data) for number, (kind, _, data) in enumerate(told)]
    placed = [
        Record(event.structured().value, event.structured().headers, ORDER.encode(), topic)
        for event, (_, topic, _) in zip(events, told, strict=True)
    ]
    return [*placed, Record(b"\xff{", topic="orders")]


def posted(url: str, body: Mapping[str, str]) -> Any:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as response:
        return json.load(response)


def decided_on(company: Sandbox, name: str) -> list[Payment]:
    payments = series(name, CUSTOMERS, PAYMENTS)
    asyncio.run(send(company.kafka, records(payments)))
    settled(company.database_url, ids(payments))
    return payments


def test_a_worker_does_all_its_work_as_its_role(company: Sandbox, employee: WorkerProcess) -> None:
    payments = decided_on(company, "roles")
    asyncio.run(send(company.kafka, story()))

    [held] = eventually(lambda: get(employee.url, "/approvals")[1]["approvals"])
    assert rows(company.database_url, "SELECT count(*) FROM refunds") == [(0,)]
    answer = {"content_sha256": held["content_sha256"], "by": "ada"}
    posted(f"{employee.url}/decisions/{held['id']}/approve", answer)
    assert eventually(lambda: refunded(company)) == [ORDER]

    letter, *_ = eventually(lambda: get(employee.url, "/dead-letters")[1]["dead_letters"])
    posted(f"{employee.url}/dead-letters/{letter['id']}/redrive", {"by": "ada"})
    # It is no better the second time.
    eventually(lambda: rows(company.database_url, "SELECT id FROM dead_letters"), lambda found: len(found) > 1)

    for number in (signal.SIGTERM, signal.SIGKILL):
        employee.send(number)
        employee.start()
        payments += decided_on(company, f"roles-{number.name.lower()}")

    users = "SELECT DISTINCT usename FROM pg_stat_activity WHERE datname = 'innervate' AND pid <> pg_backend_pid()"
    assert rows(company.database_url, users) == [("worker",)]
    assert_nothing_lost_or_doubled(company, payments)
    assert_histories_are_exact(company, payments)
    assert "permission denied" not in employee.log_path.read_text(encoding="utf-8", errors="replace")


def refunded(company: Sandbox) -> list[str]:
    """The orders of the refunds that were published."""
    events = [json.loads(record.value) for record in read(company.kafka, "payments") if b"RefundIssued" in record.value]
    return [event["data"]["order_id"] for event in events]


def test_every_view_answers_as_the_role_that_only_reads(
    company: Sandbox, employee: WorkerProcess, tmp_path: Path
) -> None:
    asyncio.run(send(company.kafka, story()))
    eventually(lambda: rows(company.database_url, "SELECT id FROM dead_letters"))
    eventually(lambda: rows(company.database_url, "SELECT decision_id FROM approvals"))
    settings = Settings(
        _env_file=None,
        kafka_broker=company.kafka,
        kafka_profile=company.provider,
        database_url=as_user(company, "reader"),
        datadir=tmp_path,
    )

    answers = asyncio.run(answered(settings, company))

    assert len(answers) > 40
    assert {path: status for path, status in answers.items() if status != 200} == {}


async def answered(settings: Settings, company: Sandbox) -> Mapping[str, int]:
    """The status of every route of a worker that is not started."""
    app = create_app(settings)
    try:
        application = await app.web.wsgi()
        paths = {route.resource.canonical for route in application.router.routes() if route.method == "GET"}
        async with TestClient(TestServer(application)) as client:
            return {path: await status(client, at(path, company)) for path in paths if not NOT_ASKED.search(path)}
    finally:
        await app.runtime.database.close()


async def status(client: TestClient[Any, Any], path: str) -> int:
    async with client.get(path) as response:
        await response.read()
        return response.status


def at(path: str, company: Sandbox) -> str:
    for name, query in PLACES.items():
        if f"{{{name}}}" in path:
            [(found,)] = rows(company.database_url, query)
            path = path.replace(f"{{{name}}}", found)
    # Stories are searched for by a word.
    path = f"{path}?text={ORDER}" if path == "/stories" else path
    return path.replace("{entity}", "order").replace("{entity_id}", ORDER)
