"""Relay on an Apache Kafka that says no: what is about rights or topics is waited for, and nothing good is buried."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from typing import Any

import pytest
from acls import AUTHORIZER, Acls
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import GroupCoordinatorNotAvailableError
from waiting import PATIENCE_SECONDS

from app.sandbox import ApacheBroker
from outbox.buried import redrive_buried
from outbox.database import Database
from outbox.fenced import FencedPublisher
from outbox.operator_actions import Operator
from outbox.parameters import DEAD_LETTERS
from outbox.publisher import Publisher
from outbox.records import Message, lane_of
from outbox.relay import Relay

pytestmark = pytest.mark.apache

PENDING = "SELECT message_id FROM outbox_messages ORDER BY seq"
BURIED = "SELECT message_id FROM outbox_dead ORDER BY seq"
#: The lane of all messages here: what is about one topic must not hold up another even there.
LANE = 11
LARGEST_BYTES = 100_000


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApacheBroker]:
    running = ApacheBroker(tmp_path_factory.mktemp("refusals") / "kafka", AUTHORIZER)
    try:
        running.start()
        asyncio.run(create_topic(running, DEAD_LETTERS))
        asyncio.run(open_coordinator(running))
        yield running
    finally:
        running.release()


async def open_coordinator(broker: ApacheBroker) -> None:
    """Have the broker make what transactions need; until it has, it turns the first ones away."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            producer = AIOKafkaProducer(bootstrap_servers=broker.address, transactional_id="first")
            try:
                await producer.start()
            except GroupCoordinatorNotAvailableError:
                await asyncio.sleep(0.2)
            else:
                return
            finally:
                await producer.stop()


async def create_topic(broker: ApacheBroker, name: str, **configs: str) -> str:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.address)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, 2, 1, topic_configs=configs)])
    finally:
        await admin.close()
    return name


@pytest.fixture
def acls(broker: ApacheBroker) -> Acls:
    return Acls(broker.address)


@pytest.fixture
async def denied(broker: ApacheBroker) -> str:
    return await create_topic(broker, f"denied-{uuid.uuid4().hex}")


@pytest.fixture
async def open_topic(broker: ApacheBroker) -> str:
    return await create_topic(broker, f"open-{uuid.uuid4().hex}")


@pytest.fixture(params=["plain", "fenced"])
async def relay(request: pytest.FixtureRequest, broker: ApacheBroker, database_url: str) -> AsyncIterator[Relay]:
    client = {"bootstrap_servers": broker.address}
    options = {"max_request_size": LARGEST_BYTES, "linger_ms": 2}
    async with AsyncExitStack() as stack:
        pool = Database(database_url, timeout_seconds=30)
        stack.push_async_callback(pool.close)
        publisher: Publisher | FencedPublisher = (
            Publisher({**client, **options})
            if request.param == "plain"
            else FencedPublisher(pool, client=client, producer=options)
        )
        stack.push_async_callback(publisher.stop)
        yield Relay(pool, publisher, owner="a")


def keys_of(topic: str, count: int = 4) -> list[bytes]:
    """Keys that put a message of this topic into the lane of the tests."""
    found = (b"customer-%d" % number for number in itertools.count())
    return list(itertools.islice((key for key in found if lane_of(topic, key) == LANE), count))


@pytest.fixture
def put(commit: Callable[..., None], message: Callable[..., Message]) -> Callable[..., None]:
    """Commits messages of one topic and the lane of the tests, with values of at least these sizes."""

    def commit_all(topic: str, *names: str, sizes: Mapping[str, int] | None = None, padding: int = 0) -> None:
        keys = keys_of(topic)
        for number, name in enumerate(names):
            value = name.encode() + b"." * (sizes or {}).get(name, padding)
            commit(message(name, topic=topic, key=keys[number % len(keys)], value=value))

    return commit_all


