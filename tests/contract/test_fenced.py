"""Fenced publisher and relay on Apache Kafka: whoever dies where, `read_committed` readers see each message once.

A crash is a worker that goes no further: its Kafka connections stay open, as those of a process that is frozen do.
"""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import ProducerFenced

from app.sandbox import ApacheBroker
from outbox.database import Database, Row
from outbox.errors import DatabaseUnavailable
from outbox.fenced import FencedPublisher
from outbox.migrate import migrate
from outbox.parameters import DEAD_LETTERS
from outbox.publisher import NotPublished, Outcome
from outbox.records import Message, lane_of
from outbox.relay import LANE_BATCH, Relay

pytestmark = pytest.mark.apache

LARGEST_BYTES = 100_000
LANE = 5
PENDING = "SELECT message_id FROM outbox_messages ORDER BY seq"
#: As if nobody had renewed anything for longer than a lease lasts.
EXPIRE = """
UPDATE outbox_lanes SET leased_until = clock_timestamp() - interval '1 second';
UPDATE outbox_workers SET seen_until = clock_timestamp() - interval '1 second';
"""


class Worker:
    """A relay whose publisher can be held before and after it publishes a batch."""

    def __init__(self, database: Database, publisher: FencedPublisher, owner: str) -> None:
        self.database = database
        self.relay = Relay(database, self, owner=owner)
        self.publisher = publisher
        self.before, self.after = asyncio.Event(), asyncio.Event()
        self.before.set()
        self.after.set()
        self.reached = asyncio.Event()
        #: Of the batch last published.
        self.outcomes: Mapping[int, Outcome] = {}
        self._drains: list[asyncio.Task[int]] = []

    async def publish_lane(self, lane: int, epoch: int, batch: Mapping[int, Message]) -> Mapping[int, Outcome]:
        if not self.before.is_set():
            self.reached.set()
            await self.before.wait()
        self.outcomes = await self.publisher.publish_lane(lane, epoch, batch)
        if not self.after.is_set() and not any(self.outcomes.values()):
            self.reached.set()
            await self.after.wait()
        return self.outcomes

    async def drain_until_held(self) -> asyncio.Task[int]:
        """Drain, again after a failure, until this worker is held."""
        held = asyncio.create_task(self.reached.wait())
        async with asyncio.timeout(60):
            while not held.done():
                draining = asyncio.create_task(self.relay.drain())
                self._drains.append(draining)
                await asyncio.wait([held, draining], return_when=asyncio.FIRST_COMPLETED)
                await asyncio.sleep(0.02)
        return draining

    async def end(self) -> None:
        for draining in self._drains:
            draining.cancel()
        await asyncio.gather(*self._drains, return_exceptions=True)
        await self.publisher.stop()


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApacheBroker]:
    running = ApacheBroker(tmp_path_factory.mktemp("fenced") / "kafka")
    try:
        running.start()
        asyncio.run(create_topic(running, DEAD_LETTERS))
        yield running
    finally:
        running.release()


async def create_topic(broker: ApacheBroker, name: str, **configs: str) -> str:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.address)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, 2, 1, topic_configs=configs)])
    finally:
        await admin.close()
    return name


@pytest.fixture
async def topic(broker: ApacheBroker) -> str:
    return await create_topic(broker, f"payments-{uuid.uuid4().hex}")


@pytest.fixture
async def worker_on(broker: ApacheBroker) -> AsyncIterator[Callable[..., Worker]]:
    """Workers by database and name; `publishing` is what their publisher uses instead of a pool of its own."""
    async with AsyncExitStack() as stack:

        def build(database_url: str, owner: str, publishing: Database | None = None) -> Worker:
            pool = Database(database_url, timeout_seconds=10)
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


def keys_of(topic: str, count: int = 4) -> list[bytes]:
    """The first keys that put a message of this topic into the lane of the tests."""
    keys = (b"customer-%d" % number for number in itertools.count())
    return list(itertools.islice((key for key in keys if lane_of(topic, key) == LANE), count))


