"""What Kafka takes for done and PostgreSQL knows nothing of: what counts as answered, and what is read once more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from agents.replay.records import TimelineRecord
from app.kafka import groups
from app.kafka.credentials import client_options
from app.kafka.groups import committed, members
from app.sandbox import PROVIDERS, Broker
from app.settings import Settings
from app.worker.missing import CannotRewind, Missing, Search, rewind
from outbox.database import Database
from outbox.missing import unanswered
from outbox.records import DeadLetter, Origin
from outbox.writer import DecisionWriter

NOON = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
TIMELINE = "timeline-customer"
PLACE = Origin(topic=TIMELINE, partition=2, offset=7, at=NOON)

APACHE = pytest.param("apache", marks=pytest.mark.apache)


async def missed(database: Database, due: dict[int, tuple[str, str] | None], consumer: str = "fraud") -> list[int]:
    return list(await unanswered(database, consumer=consumer, topic=TIMELINE, partition=2, due=due))


async def test_what_has_neither_decision_nor_dead_letter_is_missing(
    database: Database, writer: DecisionWriter, decision: Callable[..., Any]
) -> None:
    await writer.record(decision("p-7"))
    await writer.record(decision("p-9", agent="confirmation", origin=replace(PLACE, offset=9)))
    await writer.record(decision("p-10", origin=replace(PLACE, partition=3, offset=10)))
    await writer.bury(
        DeadLetter(
            consumer="fraud",
            reason="invalid_data",
            detail="no amount",
            origin=replace(PLACE, offset=8),
            key=b"c-1",
            value=b"{}",
            headers=(),
        )
    )
    due: dict[int, tuple[str, str] | None] = {offset: ("urn:shop", f"e-{offset}") for offset in range(7, 11)}
    assert await missed(database, due) == [9, 10]
    assert await missed(database, due, consumer="confirmation") == [7, 8, 10]
    assert await missed(database, {11: None}) == [11]
    assert await missed(database, {}) == []


async def test_a_copy_of_what_was_decided_on_is_not_missing(
    database: Database, writer: DecisionWriter, decision: Callable[..., Any]
) -> None:
    await writer.record(decision("p-7"))
    due: dict[int, tuple[str, str] | None] = {20: ("urn:shop", "p-7"), 21: ("urn:other", "p-7"), 22: None}
    assert await missed(database, due) == [21, 22]


def record(offset: int, value: bytes, key: bytes = b"c-1") -> TimelineRecord:
    return TimelineRecord(topic=TIMELINE, partition=2, offset=offset, at=NOON, key=key, value=value)


def event(kind: str, event_id: str, data: str) -> bytes:
    head = f'"specversion":"1.0","id":"{event_id}","source":"urn:shop","time":"2024-05-01T12:00:00Z"'
    return f'{{{head},"type":"{kind}","data":{data}}}'.encode()


async def test_an_agent_has_to_answer_what_it_reacts_to_and_what_it_cannot_read(database: Database) -> None:
    settings = Settings(_env_file=None, agents="fraud")
    [fraud] = settings.running
    search = Search(settings, database, group="innervate-fraud")
    payment = (
        '{"payment_id":"p","order_id":"o","customer_id":"c-1","amount_minor":100,"currency":"EUR","method":"card",'
        '"country":"DE","device_id":"d"}'
    )
    records = [
        record(1, event("PaymentSucceeded", "p-1", payment)),
        record(2, event("PaymentFailed", "p-2", "{}")),
        record(3, event("SomethingElse", "p-3", "{}")),
        record(4, b"no event"),
        record(5, event("PaymentSucceeded", "p-5", payment), key=b""),
    ]
    assert search._due_of_agent(fraud, records) == {1: ("urn:shop", "p-1"), 2: None, 4: None, 5: None}  # noqa: SLF001
    assert search._due_of_router(records) == {2: None, 4: None}  # noqa: SLF001


@pytest.fixture(params=[APACHE])
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Broker]:
    started = PROVIDERS[request.param](tmp_path / "kafka")
    try:
        started.start()
        yield started
    finally:
        started.release()


async def test_a_group_begins_again_at_the_first_of_what_is_missing_and_not_while_it_has_workers(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(groups, "NOTICED_SECONDS", -60.0)
    settings = Settings(_env_file=None, kafka_broker=broker.address)
    options = client_options(settings)
    admin = AIOKafkaAdminClient(**options)
    await admin.start()
    await admin.create_topics([NewTopic(TIMELINE, 2, 1)])
    await admin.close()
    lacks = [
        Missing(group="innervate-all", consumer=agent, topic=TIMELINE, partition=1, first=first, records=3)
        for agent, first in (("fraud", 8), ("confirmation", 5))
    ]
    async with AIOKafkaConsumer(TIMELINE, group_id="innervate-all", enable_auto_commit=False, **options) as worker:
        await worker.getmany(timeout_ms=100)
        await worker.commit({TopicPartition(TIMELINE, 0): 4, TopicPartition(TIMELINE, 1): 9})
        assert await members(options, "innervate-all") == 1
        with pytest.raises(CannotRewind, match="1 workers of innervate-all run"):
            await rewind(settings, lacks)
        assert await committed(options, "innervate-all", TIMELINE, [0, 1]) == {0: 4, 1: 9}

    await rewind(settings, lacks)
    assert await committed(options, "innervate-all", TIMELINE, [0, 1]) == {0: 4, 1: 5}
