"""Router on a real broker: a backlog in several topics reaches the timeline in the order of time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from fake_writer import Writer
from shop_catalogue import CATALOGUE
from waiting import PATIENCE_SECONDS

from agents.engine.router import Router
from app.kafka.tuning import TUNING
from app.sandbox import PROVIDERS, Broker
from outbox.publisher import Publisher
from tables.event import Event, parse, to_json

NOON = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
NOON_MS = 1_714_564_800_000
TIMELINE = "timeline-order"
TOPICS = ("orders", "payments", "platform")
#: Events of one order, one a millisecond. Bursts of 5 in a topic, and once a long one.
BACKLOG = [(f"e-{n}", TOPICS[0] if 1200 <= n < 1900 else TOPICS[n // 5 % 3]) for n in range(3000)]
IN_ORDER_OF_TIME = [event_id for event_id, _ in BACKLOG]


Running = Callable[[], AbstractAsyncContextManager[Router]]


#: The embedded broker takes some ten seconds for a second member of a group.
APACHE = pytest.param("apache", marks=pytest.mark.apache)
ON_APACHE = pytest.mark.parametrize("broker", [APACHE], indirect=True)


@pytest.fixture(params=["tansu", APACHE])
async def broker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Broker]:
    """A broker for each test, with the backlog in its topics."""
    running = PROVIDERS[request.param](tmp_path_factory.mktemp("router") / "kafka")
    try:
        await asyncio.to_thread(running.start)
        await create_topics(running)
        await write(running, BACKLOG)
        yield running
    finally:
        await asyncio.to_thread(running.release)


async def create_topics(broker: Broker) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.address)
    await admin.start()
    await admin.create_topics([NewTopic(name, 2, 1) for name in (*TOPICS, TIMELINE)])
    await admin.close()


async def write(broker: Broker, events: Sequence[tuple[str, str]]) -> None:
    """Write events of one order, a millisecond after another, the topics side by side."""
    async with AIOKafkaProducer(bootstrap_servers=broker.address, linger_ms=5, enable_idempotence=False) as producer:
        sent = [
            await producer.send(topic, event(event_id), key=b"o-1", timestamp_ms=NOON_MS + n)
            for n, (event_id, topic) in enumerate(events)
        ]
        await asyncio.gather(*sent)


def event(event_id: str) -> bytes:
    data = {"order_id": "o-1"}
    return to_json(Event(id=event_id, source="urn:test:shop", type="SomethingHappened", time=NOON, data=data))


@pytest.fixture
def running(request: pytest.FixtureRequest, broker: Broker) -> Running:
    """A router for the length of a block; all of them are in one group."""
    profile = TUNING[request.node.callspec.params["broker"]]
    client = {"bootstrap_servers": broker.address}

    @asynccontextmanager
    async def run() -> AsyncIterator[Router]:
        publisher, writer = Publisher({**client, "linger_ms": 2, **profile.producer}), Writer()
        router = Router(
            TOPICS,
            group="router",
            options={**client, **profile.consumer},
            publisher=publisher,
            writer=writer,
            max_event_bytes=100_000,
            catalogue=CATALOGUE,
        )
        task = asyncio.create_task(router.run())
        try:
            yield router
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await publisher.stop()
        assert writer.letters == []

    return run


async def timeline(broker: Broker, count: int = len(BACKLOG)) -> list[str]:
    """The ids of the order's events, as far as `count` different ones need."""
    ids: list[str] = []
    consumer = AIOKafkaConsumer(TIMELINE, bootstrap_servers=broker.address, auto_offset_reset="earliest")
    async with consumer, asyncio.timeout(PATIENCE_SECONDS):
        while len(set(ids)) < count:
            ids.append(parse((await consumer.getone()).value, ()).id)
    return ids


async def committed(broker: Broker) -> dict[str, int]:
    """How many events of each topic the group needs not read again."""
    places = [TopicPartition(topic, partition) for topic in TOPICS for partition in range(2)]
    consumer = AIOKafkaConsumer(group_id="router", bootstrap_servers=broker.address, enable_auto_commit=False)
    async with consumer:
        consumer.assign(places)
        offsets = [await consumer.committed(place) or 0 for place in places]
    return {topic: sum(offsets[2 * n : 2 * n + 2]) for n, topic in enumerate(TOPICS)}


async def test_a_backlog_in_several_topics_reaches_the_timeline_in_the_order_of_time(
    broker: Broker, running: Running
) -> None:
    async with running():
        assert await timeline(broker) == IN_ORDER_OF_TIME


@ON_APACHE
async def test_a_router_that_is_stopped_in_a_backlog_leaves_nothing_out_and_keeps_the_order(
    broker: Broker, running: Running, until: Callable[..., Any]
) -> None:
    async with running() as router:
        await until(lambda: router.routed >= 600)
    async with running():
        assert list(dict.fromkeys(await timeline(broker))) == IN_ORDER_OF_TIME


@ON_APACHE
async def test_everything_is_committed_in_the_end_and_nothing_is_routed_again(broker: Broker, running: Running) -> None:
    ends = {topic: sum(where == topic for _, where in BACKLOG) for topic in TOPICS}
    async with running(), asyncio.timeout(PATIENCE_SECONDS):
        while await committed(broker) != ends:  # noqa: ASYNC110 - only asking tells
            await asyncio.sleep(0.1)
    await write(broker, [("e-next", "orders")])
    async with running():
        assert await timeline(broker, len(BACKLOG) + 1) == [*IN_ORDER_OF_TIME, "e-next"]