async def drain_until(relay: Relay, holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not holds():
            await relay.drain()
            await asyncio.sleep(0.05)


async def read(broker: ApacheBroker, topic: str, count: int) -> dict[bytes, list[str]]:
    """The names of the first `count` committed messages, by key and in order."""
    found: dict[bytes, list[str]] = {}
    consumer = AIOKafkaConsumer(
        bootstrap_servers=broker.address, auto_offset_reset="earliest", isolation_level="read_committed"
    )
    async with consumer, asyncio.timeout(PATIENCE_SECONDS):
        consumer.assign([TopicPartition(topic, partition) for partition in (0, 1)])
        for _ in range(count):
            record = await consumer.getone()
            found.setdefault(record.key, []).append(record.value.rstrip(b".").decode())
    return found


def by_key(topic: str, *names: str) -> dict[bytes, list[str]]:
    keys = keys_of(topic)
    return {key: list(names[number :: len(keys)]) for number, key in enumerate(keys) if names[number :: len(keys)]}


async def test_a_denied_topic_waits_and_says_so_while_the_others_of_its_lane_go_on(
    relay: Relay, put: Callable[..., None], query: Callable[..., Any], broker: ApacheBroker, acls: Acls,
    denied: str, open_topic: str,
) -> None:  # fmt: skip
    first = [f"d-{n}" for n in range(300)]
    async with acls.denied("topic", denied, "WRITE"):
        put(denied, *first)  # more than a batch, and older
        put(open_topic, "o-1", "o-2")
        await drain_until(relay, lambda: not query("SELECT 1 FROM outbox_messages WHERE topic = %s", (open_topic,)))
        put(open_topic, "o-3")
        await drain_until(relay, lambda: not query("SELECT 1 FROM outbox_messages WHERE topic = %s", (open_topic,)))

        assert query(BURIED) == []
        assert len(query(PENDING)) == 300
        waiting = relay.waiting[denied]
        assert waiting.needs_operator
        assert waiting.reason.startswith("TopicAuthorizationFailedError: the right to WRITE")
        assert list(relay.waiting) == [denied]
    await drain_until(relay, lambda: query(PENDING) == [])

    assert relay.waiting == {}
    assert await read(broker, denied, 300) == by_key(denied, *first)
    assert await read(broker, open_topic, 3) == by_key(open_topic, "o-1", "o-2") | {
        keys_of(open_topic)[0]: ["o-1", "o-3"]
    }


async def test_a_missing_topic_waits_until_it_is_made(
    relay: Relay, put: Callable[..., None], query: Callable[..., Any], broker: ApacheBroker, open_topic: str
) -> None:
    missing = f"missing-{uuid.uuid4().hex}"
    put(missing, "m-1", "m-2")
    put(open_topic, "o-1")
    await drain_until(relay, lambda: query(PENDING) == [("m-1",), ("m-2",)])

    assert relay.waiting[missing].reason.startswith("UnknownTopicOrPartitionError")
    await create_topic(broker, missing)
    await drain_until(relay, lambda: query(PENDING) == [])
    assert await read(broker, missing, 2) == by_key(missing, "m-1", "m-2")
    assert query(BURIED) == []


@pytest.mark.parametrize("relay", ["fenced"], indirect=True)
@pytest.mark.parametrize(("resource", "operation"), [("transactional_id", "WRITE"), ("group", "READ")])
async def test_a_right_that_the_fenced_mode_needs_is_waited_for(
    relay: Relay, put: Callable[..., None], query: Callable[..., Any], broker: ApacheBroker, acls: Acls,
    open_topic: str, resource: str, operation: str,
) -> None:  # fmt: skip
    async with acls.denied(resource, "innervate-", operation, pattern="prefixed"):
        put(open_topic, "m-1", "m-2")
        await drain_until(relay, lambda: open_topic in relay.waiting and relay.waiting[open_topic].needs_operator)

        assert "AuthorizationFailed" in relay.waiting[open_topic].reason
        assert query(PENDING) == [("m-1",), ("m-2",)]
    await drain_until(relay, lambda: query(PENDING) == [])

    assert query(BURIED) == []
    assert await read(broker, open_topic, 2) == by_key(open_topic, "m-1", "m-2")


@pytest.mark.parametrize("relay", ["plain"], indirect=True)
async def test_a_cluster_that_takes_no_idempotent_producer_is_waited_for(
    relay: Relay, put: Callable[..., None], query: Callable[..., Any], broker: ApacheBroker, acls: Acls, open_topic: str
) -> None:
    async with (
        acls.denied("cluster", "kafka-cluster", "IDEMPOTENT_WRITE"),
        acls.denied("topic", "*", "WRITE"),
    ):
        put(open_topic, "m-1")
        await drain_until(relay, lambda: open_topic in relay.waiting)

        assert relay.waiting[open_topic].needs_operator
        assert "AuthorizationFailed" in relay.waiting[open_topic].reason
        assert query(PENDING) == [("m-1",)]
    await drain_until(relay, lambda: query(PENDING) == [])

    assert await read(broker, open_topic, 1) == by_key(open_topic, "m-1")


async def test_a_batch_too_large_for_its_topic_goes_in_smaller_ones_and_in_order(
    relay: Relay, put: Callable[..., None], query: Callable[..., Any], broker: ApacheBroker
) -> None:
    topic = await create_topic(broker, f"small-{uuid.uuid4().hex}", **{"max.message.bytes": "3000"})
    names = [f"m-{n}" for n in range(60)]
    put(topic, *names, padding=500)

    await drain_until(relay, lambda: query(PENDING) == [])

    assert query(BURIED) == []
    assert await read(broker, topic, 60) == by_key(topic, *names)


async def test_among_small_messages_only_the_one_too_large_by_itself_is_buried_and_can_be_put_back(
    relay: Relay, put: Callable[..., None], query: Callable[..., Any], broker: ApacheBroker, database_url: str
) -> None:
    topic = await create_topic(broker, f"small-{uuid.uuid4().hex}", **{"max.message.bytes": "3000"})
    names = [f"m-{n}" for n in range(40)]
    put(topic, *names, padding=500, sizes={name: 4000 if name == "m-17" else 500 for name in names})

    await drain_until(relay, lambda: query(PENDING) == [])

    assert query("SELECT message_id, split_part(reason, ':', 1) FROM outbox_dead") == [
        ("m-17", "MessageSizeTooLargeError")
    ]
    good = {key: [name for name in kept if name != "m-17"] for key, kept in by_key(topic, *names).items()}
    assert await read(broker, topic, 39) == good
    pool = Database(database_url)
    assert await redrive_buried(pool, by=Operator(name="ada")) == ["m-17"]
    await pool.close()
    await drain_until(relay, lambda: query(BURIED) == [("m-17",)])
