"""Reading a timeline on a real broker: everything that is there, nothing that is not, and never without end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from waiting import PATIENCE_SECONDS

from agents.engine.fetching import COMMITTED_ONLY
from app.kafka.timelines import TimelineReader, TimelineUnreadable
from app.kafka.tuning import TUNING
from app.sandbox import PROVIDERS, Broker

NOON = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
NOON_MS = 1_714_564_800_000
TOPIC = "timeline-order"

APACHE = pytest.param("apache", marks=pytest.mark.apache)


@pytest.fixture(scope="module", params=["tansu", APACHE])
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A broker of this module, by its provider."""
    broker = PROVIDERS[request.param](tmp_path_factory.mktemp("timelines") / "kafka")
    try:
        broker.start()
        yield request.param, broker
    finally:
        broker.release()


@pytest.fixture
async def reader(running: tuple[str, Broker]) -> AsyncIterator[TimelineReader]:
    """A reader of a topic of the test's own, with two partitions."""
    provider, broker = running
    topic = f"{TOPIC}-{datetime.now(UTC).timestamp()}"
    async with admin(broker) as client:
        await client.create_topics([NewTopic(topic, 2, 1)])
    options = {"bootstrap_servers": broker.address}
    async with TimelineReader(options, topic, exact_ends=TUNING[provider].exact_ends) as opened:
        yield opened


@pytest.fixture
def broker(running: tuple[str, Broker]) -> Broker:
    return running[1]


@asynccontextmanager
async def admin(broker: Broker) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=broker.address)
    await client.start()
    try:
        yield client
    finally:
        await client.close()


async def write(broker: Broker, topic: str, count: int, **options: Any) -> None:
    """Write `v0`, `v1`, … to partition 0, a millisecond after another, many in a batch."""
    options = {"linger_ms": 20, "enable_idempotence": False} | options
    async with AIOKafkaProducer(bootstrap_servers=broker.address, **options) as producer:
        sent = [
            await producer.send(
                topic, b"v%d" % n, key=b"o-1", partition=0, timestamp_ms=NOON_MS + n, headers=[("h", b"1")]
            )
            for n in range(count)
        ]
        await asyncio.gather(*sent)


async def offsets(reader: TimelineReader, start: int, end: int, partition: int = 0) -> list[int]:
    async with asyncio.timeout(PATIENCE_SECONDS):
        return [record.offset async for record in reader.read(partition, start, end)]


async def test_a_record_is_read_as_it_was_written(reader: TimelineReader, broker: Broker) -> None:
    await write(broker, reader.topic, 2)

    [_, second] = [record async for record in reader.read(0, 0, 2)]

    assert (second.topic, second.partition, second.offset) == (reader.topic, 0, 1)
    assert (second.key, second.value, second.headers) == (b"o-1", b"v1", (("h", b"1"),))
    assert second.at == datetime(2024, 5, 1, 12, 0, 0, 1000, tzinfo=UTC)


async def test_the_end_is_behind_the_last_record_also_after_a_batch(reader: TimelineReader, broker: Broker) -> None:
    await write(broker, reader.topic, 700)

    assert await reader.partitions() == {0: (0, 700), 1: (0, 0)}


async def test_a_topic_that_is_written_to_has_an_end_all_the_same(reader: TimelineReader, broker: Broker) -> None:
    await write(broker, reader.topic, 3)
    enough = asyncio.Event()
    writing = asyncio.create_task(keep_writing(broker, reader.topic, enough))
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            (first, end) = (await reader.partitions())[0]
        read = await offsets(reader, first, end)
    finally:
        # A producer that is cancelled while it starts or ends stays open.
        enough.set()
        await writing

    assert read == list(range(end))
    assert end >= 3


async def keep_writing(broker: Broker, topic: str, enough: asyncio.Event) -> None:
    while not enough.is_set():
        await write(broker, topic, 20)


async def test_what_was_asked_for_is_read_and_no_more(reader: TimelineReader, broker: Broker) -> None:
    await write(broker, reader.topic, 50)

    assert await offsets(reader, 0, 50) == list(range(50))
    assert await offsets(reader, 7, 9) == [7, 8]
    assert await offsets(reader, 9, 9) == []
    assert await offsets(reader, 0, 1, partition=1) == []


async def test_reading_beyond_the_end_comes_to_an_end(reader: TimelineReader, broker: Broker) -> None:
    await write(broker, reader.topic, 5)

    assert await offsets(reader, 3, 1000) == [3, 4]
    assert await offsets(reader, 900, 1000) == []