async def read(broker: ApacheBroker, topic: str, isolation_level: str = "read_committed") -> dict[bytes, list[str]]:
    """The ids of the messages of each key, in order, up to a record sent now: it waits for what is open before it."""
    ends = set()
    async with AIOKafkaProducer(bootstrap_servers=broker.address) as producer:
        for partition in (0, 1):
            end = await producer.send_and_wait(topic, b"end", partition=partition)
            ends.add((partition, end.offset))
    found: dict[bytes, list[str]] = {}
    consumer = AIOKafkaConsumer(
        bootstrap_servers=broker.address, auto_offset_reset="earliest", isolation_level=isolation_level
    )
    async with consumer, asyncio.timeout(60):
        consumer.assign([TopicPartition(topic, partition) for partition in (0, 1)])
        while ends:
            record = await consumer.getone()
            ends.discard((record.partition, record.offset))
            if record.key is not None:
                found.setdefault(record.key, []).append(record.value.rstrip(b".").decode())
    return found


def once(topic: str, *names: str) -> dict[bytes, list[str]]:
    """Each of these messages, as `put` gave them their keys, exactly once and in order."""
    keys = keys_of(topic)
    return {key: list(names[number :: len(keys)]) for number, key in enumerate(keys) if names[number :: len(keys)]}


async def drained(worker: Worker, query: Callable[..., Any]) -> None:
    """Drain until nothing is pending; a lane that failed pauses in between."""
    async with asyncio.timeout(120):
        while query(PENDING):
            await worker.relay.drain()
            await asyncio.sleep(0.02)


async def test_a_batch_of_a_lane_is_one_transaction_and_in_order(
    worker_of: Callable[..., Worker], put: Callable[..., None], query: Callable[..., Any],
    broker: ApacheBroker, topic: str,
) -> None:  # fmt: skip
    worker = worker_of("a")
    names = [f"m-{n}" for n in range(LANE_BATCH)]
    put(*names)

    await drained(worker, query)
    assert list(worker.outcomes.values()) == [None] * LANE_BATCH

    async with AIOKafkaConsumer(bootstrap_servers=broker.address) as consumer:
        ends = await consumer.end_offsets([TopicPartition(topic, 0), TopicPartition(topic, 1)])
    assert sum(ends.values()) == LANE_BATCH + 2, "one mark of the commit in each partition"
    assert await read(broker, topic) == once(topic, *names)


async def test_batches_follow_each_other_and_lanes_go_side_by_side(
    worker_of: Callable[..., Worker], query: Callable[..., Any], broker: ApacheBroker, topic: str
) -> None:
    worker = worker_of("a")
    for first in (0, 640):
        query(
            "INSERT INTO outbox_messages (lane, message_id, topic, key, value, headers)"
            " SELECT n %% 64, n::text, %s, (n %% 64)::text::bytea, n::text::bytea, '[]'"
            " FROM generate_series(%s, %s) AS n",
            (topic, first, first + 639),
        )
        await drained(worker, query)

    assert await read(broker, topic) == {
        b"%d" % key: [str(number) for number in range(key, 1280, 64)] for key in range(64)
    }


async def test_a_crash_between_commit_and_deletion_repeats_nothing(
    worker_of: Callable[..., Worker], put: Callable[..., None], query: Callable[..., Any],
    broker: ApacheBroker, topic: str,
) -> None:  # fmt: skip
    dying, heir = worker_of("dying"), worker_of("heir")
    put("m-1", "m-2", "m-3")
    dying.after.clear()
    await dying.drain_until_held()
    assert set(dying.outcomes.values()) == {None}
    assert query(PENDING) == [("m-1",), ("m-2",), ("m-3",)]

    query(EXPIRE)
    await drained(heir, query)

    assert await read(broker, topic, "read_uncommitted") == once(topic, "m-1", "m-2", "m-3")


async def test_an_heir_that_crashes_too_leaves_nothing_to_repeat(
    worker_of: Callable[..., Worker], put: Callable[..., None], query: Callable[..., Any],
    broker: ApacheBroker, topic: str,
) -> None:  # fmt: skip
    first, second, third = (worker_of(name) for name in ("first", "second", "third"))
    put("m-1", "m-2", "m-3", "m-4")
    first.after.clear()
    await first.drain_until_held()

    query(EXPIRE)
    put("m-5", "m-6")
    second.after.clear()
    await second.drain_until_held()
    query(EXPIRE)
    await drained(third, query)

    assert await read(broker, topic) == once(topic, "m-1", "m-2", "m-3", "m-4", "m-5", "m-6")


