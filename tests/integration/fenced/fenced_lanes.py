"""What the tests of the fenced mode share: workers that can be held, a reader that believes only commits."""

from __future__ import annotations

import asyncio
import gc
import itertools
from collections.abc import Callable, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.partitioner import murmur2
from waiting import PATIENCE_SECONDS

from app.sandbox import ApacheBroker
from outbox.database import Database
from outbox.fenced import FencedPublisher
from outbox.outcomes import Outcome
from outbox.records import Message, lane_of
from outbox.relay import Relay

LARGEST_BYTES = 100_000
#: The lane of the messages that the fixture `put` commits.
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
        if any(self.outcomes.values()):
            # A fenced producer leaves a future with an exception that nobody asks for, and it is logged when that is
            # collected: better here than while pytest compiles something, which Python's parser does not survive.
            gc.collect()
        if not self.after.is_set() and not any(self.outcomes.values()):
            self.reached.set()
            await self.after.wait()
        return self.outcomes

    async def drain_until_held(self) -> asyncio.Task[int]:
        """Drain, again after a failure, until this worker is held."""
        held = asyncio.create_task(self.reached.wait())
        async with asyncio.timeout(PATIENCE_SECONDS):
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


async def create_topic(broker: ApacheBroker, name: str, **configs: str) -> str:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.address)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, 2, 1, topic_configs=configs)])
    finally:
        await admin.close()
    return name


async def delete_topic(broker: ApacheBroker, name: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.address)
    await admin.start()
    try:
        await admin.delete_topics([name])
    finally:
        await admin.close()


def keys_of(topic: str, count: int = 4) -> list[bytes]:
    """Keys that put a message of this topic into the lane of the tests, and into its two partitions in turns."""
    found: list[bytes] = []
    for number in itertools.count():
        key = b"customer-%d" % number
        partition = (murmur2(key) & 0x7FFFFFFF) % 2
        if lane_of(topic, key) == LANE and partition == len(found) % 2:
            found.append(key)
        if len(found) == count:
            break
    return found


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
    async with consumer, asyncio.timeout(PATIENCE_SECONDS):
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
    async with asyncio.timeout(PATIENCE_SECONDS):
        while query(PENDING):
            await worker.relay.drain()
            await asyncio.sleep(0.02)