async def test_single_offsets_are_found_however_far_apart(reader: TimelineReader, broker: Broker) -> None:
    await write(broker, reader.topic, 2500)

    async with asyncio.timeout(PATIENCE_SECONDS):
        found = await reader.read_offsets(0, [2400, 3, 5, 1700, 3, 9999])

    assert [(record.offset, record.value) for record in found] == [
        (3, b"v3"), (5, b"v5"), (1700, b"v1700"), (2400, b"v2400"),
    ]  # fmt: skip
    assert await reader.read_offsets(0, []) == []


async def test_an_entity_is_looked_for_where_producers_put_it(reader: TimelineReader, broker: Broker) -> None:
    ids = [f"o-{n}" for n in range(20)]
    async with AIOKafkaProducer(bootstrap_servers=broker.address, enable_idempotence=False) as producer:
        written = {
            each: (await producer.send_and_wait(reader.topic, b"{}", key=each.encode())).partition for each in ids
        }

    assert {each: await reader.partition_of(each) for each in ids} == written
    assert set(written.values()) == {0, 1}


async def test_a_topic_that_is_not_there_is_said_and_not_created(running: tuple[str, Broker]) -> None:
    _, broker = running
    reader = TimelineReader({"bootstrap_servers": broker.address}, "timeline-nobody")

    with pytest.raises(TimelineUnreadable, match="Kafka has no topic timeline-nobody"):
        await reader.partitions()

    async with admin(broker) as client:
        assert "timeline-nobody" not in await client.list_topics()


async def test_reading_leaves_no_group_behind(reader: TimelineReader, broker: Broker) -> None:
    await write(broker, reader.topic, 3)
    await offsets(reader, 0, 3)

    async with admin(broker) as client:
        assert await client.list_consumer_groups() == []


@pytest.mark.parametrize("running", [APACHE], indirect=True)
async def test_what_kafka_has_dropped_is_passed_over(reader: TimelineReader, broker: Broker) -> None:
    await write(broker, reader.topic, 30)
    async with admin(broker) as client:
        await client.delete_records({TopicPartition(reader.topic, 0): RecordsToDelete(before_offset=10)})

    assert (await reader.partitions())[0] == (10, 30)
    assert await offsets(reader, 0, 30) == list(range(10, 30))
    assert await offsets(reader, 0, 10) == []
    assert [record.offset for record in await reader.read_offsets(0, [2, 12])] == [12]


@pytest.mark.parametrize("running", [APACHE], indirect=True)
async def test_what_is_in_no_finished_transaction_is_not_read_and_kafka_s_own_marks_do_not_stop_a_reader(
    reader: TimelineReader, broker: Broker
) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=broker.address, transactional_id="t-1")
    async with producer:
        for n, kept in enumerate((True, False, True)):
            await producer.begin_transaction()
            await producer.send_and_wait(reader.topic, b"v%d" % n, partition=0)
            await (producer.commit_transaction() if kept else producer.abort_transaction())

        # Each transaction ends with a mark that takes an offset: 1, 3 and 5, the last of the log.
        assert (await reader.partitions())[0] == (0, 6)
        assert await offsets(reader, 0, 6) == [0, 4]
        live = AIOKafkaConsumer(
            reader.topic, bootstrap_servers=broker.address, auto_offset_reset="earliest", **COMMITTED_ONLY
        )
        async with live, asyncio.timeout(PATIENCE_SECONDS):
            assert [(await live.getone()).offset for _ in range(2)] == [0, 4]

        await producer.begin_transaction()
        await producer.send_and_wait(reader.topic, b"open", partition=0)
        await write(broker, reader.topic, 3)
        assert (await reader.partitions())[0] == (0, 6)
        assert await offsets(reader, 0, 100) == [0, 4]
        assert [record.offset for record in await reader.read_offsets(0, [4, 6, 8])] == [4]

        await producer.commit_transaction()
        assert await offsets(reader, 0, 100) == [0, 4, 6, 7, 8, 9]


async def test_it_is_known_which_record_was_the_first_since_an_instant(
    reader: TimelineReader, running: tuple[str, Broker]
) -> None:
    provider, broker = running
    await write(broker, reader.topic, 5)
    at = [NOON + timedelta(milliseconds=ms) for ms in (-1000, 0, 3, 4, 5)]
    # The embedded broker knows where its one batch begins: never too late.
    expected = [0, 0, 3, 4, None] if provider == "apache" else [0, 0, 0, 0, 0]
    assert [await reader.first_since(0, instant) for instant in at] == expected