async def test_a_message_that_becomes_visible_late_pushes_nothing_published_into_the_next_batch(
    worker_of: Callable[..., Worker], put: Callable[..., None], query: Callable[..., Any],
    broker: ApacheBroker, topic: str,
) -> None:  # fmt: skip
    dying, heir = worker_of("dying"), worker_of("heir")
    names = [f"m-{n}" for n in range(LANE_BATCH)]
    put(*names)
    dying.after.clear()
    await dying.drain_until_held()

    query(
        "INSERT INTO outbox_messages (seq, lane, message_id, topic, key, value, headers) OVERRIDING SYSTEM VALUE"
        " VALUES (0, %s, 'late', %s, 'late', 'late', '[]')",
        (LANE, topic),
    )
    query(EXPIRE)
    await drained(heir, query)

    assert await read(broker, topic) == {**once(topic, *names), b"late": ["late"]}


async def test_a_crash_before_the_commit_loses_nothing_and_the_zombie_cannot_commit(
    worker_of: Callable[..., Worker], put: Callable[..., None], query: Callable[..., Any],
    broker: ApacheBroker, topic: str,
) -> None:  # fmt: skip
    put("m-1", "m-2")
    [(identity,)] = query("SELECT id FROM outbox_identity")
    query("UPDATE outbox_messages SET batch_id = gen_random_uuid()")
    zombie = AIOKafkaProducer(bootstrap_servers=broker.address, transactional_id=f"innervate-{identity}-lane-{LANE}")
    await zombie.start()
    try:
        await zombie.begin_transaction()
        for key, name in zip(keys_of(topic), ("m-1", "m-2"), strict=False):
            await zombie.send_and_wait(topic, name.encode(), key=key)

        await drained(worker_of("heir"), query)
        with pytest.raises(ProducerFenced):
            await zombie.commit_transaction()
    finally:
        await zombie.stop()

    assert await read(broker, topic) == once(topic, "m-1", "m-2")
    assert await read(broker, topic, "read_uncommitted") == {
        key: [*names, *names] for key, names in once(topic, "m-1", "m-2").items()
    }


@pytest.mark.parametrize("has_published", [True, False])
async def test_an_owner_that_wakes_up_after_the_takeover_publishes_nothing(
    worker_of: Callable[..., Worker], put: Callable[..., None], query: Callable[..., Any],
    broker: ApacheBroker, topic: str, *, has_published: bool,
) -> None:  # fmt: skip
    sleeper, heir = worker_of("sleeper"), worker_of("heir")
    if has_published:
        put("m-0")
        await drained(sleeper, query)
    put("m-1", "m-2")
    sleeper.before.clear()
    draining = await sleeper.drain_until_held()
    query(EXPIRE)
    await drained(heir, query)
    put("m-3")

    sleeper.before.set()
    await draining

    assert [type(outcome) for outcome in sleeper.outcomes.values()] == [NotPublished, NotPublished]
    await drained(heir, query)
    everything = [*(["m-0"] if has_published else []), "m-1", "m-2", "m-3"]
    assert sorted(itertools.chain(*(await read(broker, topic)).values())) == everything


async def test_postgresql_that_fails_during_a_takeover_delays_it_and_repeats_nothing(
    worker_of: Callable[..., Worker], put: Callable[..., None], query: Callable[..., Any],
    broker: ApacheBroker, topic: str, database_url: str,
) -> None:  # fmt: skip
    class Failing(Database):
        """Refuses the first attempt to delete what is published already."""

        failures = 1

        async def run(self, statement: str, parameters: Mapping[str, Any] | None = None) -> list[Row]:
            if statement.startswith("DELETE") and self.failures:
                self.failures -= 1
                raise DatabaseUnavailable("gone")
            return list(await super().run(statement, parameters))

    dying = worker_of("dying")
    put("m-1", "m-2")
    dying.after.clear()
    await dying.drain_until_held()
    query(EXPIRE)
    failing = Failing(database_url)
    heir = worker_of("heir", failing)

    await drained(heir, query)
    await failing.close()

    assert failing.failures == 0
    assert await read(broker, topic) == once(topic, "m-1", "m-2")


