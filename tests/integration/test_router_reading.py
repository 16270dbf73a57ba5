# ruff: noqa: SLF001 - what writes a name that is not UTF-8 lies inside
"""Router on a real broker: whatever somebody writes, the events around it are routed, and what is no event is named."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiokafka.producer.producer
import pytest
from acls import AUTHORIZER, Acls
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.producer import message_accumulator as accumulator
from aiokafka.record import default_records
from fake_writer import Writer
from shop_catalogue import CATALOGUE
from waiting import PATIENCE_SECONDS

from agents.engine.fetching import COMMITTED_ONLY
from agents.engine.router import Router
from app.kafka.tuning import TUNING
from app.sandbox import PROVIDERS, ApacheBroker, Broker
from outbox.publisher import Publisher
from tables.event import Event, parse, to_json

NOON = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
NOON_MS = 1_714_564_800_000
CODECS = ("gzip", "snappy", "lz4", "zstd")
APACHE = pytest.param("apache", marks=pytest.mark.apache)
ON_APACHE = pytest.mark.parametrize("running", [APACHE], indirect=True)


class Name(str):
    """A header name that is not UTF-8."""

    __slots__ = ()

    def encode(self, *_: Any) -> bytes:
        return b"trace\xff\xfe"


@dataclass
class Shop:
    """A broker, and the topics of this test alone."""

    broker: Broker
    provider: str
    topics: Sequence[str]
    writer: Writer = field(default_factory=Writer)

    @asynccontextmanager
    async def router(self) -> AsyncIterator[Router]:
        tuning, client = TUNING[self.provider], {"bootstrap_servers": self.broker.address}
        publisher = Publisher({**client, "linger_ms": 2, **tuning.producer})
        router = Router(
            self.topics,
            group=f"router-{self.topics[0]}",
            options={**client, **tuning.consumer},
            publisher=publisher,
            writer=self.writer,
            max_event_bytes=100_000,
            catalogue=CATALOGUE,
        )
        try:
            # A router that ends by itself fails the test at once, and says why.
            async with asyncio.TaskGroup() as group:
                task = group.create_task(router.run())
                yield router
                task.cancel()
        finally:
            await publisher.stop()

    @asynccontextmanager
    async def producer(self, **options: Any) -> AsyncIterator[AIOKafkaProducer]:
        options = {"enable_idempotence": False, "max_request_size": 16 * 1024 * 1024} | options
        async with AIOKafkaProducer(bootstrap_servers=self.broker.address, **options) as producer:
            yield producer

    async def send(self, *records: Mapping[str, Any], topic: int = 0, **options: Any) -> None:
        """Write to one topic, in this order, as few batches as it takes."""
        async with self.producer(linger_ms=20, **options) as producer:
            await asyncio.gather(
                *[await producer.send(self.topics[topic], partition=0, **record) for record in records]
            )

    async def routed(self, *event_ids: str) -> list[str]:
        """The ids in the order's timeline, once these are among them: of this test's topics only."""
        ids: list[str] = []
        consumer = AIOKafkaConsumer(
            "timeline-order", bootstrap_servers=self.broker.address, auto_offset_reset="earliest", **COMMITTED_ONLY
        )
        origin = self.topics[0].encode()  # the names of the test's other topics begin with it
        async with consumer, asyncio.timeout(PATIENCE_SECONDS):
            while not set(event_ids) <= set(ids):
                record = await consumer.getone()
                if origin in dict(record.headers)["innervate_origin"]:
                    ids.append(parse(record.value, ()).id)
        return ids


@pytest.fixture(scope="module", params=["tansu", APACHE])
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A broker of this module, by its provider."""
    directory = tmp_path_factory.mktemp("reading") / "kafka"
    broker = ApacheBroker(directory, AUTHORIZER) if request.param == "apache" else PROVIDERS[request.param](directory)
    try:
        broker.start()
        asyncio.run(create_topics(broker, ["timeline-order", "timeline-customer"]))
        yield request.param, broker
    finally:
        broker.release()


async def create_topics(broker: Broker, names: Sequence[str], **config: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.address)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, 1, 1, topic_configs=config) for name in names])
    finally:
        await admin.close()


@pytest.fixture
async def shop(running: tuple[str, Broker], request: pytest.FixtureRequest) -> Shop:
    provider, broker = running
    name = request.node.originalname.removeprefix("test_")[:60] + f"-{datetime.now(UTC).timestamp()}"
    topics = [name, f"{name}-2"]
    # The embedded broker takes no configuration, and records of any size.
    await create_topics(broker, topics, **({"max.message.bytes": "16000000"} if provider == "apache" else {}))
    return Shop(broker, provider, topics)


def event(event_id: str, **changes: Any) -> dict[str, Any]:
    """A record with a valid event of an order."""
    data = {"order_id": "o-1"}
    value = to_json(Event(id=event_id, source="urn:test:shop", type="SomethingHappened", time=NOON, data=data))
    return {"value": value, "key": b"o-1", "timestamp_ms": NOON_MS} | changes


