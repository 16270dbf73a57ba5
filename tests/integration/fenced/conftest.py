"""Fixtures of the fenced mode, on Apache Kafka and PostgreSQL."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import GroupCoordinatorNotAvailableError
from fenced_lanes import LARGEST_BYTES, Worker, create_topic, keys_of
from waiting import PATIENCE_SECONDS

from app.sandbox import ApacheBroker
from outbox.database import Database
from outbox.fenced import FencedPublisher
from outbox.parameters import DEAD_LETTERS
from outbox.records import Message


async def _open_coordinator(broker: ApacheBroker) -> None:
    """Have the broker make what transactions need; until it has, it turns the first ones away."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            producer = AIOKafkaProducer(bootstrap_servers=broker.address, transactional_id="first")
            try:
                await producer.start()
                async with producer.transaction():
                    pass
            except GroupCoordinatorNotAvailableError:
                await asyncio.sleep(0.2)
            else:
                return
            finally:
                await producer.stop()


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApacheBroker]:
    """An Apache Kafka with the topic that carries the markers."""
    running = ApacheBroker(tmp_path_factory.mktemp("fenced") / "kafka")
    try:
        running.start()
        asyncio.run(create_topic(running, DEAD_LETTERS))
        asyncio.run(_open_coordinator(running))
        yield running
    finally:
        running.release()


@pytest.fixture
async def topic(broker: ApacheBroker) -> str:
    return await create_topic(broker, f"payments-{uuid.uuid4().hex}")


@pytest.fixture
async def worker_on(broker: ApacheBroker) -> AsyncIterator[Callable[..., Worker]]:
    """Workers by database and name; `publishing` is what their publisher uses instead of a pool of its own."""
    async with AsyncExitStack() as stack:

        def build(database_url: str, owner: str, publishing: Database | None = None) -> Worker:
            pool = Database(database_url, timeout_seconds=PATIENCE_SECONDS)
            stack.push_async_callback(pool.close)
            client = {"bootstrap_servers": broker.address}
            options = {"max_request_size": LARGEST_BYTES, "linger_ms": 2}
            worker = Worker(pool, FencedPublisher(publishing or pool, client=client, producer=options), owner)
            stack.push_async_callback(worker.end)
            return worker

        yield build


@pytest.fixture
def worker_of(worker_on: Callable[..., Worker], database_url: str) -> Callable[..., Worker]:
    return lambda owner, publishing=None: worker_on(database_url, owner, publishing)


@pytest.fixture
def put(topic: str, commit: Callable[..., None], message: Callable[..., Message]) -> Callable[..., None]:
    """Commits messages of one lane, several keys and both partitions; their values are their ids."""

    def commit_all(*names: str, to: str = topic, sizes: Mapping[str, int] | None = None) -> None:
        keys = keys_of(to)
        for number, name in enumerate(names):
            value = name.encode() + b"." * (sizes or {}).get(name, 0)
            commit(message(name, topic=to, key=keys[number % len(keys)], value=value))

    return commit_all