@pytest.mark.parametrize("limit", ["producer", "topic"])
@pytest.mark.parametrize("names", [["large"], ["m-1", "m-2", "m-3", "m-4", "large", "m-6", "m-7", "m-8", "m-9"]])
async def test_a_message_that_is_too_large_is_refused_alone_and_the_others_get_there_once(
    worker_of: Callable[..., Worker], put: Callable[..., None], query: Callable[..., Any],
    broker: ApacheBroker, limit: str, names: list[str],
) -> None:  # fmt: skip
    topic = await create_topic(broker, f"small-{uuid.uuid4().hex}", **{"max.message.bytes": "50000"})
    worker = worker_of("a")
    put(*names, to=topic, sizes={"large": 60_000 if limit == "topic" else LARGEST_BYTES})

    await drained(worker, query)
    put("later", to=topic)
    await drained(worker, query)

    assert query("SELECT message_id, reason LIKE 'MessageSizeTooLargeError%%' FROM outbox_dead") == [("large", True)]
    expected = once(topic, *names)
    expected[keys_of(topic)[0]].append("later")
    assert await read(broker, topic) == {
        key: kept for key, names in expected.items() if (kept := [name for name in names if name != "large"])
    }


async def test_a_broker_that_is_killed_during_a_batch_has_everything_once_when_it_is_back(
    worker_of: Callable[..., Worker], put: Callable[..., None], query: Callable[..., Any], until: Callable[..., Any],
    broker: ApacheBroker, topic: str,
) -> None:  # fmt: skip
    worker = worker_of("a")
    worker.relay.start()
    names = [f"m-{n}" for n in range(1200)]
    for start in range(0, 400, 40):
        put(*names[start : start + 40])
        worker.relay.kick()
    await until(lambda: len(query(PENDING)) < 400)
    await asyncio.to_thread(put, *names[400:])
    worker.relay.kick()
    await until(lambda: len(query(PENDING)) < 1000)
    await asyncio.to_thread(broker.kill)
    try:
        await until(lambda: any(worker.outcomes.values()), within_seconds=60)
        assert len(query(PENDING)) > 0, "too late: everything was published"
    finally:
        await asyncio.to_thread(broker.restart)
    await until(lambda: query(PENDING) == [], within_seconds=120)
    await worker.relay.stop()

    assert await read(broker, topic) == once(topic, *names)


async def test_a_takeover_right_after_a_restart_of_the_broker_repeats_nothing(
    worker_of: Callable[..., Worker], put: Callable[..., None], query: Callable[..., Any],
    broker: ApacheBroker, topic: str,
) -> None:  # fmt: skip
    dying, heir = worker_of("dying"), worker_of("heir")
    put("m-1", "m-2", "m-3", "m-4")
    dying.after.clear()
    await dying.drain_until_held()
    query(EXPIRE)
    await asyncio.to_thread(broker.kill)
    restarting = asyncio.create_task(asyncio.to_thread(broker.restart))
    await drained(heir, query)
    await restarting

    assert await read(broker, topic) == once(topic, "m-1", "m-2", "m-3", "m-4")


async def test_two_databases_on_one_kafka_do_not_fence_each_other(
    worker_on: Callable[..., Worker], database_url: str, empty_database_url: str,
    put: Callable[..., None], broker: ApacheBroker, topic: str,
) -> None:  # fmt: skip
    await asyncio.to_thread(migrate, empty_database_url)
    ours, theirs = worker_on(database_url, "ours"), worker_on(empty_database_url, "theirs")
    await theirs.database.run(
        "INSERT INTO outbox_messages (lane, message_id, topic, key, value, headers)"
        " VALUES (%(lane)s, 'theirs', %(topic)s, 'theirs', 'theirs', '[]')",
        {"lane": LANE, "topic": topic},
    )

    put("m-1")
    await ours.relay.drain()
    await theirs.relay.drain()
    put("m-2")
    await ours.relay.drain()

    assert set(ours.outcomes.values()) == set(theirs.outcomes.values()) == {None}
    assert await read(broker, topic) == {keys_of(topic)[0]: ["m-1", "m-2"], b"theirs": ["theirs"]}