def stamps(provider: str) -> list[int]:
    """Timestamps that are no time, as far as the broker takes them."""
    none = [-62_135_683_200_000, -1_000]
    return none if provider == "apache" else [*none, NOON_MS * 1000, 2**63 - 1]


async def test_an_impossible_timestamp_is_a_dead_letter_s_and_stops_nothing(shop: Shop) -> None:
    bad = [{"value": b"{bad", "timestamp_ms": stamp} for stamp in stamps(shop.provider)]
    odd = [event(f"odd-{n}", timestamp_ms=stamp) for n, stamp in enumerate(stamps(shop.provider))]
    await shop.send(event("first"), *bad, *odd, event("last"))

    async with shop.router():
        ids = await shop.routed("first", *(f"odd-{n}" for n in range(len(odd))), "last")

    assert ids == ["first", *(f"odd-{n}" for n in range(len(odd))), "last"]
    found = {letter.origin.offset: letter for letter in shop.writer.letters}
    assert sorted(found) == list(range(1, len(bad) + 1))
    for offset, stamp in enumerate(stamps(shop.provider), 1):
        letter = found[offset]
        assert (letter.reason, letter.value) == ("invalid_json", b"{bad")
        assert letter.origin.at == datetime(1970, 1, 1, tzinfo=UTC)
        assert f"timestamp {stamp}," in letter.detail


