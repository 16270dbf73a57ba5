"""Router on an Apache Kafka that denies one timeline: its events wait, in order, and every other event is routed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from acls import AUTHORIZER, Acls
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from fake_writer import Writer
from shop_catalogue import CATALOGUE
from waiting import PATIENCE_SECONDS

from agents.engine.router import Router
from app.sandbox import ApacheBroker
from outbox.publisher import Publisher
from tables.event import Event, parse, to_json

pytestmark = pytest.mark.apache

NOON = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
TOPICS = ("orders", "platform")
TIMELINES = ("timeline-customer", "timeline-order", "timeline-service")


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApacheBroker]:
    running = ApacheBroker(tmp_path_factory.mktemp("router-refusals") / "kafka", AUTHORIZER)
    try:
        running.start()
        asyncio.run(create_topics(running))
        yield running
    finally:
        running.release()


async def create_topics(broker: ApacheBroker) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.address)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, 1, 1) for name in (*TOPICS, *TIMELINES)])
    finally:
        await admin.close()


@pytest.fixture
def writer() -> Writer:
    return Writer()


@pytest.fixture
async def router(broker: ApacheBroker, writer: Writer) -> AsyncIterator[Router]:
    publisher = Publisher({"bootstrap_servers": broker.address})
    running = Router(
        TOPICS,
        group="router",
        options={"bootstrap_servers": broker.address},
        publisher=publisher,
        writer=writer,
        max_event_bytes=100_000,
        catalogue=CATALOGUE,
    )
    task = asyncio.create_task(running.run())
    try:
        yield running
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await publisher.stop()


async def write(broker: ApacheBroker, topic: str, ids: Sequence[str], **data: str) -> None:
    async with AIOKafkaProducer(bootstrap_servers=broker.address) as producer:
        for event_id in ids:
            event = Event(id=event_id, source="urn:test", type="SomethingHappened", time=NOON, data=data)
            await producer.send_and_wait(topic, to_json(event), key=b"k")


async def timeline(broker: ApacheBroker, name: str, count: int) -> list[str]:
    """The ids of the first events."""
    consumer = AIOKafkaConsumer(name, bootstrap_servers=broker.address, auto_offset_reset="earliest")
    async with consumer, asyncio.timeout(PATIENCE_SECONDS):
        return [parse((await consumer.getone()).value, ()).id for _ in range(count)]


async def committed(broker: ApacheBroker, topic: str) -> int:
    place = TopicPartition(topic, 0)
    async with AIOKafkaConsumer(
        group_id="router", bootstrap_servers=broker.address, enable_auto_commit=False
    ) as consumer:
        consumer.assign([place])
        return await consumer.committed(place) or 0


async def test_a_denied_timeline_holds_up_its_events_and_no_others_and_nothing_is_lost_or_buried(
    router: Router, writer: Writer, broker: ApacheBroker, until: Callable[..., Any]
) -> None:
    acls = Acls(broker.address)
    customers = [f"c-{n}" for n in range(700)]  # more than the router hands out at once
    async with acls.denied("topic", "timeline-customer", "WRITE"):
        await write(broker, "orders", customers, customer_id="customer-1", order_id="order-1")
        await write(broker, "platform", ["s-1"], service="shop")
        assert await timeline(broker, "timeline-service", 1) == ["s-1"]
        await until(lambda: "timeline-customer" in router.waiting)
        await write(broker, "platform", ["s-2"], service="shop")
        assert await timeline(broker, "timeline-service", 2) == ["s-1", "s-2"]

        assert router.waiting["timeline-customer"].needs_operator
        assert list(router.waiting) == ["timeline-customer"]
        assert await committed(broker, "orders") == 0

    assert await timeline(broker, "timeline-customer", 700) == customers
    assert await timeline(broker, "timeline-order", 700) == customers
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await committed(broker, "orders") != 700:  # noqa: ASYNC110 - only asking tells
            await asyncio.sleep(0.1)
    await until(lambda: router.waiting == {})
    assert writer.letters == []
