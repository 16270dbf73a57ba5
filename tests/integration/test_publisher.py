"""Publisher on real brokers: in order, as given, and every outcome is told within its bound."""

from __future__ import annotations

import asyncio
import signal
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from waiting import PATIENCE_SECONDS

from app.kafka.tuning import TUNING
from app.sandbox import PROVIDERS, Broker
from outbox.outcomes import NotPublished, Refused, Unwritable
from outbox.publisher import PUBLISH_SECONDS, Publisher
from outbox.sending import ANY_PARTITIONS, Partitions

LARGEST_BYTES = 100_000

apache_only = pytest.mark.parametrize("broker", [pytest.param("apache", marks=pytest.mark.apache)], indirect=True)


@pytest.fixture(scope="module", params=["tansu", pytest.param("apache", marks=pytest.mark.apache)])
def broker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    running = PROVIDERS[request.param](tmp_path_factory.mktemp("publisher") / "kafka")
    try:
        running.start()
        yield running
    finally:
        running.release()


@pytest.fixture
def publisher_of(broker: Broker) -> Callable[..., Publisher]:
    profile = "tansu" if broker.name == "tansu" else "apache"

    def build(
        *, timeout_seconds: float = PATIENCE_SECONDS, partitions: Partitions = ANY_PARTITIONS, **options: Any
    ) -> Publisher:
        options = {"bootstrap_servers": broker.address, "max_request_size": LARGEST_BYTES, "linger_ms": 2, **options}
        options = {**options, **TUNING[profile].producer}
        return Publisher(options, partitions=partitions, timeout_seconds=timeout_seconds)

    return build


@pytest.fixture
async def publisher(publisher_of: Callable[..., Publisher]) -> AsyncIterator[Publisher]:
    one = publisher_of()
    yield one
    await one.stop()


@pytest.fixture
async def topic(broker: Broker) -> str:
    return await create_topic(broker)


async def create_topic(broker: Broker, **configs: str) -> str:
    """A new topic of two partitions."""
    name = f"payments-{uuid.uuid4().hex}"
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.address)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, 2, 1, topic_configs=configs)])
    finally:
        await admin.close()
    return name


async def read(broker: Broker, topic: str, count: int) -> list[ConsumerRecord]:
    """The first `count` records, those of one partition in their order."""
    consumer = AIOKafkaConsumer(bootstrap_servers=broker.address, auto_offset_reset="earliest")
    async with consumer, asyncio.timeout(PATIENCE_SECONDS):
        consumer.assign([TopicPartition(topic, 0), TopicPartition(topic, 1)])
        await consumer.seek_to_beginning()
        return [await consumer.getone() for _ in range(count)]


async def test_messages_of_a_key_arrive_in_order_and_in_one_partition(
    publisher: Publisher, broker: Broker, topic: str, message: Callable[..., Any]
) -> None:
    messages = [
        message(f"m-{n}", topic=topic, key=b"customer-%d" % (n % 5), value=b"%d" % n, headers=()) for n in range(500)
    ]

    assert await publisher.publish(messages) == [None] * 500

    records = await read(broker, topic, 500)
    for key in range(5):
        mine = [record for record in records if record.key == b"customer-%d" % key]
        assert [int(record.value) for record in mine] == list(range(key, 500, 5))
        assert len({record.partition for record in mine}) == 1


async def test_batches_of_a_publisher_follow_each_other(
    publisher: Publisher, broker: Broker, topic: str, message: Callable[..., Any]
) -> None:
    for n in range(5):
        assert await publisher.publish([message(f"m-{n}", topic=topic, value=b"%d" % n, headers=())]) == [None]

    assert [record.value for record in await read(broker, topic, 5)] == [b"0", b"1", b"2", b"3", b"4"]


