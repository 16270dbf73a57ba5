"""Brains: what one worker decides by a model that takes a second, and what that costs the rules beside it.

A real worker on the sandbox, a real HTTP server that answers after a second. The same events come at the same pace in
both contenders; what is measured is what the worker commits of them. Beside it: what many connections cost in one pool
of httpcore and in several.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psycopg2
from aiokafka import AIOKafkaProducer

from agents.brains.client import ChatClient, Limits, Prompt, Server
from agents.shop.events import DomainEvent, ErrorOccurred, PaymentSucceeded
from app.sandbox import Sandbox
from app.sandbox.worker_process import CHECKOUT, WorkerProcess
from benchmarks.measure import rates, report
from tables.event import Event, to_json

LATENCY_SECONDS = 1.0
CONCURRENCY = 256
CUSTOMERS = 5_000

#: Offered each second: payments, each decided by fraud, whose verdict the router takes as well, and errors of orders,
#: each decided by incident's rules.
PAYMENTS = 165
ERRORS = 80
SERVICES = 400
SECONDS = 20
#: Left out at the beginning, when the worker is not in its stride.
WARM_UP_SECONDS = 5
RUNS = 3

SCHEMA = {
    "title": "Choice",
    "type": "object",
    "properties": {"go": {"type": "boolean"}},
    "required": ["go"],
    "additionalProperties": False,
}
PROMPT = Prompt(system="Decide.", user="{}")


async def measure() -> None:
    """Measure the pools, then the worker with both brains in turns."""
    await _measure_pools()
    with tempfile.TemporaryDirectory() as directory, _model(LATENCY_SECONDS) as url:
        by_rules: list[Mapping[str, float]] = []
        by_model: list[Mapping[str, float]] = []
        for run in range(RUNS):
            for found, settings in (
                (by_rules, {"BRAINS": "fraud=rules,incident=rules"}),
                (by_model, {"BRAINS": "fraud=model,incident=rules"}),
            ):
                place = Path(directory) / f"{run}-{settings['BRAINS']}"
                found.append(await _decide(place, {**_SETTINGS, "LLM_URL": url, **settings}))
    print(f"\none worker, {PAYMENTS} payments/s decided by fraud, {ERRORS} errors/s decided by the rules of incident")
    for agent in ("fraud", "incident"):
        rules, model = (statistics.median(run.get(agent, 0.0) for run in runs) for runs in (by_rules, by_model))
        print(f"  {agent:12} by rules {rules:5.0f} /s, fraud by a model of 1 s {model:5.0f} /s  {model / rules:6.2f} x")
    asked = statistics.median(run.get("fraud by the model", 0.0) for run in by_model)
    ideal = CONCURRENCY / LATENCY_SECONDS
    print(f"  decided by the model {asked:.0f} /s: {asked / ideal:.2f} of concurrency ÷ latency ({ideal:.0f} /s)")


_SETTINGS: Mapping[str, str] = {
    "AGENTS": "fraud,incident",
    "LLM_MODEL": "scripted",
    "LLM_CONCURRENCY": str(CONCURRENCY),
    "LLM_DAILY_TOKENS": "1000000000",
}


async def _decide(directory: Path, settings: Mapping[str, str]) -> Mapping[str, float]:
    """Run a worker under load; decisions committed per second, by agent."""
    with Sandbox(directory / "sandbox") as sandbox:
        worker = WorkerProcess(sandbox, directory / "worker", settings)
        try:
            await asyncio.to_thread(worker.start)
            began = datetime.now(UTC)
            await _send(sandbox.kafka)
            return await asyncio.to_thread(_committed, sandbox.database_url, began)
        finally:
            worker.release()


async def _send(kafka: str) -> None:
    """Keep the pace for `SECONDS`."""
    async with AIOKafkaProducer(bootstrap_servers=kafka, linger_ms=5) as producer:
        began, sent = time.monotonic(), 0
        while (elapsed := time.monotonic() - began) < SECONDS:
            due = int(elapsed * (PAYMENTS + ERRORS))
            for number in range(sent, due):
                data = _payment(number) if number % (PAYMENTS + ERRORS) < PAYMENTS else _error(number)
                await producer.send(data.topic, key=data.kafka_key.encode(), value=_event(data))
            sent = max(sent, due)
            await asyncio.sleep(0.01)


def _payment(number: int) -> PaymentSucceeded:
    return PaymentSucceeded(
        payment_id=f"p-{number}",
        order_id=f"o-{number}",
        customer_id=f"c-{number % CUSTOMERS}",
        amount_minor=2_000,
        currency="EUR",
        method="card",
        country="DE",
        device_id=f"d-{number % CUSTOMERS}",
    )


def _error(number: int) -> ErrorOccurred:
    service = f"s-{number % SERVICES}"
    return ErrorOccurred(service=service, step="pack", error="http_500", message="", order_id=f"o-{number}")


def _event(data: DomainEvent) -> bytes:
    now = datetime.now(UTC)
    event = Event(
        id=str(uuid.uuid4()),
        source="urn:bench",
        type=type(data).__name__,
        time=now,
        data=data.model_dump(mode="json"),
    )
    return to_json(event)


def _committed(database_url: str, began: datetime) -> Mapping[str, float]:
    statement = """
        SELECT agent || CASE WHEN brain = 'rules' THEN '' ELSE ' by the model' END, count(*)
        FROM decisions
        WHERE committed_at BETWEEN %(began)s + make_interval(secs => %(warm_up)s)
                               AND %(began)s + make_interval(secs => %(seconds)s)
        GROUP BY 1
    """
    with contextlib.closing(psycopg2.connect(database_url)) as connection, connection.cursor() as cursor:
        cursor.execute(statement, {"began": began, "warm_up": WARM_UP_SECONDS, "seconds": SECONDS})
        counts = {name: count / (SECONDS - WARM_UP_SECONDS) for name, count in cursor.fetchall()}
    asked = counts.get("fraud by the model", 0.0)
    return {**counts, "fraud": counts.get("fraud", 0.0) + asked}


async def _measure_pools() -> None:
    with _model(0.2) as url:
        server = Server(url=url, model="scripted")
        found = await rates(
            {"one pool": _asking(server, pooled=False), "pools of 8": _asking(server, pooled=True)}, runs=3
        )
    report(f"requests to a model, {CONCURRENCY} at a time", "requests/s", found)


def _asking(server: Server, *, pooled: bool) -> Callable[[], Awaitable[int]]:
    async def work() -> int:
        limits = Limits(concurrency=CONCURRENCY, queue=10_000, connect_seconds=60, attempt_seconds=60)
        async with ChatClient(server, limits) as client:
            if not pooled:
                connections = httpx.Limits(max_connections=CONCURRENCY, max_keepalive_connections=CONCURRENCY)
                client._http._transport = httpx.AsyncHTTPTransport(limits=connections)
            requests = 4 * CONCURRENCY
            await asyncio.gather(*(client.complete(PROMPT, SCHEMA, deadline_seconds=240) for _ in range(requests)))
            return requests

    return work


@contextlib.contextmanager
def _model(latency_seconds: float) -> Iterator[str]:
    """A scripted model in a process of its own, as a real one is."""
    command = [sys.executable, "-m", "app.scripted_model.server", "--latency-seconds", str(latency_seconds)]
    with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()