async def test_a_header_name_that_is_not_utf_8_is_ignored_in_an_event_and_escaped_in_a_dead_letter(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (accumulator, aiokafka.producer.producer):
        # aiokafka's compiled one takes no such name.
        monkeypatch.setattr(module, "DefaultRecordBatchBuilder", default_records._DefaultRecordBatchBuilderPy)
    odd = [(Name("trace"), b"1"), ("none", None)]
    await shop.send(event("before"), event("odd", headers=odd), {"value": b"{bad", "headers": odd}, event("after"))

    async with shop.router():
        ids = await shop.routed("before", "odd", "after")

    assert ids == ["before", "odd", "after"]
    [letter] = shop.writer.letters
    assert letter.headers == (("trace\\xff\\xfe", b"1"), ("none", b""))


async def test_records_without_value_or_key_and_with_thousands_of_headers_stop_nothing(shop: Shop) -> None:
    many = [(f"h{n}\0", None if n % 2 else b"\xff") for n in range(3000)]
    await shop.send(
        {"value": None, "key": b"", "timestamp_ms": NOON_MS},
        {"value": b"", "key": None, "timestamp_ms": NOON_MS},
        event("many", headers=many),
        {"value": b"{bad", "headers": many, "timestamp_ms": NOON_MS},
        event("last", key=None),
    )

    async with shop.router():
        ids = await shop.routed("many", "last")

    assert ids == ["many", "last"]
    assert [letter.reason for letter in shop.writer.letters] == ["tombstone", "invalid_json", "invalid_json"]
    assert len(shop.writer.letters[2].headers) == 3000


async def test_large_records_are_named_and_the_events_between_them_are_routed(shop: Shop) -> None:
    large = {"value": b"x" * 5_000_000, "timestamp_ms": NOON_MS}
    await shop.send(event("e-0"), large, event("e-1"), large, large, event("e-2"))

    async with shop.router():
        assert await shop.routed("e-0", "e-1", "e-2") == ["e-0", "e-1", "e-2"]

    assert [(letter.reason, letter.origin.offset) for letter in shop.writer.letters] == [
        ("too_large", 1), ("too_large", 3), ("too_large", 4),
    ]  # fmt: skip


async def test_an_event_ahead_of_its_record_happened_when_its_record_was_written(shop: Shop) -> None:
    await shop.send(event("ahead", timestamp_ms=NOON_MS - 29 * 86_400_000))

    async with shop.router():
        await shop.routed("ahead")
    consumer = AIOKafkaConsumer(
        "timeline-order", bootstrap_servers=shop.broker.address, auto_offset_reset="earliest", **COMMITTED_ONLY
    )
    async with consumer, asyncio.timeout(PATIENCE_SECONDS):
        while (found := parse((await consumer.getone()).value, ())).id != "ahead":
            pass

    assert found.time == datetime(2024, 4, 2, 12, 0, tzinfo=UTC)


async def test_a_topic_that_is_missing_stops_no_other_and_is_read_when_it_is_there(shop: Shop) -> None:
    missing = f"{shop.topics[0]}-3"
    shop.topics = [*shop.topics, missing]
    await shop.send(event("here"))

    async with shop.router():
        assert await shop.routed("here") == ["here"]
        await create_topics(shop.broker, [missing])
        await shop.send(event("there"), topic=2)
        assert await shop.routed("there") == ["here", "there"]


@ON_APACHE
async def test_every_codec_of_a_producer_is_read(shop: Shop) -> None:
    for codec in (None, *CODECS):
        await shop.send(event(f"by-{codec}"), compression_type=codec)

    async with shop.router():
        expected = ["by-None", *(f"by-{codec}" for codec in CODECS)]
        assert await shop.routed(*expected) == expected


@ON_APACHE
@pytest.mark.parametrize("codec", [*CODECS, "uncompressed"])
async def test_every_codec_that_a_topic_recompresses_with_is_read(shop: Shop, codec: str) -> None:
    topic = f"{shop.topics[0]}-{codec}"
    await create_topics(shop.broker, [topic], **{"compression.type": codec})
    shop.topics = [topic]
    await shop.send(event("gzip"), compression_type="gzip")
    await shop.send(event("plain"))

    async with shop.router():
        assert await shop.routed("gzip", "plain") == ["gzip", "plain"]


@ON_APACHE
async def test_an_aborted_transaction_is_not_routed_and_an_open_one_holds_up_no_other_topic(shop: Shop) -> None:
    identity = f"shop-{shop.topics[0]}"
    async with shop.producer(transactional_id=identity, enable_idempotence=True) as producer:
        for kept in (False, True, False):
            await producer.begin_transaction()
            await producer.send_and_wait(shop.topics[0], **event(f"kept-{kept}"))
            await (producer.commit_transaction() if kept else producer.abort_transaction())
        await producer.begin_transaction()
        await producer.send_and_wait(shop.topics[0], **event("open"))
        await shop.send(event("behind-open"))
        await shop.send(event("other"), topic=1)

        async with shop.router():
            assert await shop.routed("other", "kept-True") == ["kept-True", "other"]
            await producer.commit_transaction()
            assert (await shop.routed("behind-open"))[-2:] == ["open", "behind-open"]


@ON_APACHE
@pytest.mark.parametrize("right", ["READ", "ALL"])
async def test_a_topic_that_may_not_be_read_stops_no_other_and_is_read_when_it_may_be(shop: Shop, right: str) -> None:
    await shop.send(event("denied"), topic=1)
    await shop.send(event("first"))

    acls = Acls(shop.broker.address)
    await acls.deny("topic", shop.topics[1], right)

    async with shop.router():
        assert await shop.routed("first") == ["first"]
        await shop.send(event("second"))
        assert await shop.routed("second") == ["first", "second"]
        await acls.restore("topic", shop.topics[1], right)
        assert await shop.routed("denied") == ["first", "second", "denied"]


@ON_APACHE
async def test_a_right_that_is_taken_while_the_router_runs_and_given_back_loses_nothing(shop: Shop) -> None:
    acls = Acls(shop.broker.address)
    async with shop.router():
        await shop.send(event("before"), topic=1)
        await shop.routed("before")
        async with acls.denied("topic", shop.topics[1], "READ"):
            await shop.send(event("meanwhile"))
            assert await shop.routed("meanwhile") == ["before", "meanwhile"]
        await shop.send(event("after"), topic=1)
        assert (await shop.routed("after"))[-1] == "after"


@ON_APACHE
async def test_a_group_that_may_not_be_used_is_waited_for(shop: Shop) -> None:
    await shop.send(event("waits"))
    acls = Acls(shop.broker.address)
    await acls.deny("group", f"router-{shop.topics[0]}", "READ")
    async with shop.router() as router:
        await asyncio.sleep(1)
        assert router.routed == 0
        await acls.restore("group", f"router-{shop.topics[0]}", "READ")
        assert await shop.routed("waits") == ["waits"]


@ON_APACHE
async def test_a_topic_that_is_deleted_stops_no_other(shop: Shop) -> None:
    async with shop.router():
        await shop.send(event("deleted-with-it"), topic=1)
        await shop.routed("deleted-with-it")
        admin = AIOKafkaAdminClient(bootstrap_servers=shop.broker.address)
        await admin.start()
        await admin.delete_topics([shop.topics[1]])
        await admin.close()
        for n in range(3):
            await shop.send(event(f"after-{n}"))
            assert f"after-{n}" in await shop.routed(f"after-{n}")


@ON_APACHE
async def test_a_batch_that_is_broken_on_the_broker_s_disk_is_passed_over_by_name(shop: Shop) -> None:
    await shop.send(event("before"))
    await shop.send(event("broken-0"), event("broken-1"))
    await shop.send(event("behind"))
    await shop.send(event("other"), topic=1)
    await asyncio.to_thread(shop.broker.stop)
    [segment] = shop.broker.directory.glob(f"data/{shop.topics[0]}-0/*.log")
    log = bytearray(segment.read_bytes())
    log[log.index(b"broken-1")] ^= 1
    segment.write_bytes(log)
    await asyncio.to_thread(shop.broker.start)

    async with shop.router():
        ids = await shop.routed("before", "behind", "other")

    assert sorted(ids) == ["before", "behind", "other"]
    [letter] = shop.writer.letters
    assert (letter.reason, letter.origin.offset) == ("unreadable", 1)
    assert letter.detail.startswith("offsets 1 to 2 cannot be read: its checksum is wrong")
    assert b"broken-0" in (letter.value or b"")