async def test_key_value_and_headers_arrive_as_given(
    publisher: Publisher, broker: Broker, topic: str, message: Callable[..., Any]
) -> None:
    headers = (("content-type", b"application/json"), ("n", b"1"), ("n", b"2"), ("empty", b""), ("raw", b"\x00\xff"))
    given = message("m-1", topic=topic, key=b"\x00\xff", value=bytes(range(256)), headers=headers)

    assert await publisher.publish([given]) == [None]

    [record] = await read(broker, topic, 1)
    assert (record.key, record.value) == (b"\x00\xff", bytes(range(256)))
    assert record.headers == headers


async def test_a_tombstone_has_no_value(
    publisher: Publisher, broker: Broker, topic: str, message: Callable[..., Any]
) -> None:
    assert await publisher.publish([message("m-1", topic=topic, value=None)]) == [None]

    [record] = await read(broker, topic, 1)
    assert record.value is None


async def test_a_topic_with_other_partitions_than_it_must_have_is_written_to_by_nobody(
    publisher_of: Callable[..., Publisher], topic: str, broker: Broker, message: Callable[..., Any]
) -> None:
    other = await create_topic(broker)
    publisher = publisher_of(partitions={topic: 3})
    try:
        refused, written = await publisher.publish([message("m-1", topic=topic), message("m-2", topic=other)])
    finally:
        await publisher.stop()

    assert isinstance(refused, Unwritable)
    assert f"{topic} has 2 partitions and must have 3" in str(refused)
    assert written is None
    assert len(await read(broker, other, 1)) == 1


async def test_nothing_to_publish_is_published(publisher: Publisher) -> None:
    assert await publisher.publish([]) == []


async def test_a_message_too_large_for_the_producer_is_refused_alone(
    publisher: Publisher, broker: Broker, topic: str, message: Callable[..., Any]
) -> None:
    sizes = [1, LARGEST_BYTES + 1, 2]

    outcomes = await publisher.publish(
        [message(f"m-{size}", topic=topic, value=b"x" * size, headers=()) for size in sizes]
    )

    assert [type(outcome) for outcome in outcomes] == [type(None), Refused, type(None)]
    assert "MessageSizeTooLargeError" in str(outcomes[1])
    assert [record.value for record in await read(broker, topic, 2)] == [b"x", b"xx"]


async def test_what_cannot_be_a_record_is_refused_alone(
    publisher: Publisher, broker: Broker, topic: str, message: Callable[..., Any]
) -> None:
    good = message("m-1", topic=topic, value=b"1")
    bad_name = message("m-2", topic=topic, headers=(("\udcff", b""),))
    bad_topic = message("m-3", topic="no topic/has this name")

    outcomes = await publisher.publish([good, bad_name, bad_topic])

    assert [type(outcome) for outcome in outcomes] == [type(None), Refused, Refused]
    assert "InvalidTopicError" in str(outcomes[2])
    [record] = await read(broker, topic, 1)
    assert record.value == b"1"


@apache_only
async def test_messages_behind_a_batch_that_is_refused_do_not_overtake_it_on_a_producer_kafka_does_not_know(
    publisher: Publisher, broker: Broker, message: Callable[..., Any]
) -> None:
    topic = await create_topic(broker, **{"max.message.bytes": "10000"})
    # The first record batch of a producer is refused, the next one by itself is not: small messages at the end.
    sizes = [1_000] * 16 + [1] * 10
    values = [b"%02d" % n + b"." * size for n, size in enumerate(sizes)]

    assert await publisher.publish(
        [message(f"m-{n}", topic=topic, value=value, headers=()) for n, value in enumerate(values)]
    ) == [None] * len(values)

    assert [record.value for record in await read(broker, topic, len(values))] == values


@apache_only
async def test_a_message_too_large_for_the_topic_is_refused_and_the_others_get_there(
    publisher: Publisher, broker: Broker, message: Callable[..., Any]
) -> None:
    topic = await create_topic(broker, **{"max.message.bytes": "50000"})
    sizes = [1, 60_000, 2]
    first, large, last = [message(f"m-{n}", topic=topic, value=b"x" * n, headers=()) for n in sizes]

    outcomes = await publisher.publish([first, large, last])

    assert [type(outcome) for outcome in outcomes] == [type(None), Refused, type(None)]
    assert [record.value for record in await read(broker, topic, 2)] == [b"x", b"xx"]


