"""Fenced publisher and relay on Apache Kafka: a batch of a lane is one transaction, and each message arrives once."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from fenced_lanes import LANE, LARGEST_BYTES, PENDING, Worker, create_topic, delete_topic, drained, keys_of, once, read

from app.sandbox import ApacheBroker
from outbox.migrate import migrate
from outbox.outcomes import NotPublished
from outbox.parameters import DEAD_LETTERS
from outbox.relay import LANE_BATCH

pytestmark = pytest.mark.apache


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


async def test_messages_are_committed_only_together_with_the_id_of_their_batch(
    worker_of: Callable[..., Worker], put: Callable[..., None], query: Callable[..., Any],
    broker: ApacheBroker, topic: str,
) -> None:  # fmt: skip
    worker = worker_of("a")
    put("m-0")
    await drained(worker, query)
    put("m-1", "m-2")
    await delete_topic(broker, DEAD_LETTERS)  # its partition carries the id
    try:
        await worker.relay.drain()
        assert [type(outcome) for outcome in worker.outcomes.values()] == [NotPublished, NotPublished]
    finally:
        await create_topic(broker, DEAD_LETTERS)
    await drained(worker, query)

    first, second, *_ = keys_of(topic)
    assert await read(broker, topic) == {first: ["m-0", "m-1"], second: ["m-2"]}
    assert await read(broker, topic, "read_uncommitted") == {first: ["m-0", "m-1", "m-1"], second: ["m-2", "m-2"]}


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
        await until(lambda: any(worker.outcomes.values()))
        assert len(query(PENDING)) > 0, "too late: everything was published"
    finally:
        await asyncio.to_thread(broker.restart)
    await until(lambda: query(PENDING) == [])
    await worker.relay.stop()

    assert await read(broker, topic) == once(topic, *names)


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
