# ruff: noqa: SLF001 - what writes a name that is not UTF-8 lies inside
"""Whatever lies in timelines and changelogs: a worker reads it, commits past it and recovers its windows from it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import aiokafka.producer.producer
import pytest
from acls import AUTHORIZER, Acls
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.producer import message_accumulator as accumulator
from aiokafka.record import default_records
from observe import eventually, get, rows, settled
from shop import Payment, send

from app.sandbox import ApacheBroker, Sandbox
from app.sandbox.worker_process import WorkerProcess

pytestmark = pytest.mark.apache

CUSTOMER = "batches-customer"
TIMELINE = "timeline-customer"
#: What the broker packs a topic's batches with, whatever producers do.
CODECS = {"payments": "snappy", TIMELINE: "lz4", "fraud-windows-changelog": "zstd", "orders": "gzip"}
#: The year 0: what Apache Kafka 4 takes as a timestamp, and no calendar of Python's does.
YEAR_0 = -62_135_683_200_000


class Name(str):
    """A header name that is not UTF-8."""

    __slots__ = ()

    def encode(self, *_: Any) -> bytes:
        return b"trace\xff\xfe"


@dataclass(frozen=True)
class Seen:
    """Where the last event of others lies, and what an agent remembers before and after its tables were lost."""

    place: TopicPartition
    offset: int
    before: list[str]
    after: list[str]


async def pack(kafka: str) -> None:
    """Have the broker pack the batches of some topics."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        for topic in await admin.list_topics():
            for end, codec in CODECS.items():
                if topic.endswith(end):
                    config = {"compression.type": codec}
                    await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, config)])
    finally:
        await admin.close()


async def write_what_is_no_event(kafka: str) -> None:
    """A broker that packs a topic itself takes no such header there."""
    async with AIOKafkaProducer(bootstrap_servers=kafka, enable_idempotence=False) as producer:
        await producer.send_and_wait(
            TIMELINE, b"{bad", key=CUSTOMER.encode(), timestamp_ms=YEAR_0, headers=[(Name("trace"), b"1")]
        )


async def write_what_no_changelog_takes(kafka: str) -> None:
    """Packed it is small enough for the timeline."""
    payment = Payment("batches-large", CUSTOMER, data=MappingProxyType({"note": "x" * 3_000_000})).structured()
    async with AIOKafkaProducer(
        bootstrap_servers=kafka, compression_type="gzip", max_request_size=8 * 1024 * 1024
    ) as producer:
        await producer.send_and_wait(TIMELINE, payment.value, key=CUSTOMER.encode())


async def write_to_the_timeline(kafka: str) -> tuple[TopicPartition, int]:
    """Packed events, an event that was taken back, and one that was not; returns where the last one lies."""
    key = CUSTOMER.encode()
    for codec in ("gzip", "snappy", "lz4", "zstd"):
        async with AIOKafkaProducer(bootstrap_servers=kafka, compression_type=codec) as producer:
            payment = Payment(f"batches-{codec}", CUSTOMER).structured()
            await producer.send_and_wait(TIMELINE, payment.value, key=key)
    async with AIOKafkaProducer(bootstrap_servers=kafka, transactional_id="batches") as producer:
        for kept in (True, False, True):
            await producer.begin_transaction()
            payment = Payment(f"batches-kept-{kept}", CUSTOMER).structured()
            sent = await producer.send_and_wait(TIMELINE, payment.value, key=key)
            await (producer.commit_transaction() if kept else producer.abort_transaction())
    return TopicPartition(TIMELINE, sent.partition), sent.offset


def remembered(worker: WorkerProcess) -> list[str]:
    _, window = get(worker.url, f"/agents/fraud/windows/{CUSTOMER}")
    return [entry["event"]["id"] for entry in window["events"]]


