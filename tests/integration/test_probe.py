"""The probe on brokers: it tells a partition that does not move from one with nothing to read."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

import pytest
from acls import AUTHORIZER, Acls
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from waiting import PATIENCE_SECONDS

from app.sandbox import PROVIDERS, ApacheBroker, Broker
from app.worker.probe import ProgressProbe

ROUTER = "innervate-router"
APACHE = pytest.param("apache", marks=pytest.mark.apache)
ON_APACHE = pytest.mark.parametrize("broker", [APACHE], indirect=True)
#: Later than anything observed here by so much that what was not moving is stuck.
LATER_SECONDS = 1_000_000.0
NOON = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)


@pytest.fixture(params=["tansu", APACHE])
async def broker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Broker]:
    """A broker with one domain topic of one partition and one timeline."""
    directory = tmp_path_factory.mktemp("probe") / "kafka"
    running = ApacheBroker(directory, AUTHORIZER) if request.param == "apache" else PROVIDERS[request.param](directory)
    try:
        await asyncio.to_thread(running.start)
        admin = AIOKafkaAdminClient(bootstrap_servers=running.address)
        await admin.start()
        try:
            await admin.create_topics([NewTopic("payments", 1, 1), NewTopic("timeline-order", 1, 1)])
        finally:
            await admin.close()
        yield running
    finally:
        running.release()


@asynccontextmanager
async def producing(broker: Broker, **options: object) -> AsyncIterator[AIOKafkaProducer]:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            producer = AIOKafkaProducer(bootstrap_servers=broker.address, **options)
            try:
                await producer.start()
                break
            except Exception:  # noqa: BLE001 - the broker is still making what transactions need
                await producer.stop()
                await asyncio.sleep(0.2)
    try:
        yield producer
    finally:
        await producer.stop()


async def commit(broker: Broker, group: str, topic: str, offset: int) -> None:
    consumer = AIOKafkaConsumer(bootstrap_servers=broker.address, group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        async with asyncio.timeout(PATIENCE_SECONDS):
            await consumer.commit({partition: offset})
    finally:
        await consumer.stop()


@asynccontextmanager
async def probing(broker: Broker, published_until: datetime | None = None) -> AsyncIterator[ProgressProbe]:
    probe = ProgressProbe(
        group="innervate-all",
        router=ROUTER,
        topics=("payments",),
        client={"bootstrap_servers": broker.address},
        published_until=lambda: published_until,
    )
    task = asyncio.create_task(probe.run(lambda: {("timeline-order", 0)}))
    try:
        yield probe
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def rounds(probe: ProgressProbe, number: int = 2) -> None:
    """Wait until the broker has answered so often from now on."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        for _ in range(number):
            before = probe.answered_at
            while probe.answered_at == before or probe.problem:  # noqa: ASYNC110 - nobody announces a round
                await asyncio.sleep(0.05)


def stuck(seconds_of: Callable[[float], Mapping[tuple[str, int], float]]) -> set[str]:
    """The topics that have not moved since they were last seen, however long that takes."""
    last_seen = time.monotonic() + LATER_SECONDS
    return {topic for (topic, _), seconds in seconds_of(last_seen).items() if seconds > LATER_SECONDS + 2}


async def test_a_domain_topic_nobody_routes_is_seen_and_one_that_was_routed_is_not(broker: Broker) -> None:
    async with producing(broker) as producer, probing(broker) as probe:
        await producer.send_and_wait("payments", b"1", key=b"k")
        await rounds(probe)
        assert stuck(probe.router.stuck_seconds) == {"payments"}
        assert set(probe.lag.seconds(time.monotonic())) == {("payments", 0)}

        await commit(broker, ROUTER, "payments", 1)
        await rounds(probe)
        assert probe.lag.seconds(time.monotonic()) == {}
        assert probe.unreadable == {}


async def test_a_timeline_an_agent_does_not_read_is_seen(broker: Broker) -> None:
    async with producing(broker) as producer, probing(broker) as probe:
        await producer.send_and_wait("timeline-order", b"1", key=b"k")
        await rounds(probe)
        assert stuck(probe.agents.stuck_seconds) == {"timeline-order"}


async def test_what_was_published_is_decided_when_the_router_has_routed_it_and_the_agents_have_read_that(
    broker: Broker,
) -> None:
    place = ("timeline-order", 0)
    async with producing(broker) as producer:
        await producer.send_and_wait("payments", b"1", key=b"k")
        await producer.send_and_wait("timeline-order", b"1", key=b"k")
        async with probing(broker, NOON) as probe:
            await rounds(probe)
            assert (probe.routed.of([("payments", 0)]), probe.decided.of([place])) == (None, None)
            await commit(broker, "innervate-all", "timeline-order", 1)
            await rounds(probe)
            assert probe.decided.of([place]) is None
            await commit(broker, ROUTER, "payments", 1)
            await rounds(probe, 3)
            assert (probe.routed.of([("payments", 0)]), probe.decided.of([place])) == (NOON, NOON)


@ON_APACHE
async def test_what_ends_in_an_aborted_transaction_has_nothing_to_read(broker: Broker) -> None:
    async with producing(broker, transactional_id="t") as producer, probing(broker) as probe:
        async with producer.transaction():
            await producer.send("payments", b"good", key=b"k")
        await commit(broker, ROUTER, "payments", 1)
        await producer.begin_transaction()
        await producer.send_and_wait("payments", b"bad", key=b"k")
        await producer.abort_transaction()

        await rounds(probe, 3)

        assert stuck(probe.router.stuck_seconds) == set()
        assert probe.lag.seconds(time.monotonic()) == {}
        assert stuck(probe.transactions.stuck_seconds) == set()


@ON_APACHE
async def test_a_transaction_that_stays_open_is_seen_and_is_over_when_it_ends(broker: Broker) -> None:
    async with producing(broker, transactional_id="t") as producer, probing(broker) as probe:
        await producer.begin_transaction()
        await producer.send_and_wait("payments", b"open", key=b"k")
        await rounds(probe)
        assert stuck(probe.transactions.stuck_seconds) == {"payments"}
        assert stuck(probe.router.stuck_seconds) == set()

        await producer.commit_transaction()
        await commit(broker, ROUTER, "payments", 1)
        await rounds(probe, 3)
        assert stuck(probe.transactions.stuck_seconds) == set()
        assert stuck(probe.router.stuck_seconds) == set()


@ON_APACHE
async def test_a_topic_that_must_not_be_read_is_named_until_it_may_be(broker: Broker) -> None:
    acls = Acls(broker.address)
    async with producing(broker) as producer:
        await producer.send_and_wait("payments", b"1", key=b"k")
    async with acls.denied("topic", "payments", "READ"), probing(broker) as probe:
        await rounds(probe)
        assert probe.unreadable == {"payments": "TopicAuthorizationFailedError"}

        await acls.restore("topic", "payments", "READ")
        await rounds(probe, 3)
        assert probe.unreadable == {}


async def test_a_broker_that_is_away_is_known_and_asked_again(broker: Broker) -> None:
    async with probing(broker) as probe:
        await rounds(probe)
        await asyncio.to_thread(broker.stop)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not probe.problem:  # noqa: ASYNC110 - nobody announces it
                await asyncio.sleep(0.05)
        await asyncio.to_thread(broker.start)
        await rounds(probe, 1)
        assert probe.problem == ""