@apache_only  # with Tansu no metadata arrive for any topic while one is asked for that is not there
async def test_a_topic_that_is_not_there_holds_up_only_its_own_messages(
    publisher_of: Callable[..., Publisher], broker: Broker, topic: str, message: Callable[..., Any]
) -> None:
    publisher = publisher_of(timeout_seconds=PUBLISH_SECONDS)
    try:
        outcomes = await publisher.publish(
            [message("m-1", topic=topic), message("m-2", topic="nowhere"), message("m-3", topic=topic)]
        )
    finally:
        await publisher.stop()

    assert [type(outcome) for outcome in outcomes] == [type(None), Unwritable, type(None)]


@apache_only
async def test_calls_made_together_do_not_wait_for_each_other(
    publisher: Publisher, topic: str, message: Callable[..., Any]
) -> None:
    missing = asyncio.create_task(publisher.publish([message("m-1", topic="nowhere"), message("m-2", topic=topic)]))
    others = [asyncio.create_task(publisher.publish([message(f"m-{n}", topic=topic)])) for n in range(3, 20)]

    assert await asyncio.gather(*others) == [[None]] * 17
    assert not missing.done()
    assert [type(outcome) for outcome in await missing] == [Unwritable, type(None)]


async def test_a_broker_that_is_not_there_publishes_nothing(
    publisher_of: Callable[..., Publisher], message: Callable[..., Any], unused_tcp_port: int
) -> None:
    publisher = publisher_of(timeout_seconds=2, bootstrap_servers=f"127.0.0.1:{unused_tcp_port}")

    async with asyncio.timeout(PATIENCE_SECONDS):
        outcomes = await publisher.publish([message("m-1"), message("m-2")])
        await publisher.stop()

    assert [type(outcome) for outcome in outcomes] == [NotPublished, NotPublished]


async def test_a_broker_that_was_killed_takes_nothing_within_the_bound_and_everything_once_it_is_back(
    publisher_of: Callable[..., Publisher], broker: Broker, topic: str, message: Callable[..., Any]
) -> None:
    publisher = publisher_of(timeout_seconds=PUBLISH_SECONDS)
    assert await publisher.publish([message("m-1", topic=topic, value=b"1")]) == [None]
    await asyncio.to_thread(broker.send, signal.SIGKILL)
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            outcomes = await publisher.publish([message("m-2", topic=topic, value=b"2")])
        assert [type(outcome) for outcome in outcomes] == [NotPublished]
    finally:
        await asyncio.to_thread(broker.restart)
    if broker.name == "tansu":  # it forgets its topics
        topic = await create_topic(broker)

    again = message("m-2", topic=topic, value=b"2")
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await publisher.publish([again]) != [None]:
            pass
        await publisher.stop()

    records = await read(broker, topic, 1 if broker.name == "tansu" else 2)
    assert [record.value for record in records][-1] == b"2"


async def test_a_producer_that_was_replaced_leaves_no_task_that_could_send_anything(
    publisher_of: Callable[..., Publisher], broker: Broker, topic: str, message: Callable[..., Any]
) -> None:
    before = asyncio.all_tasks()
    publisher = publisher_of(timeout_seconds=PUBLISH_SECONDS)
    assert await publisher.publish([message("m-1", topic=topic)]) == [None]
    await asyncio.to_thread(broker.send, signal.SIGKILL)
    try:
        await publisher.publish([message("m-2", topic=topic)])
        await publisher.stop()

        # It would publish on its own when the broker is back, beside its successor and as often as it was replaced.
        left = asyncio.all_tasks() - before
        async with asyncio.timeout(PATIENCE_SECONDS):
            await asyncio.gather(*left, return_exceptions=True)
    finally:
        for task in asyncio.all_tasks() - before:
            task.cancel()
        await asyncio.to_thread(broker.restart)