def decided_by_fraud(sandbox: Sandbox) -> list[str]:
    found = rows(
        sandbox.database_url, "SELECT event_id FROM decisions WHERE agent = 'fraud' AND entity_id = %s", CUSTOMER
    )
    return sorted(event_id for (event_id,) in found)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A sandbox of this module: what is written here would meet the plain readers of other tests."""
    sandbox = Sandbox(tmp_path_factory.mktemp("batches"), "apache")
    sandbox.broker = ApacheBroker(sandbox.broker.directory, AUTHORIZER)
    with sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def process(own: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    started = WorkerProcess(own, tmp_path_factory.mktemp("batches-worker") / "worker")
    try:
        started.start()
        yield started
    finally:
        started.release()


@pytest.fixture(scope="module")
def seen(own: Sandbox, process: WorkerProcess) -> Seen:
    with pytest.MonkeyPatch.context() as patch:
        for module in (accumulator, aiokafka.producer.producer):
            # aiokafka's compiled one takes no such name.
            patch.setattr(module, "DefaultRecordBatchBuilder", default_records._DefaultRecordBatchBuilderPy)
        asyncio.run(write_what_is_no_event(own.kafka))
    asyncio.run(write_what_no_changelog_takes(own.kafka))
    asyncio.run(pack(own.kafka))
    payment = Payment("batches-first", CUSTOMER)
    asyncio.run(send(own.kafka, [payment.structured()]))
    settled(own.database_url, [payment.event_id])
    place, offset = asyncio.run(write_to_the_timeline(own.kafka))
    eventually(lambda: decided_by_fraud(own), lambda found: len(found) == 6)
    before = remembered(process)
    process.stop()
    shutil.rmtree(process.directory / "tables")
    process.start()
    return Seen(place, offset, before, remembered(process))


EXPECTED: Sequence[str] = [
    "batches-first", "batches-gzip", "batches-snappy", "batches-lz4", "batches-zstd", "batches-kept-True",
]  # fmt: skip


def test_every_codec_is_read_from_timelines_and_a_transaction_that_was_taken_back_is_not(
    seen: Seen, own: Sandbox
) -> None:
    assert seen.before == EXPECTED
    assert decided_by_fraud(own) == sorted(EXPECTED)


def test_windows_are_recovered_from_a_changelog_that_the_broker_packed(seen: Seen) -> None:
    assert seen.after == EXPECTED


def test_what_is_no_event_in_a_timeline_is_a_dead_letter_of_each_agent_with_a_time_that_can_be_kept(
    seen: Seen, own: Sandbox
) -> None:
    found = rows(
        own.database_url,
        "SELECT consumer, reason, recorded_at::text, convert_from(value, 'UTF8'), headers->0->>0"
        " FROM dead_letters WHERE topic = %s AND key = %s AND reason <> 'too_large' ORDER BY consumer",
        TIMELINE,
        CUSTOMER.encode(),
    )
    assert [(consumer, reason, value, header) for consumer, reason, _, value, header in found] == [
        (agent, "invalid_json", "{bad", "trace\\xff\\xfe") for agent in ("confirmation", "fraud")
    ]
    assert {at[:4] for _, _, at, _, _ in found} == {"1970"}


def test_an_event_that_no_changelog_takes_is_a_dead_letter_and_stops_nothing(seen: Seen, own: Sandbox) -> None:
    found = rows(
        own.database_url, "SELECT consumer FROM dead_letters WHERE reason = 'too_large' AND topic = %s", TIMELINE
    )
    assert sorted(found) == [("confirmation",), ("fraud",)]


def test_offsets_that_carry_no_event_do_not_stop_the_commits(seen: Seen, own: Sandbox) -> None:
    def committed() -> int:
        return asyncio.run(_committed(own.kafka, seen.place))

    assert eventually(committed, lambda offset: offset > seen.offset) == seen.offset + 1


async def _committed(kafka: str, place: TopicPartition) -> int:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        found = await admin.list_consumer_group_offsets("innervate-all", partitions=[place])
        if place not in found:
            return -1
        offset: int = found[place].offset
        return offset
    finally:
        await admin.close()


def test_a_timeline_that_may_not_be_read_ends_no_worker_and_is_decided_on_when_it_may_be(
    seen: Seen, own: Sandbox, process: WorkerProcess
) -> None:
    acls, payment = Acls(own.kafka), Payment("batches-denied", "denied-customer")
    asyncio.run(acls.deny("topic", TIMELINE, "READ"))
    # A fetch that was under way still brings what is written before it ends.
    eventually(lambda: f"{TIMELINE} cannot be read" in process.log_path.read_text())

    asyncio.run(send(own.kafka, [payment.structured()]))
    eventually(lambda: agents_that_decided(own, payment.event_id), lambda found: found == ["fulfilment", "root_cause"])
    asyncio.run(acls.restore("topic", TIMELINE, "READ"))
    settled(own.database_url, [payment.event_id])

    assert process.is_running


def agents_that_decided(sandbox: Sandbox, event_id: str) -> list[str]:
    found = rows(sandbox.database_url, "SELECT agent FROM decisions WHERE event_id = %s ORDER BY agent", event_id)
    return [agent for (agent,) in found]
