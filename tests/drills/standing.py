"""Standing: how an installation stands, as Kafka, PostgreSQL and the workers' HTTP interface tell."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions
from aiokafka.protocol.admin import DeleteGroupsRequest
from arena import CrashWorker
from evidence import Logged
from recomputed import Memory, windows_of
from waiting import PATIENCE_SECONDS

#: Answers of workers that are waited for at a time.
_AT_ONCE = 8

#: What each entity's window holds: offset and event id, oldest first.
Windows = Mapping[str, Sequence[tuple[int, str]]]


def ask(url: str, path: str, timeout_seconds: float = 60.0) -> tuple[int, Any]:
    """The status and the JSON of one GET request; raises OSError when nobody answers in time."""
    try:
        with urllib.request.urlopen(f"{url}{path}", timeout=timeout_seconds) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def windows_told(worker: CrashWorker, agent: str, entities: Sequence[str]) -> Windows:
    """The windows of these entities as a worker answers for them, its own or another's of its set."""

    def window(entity: str) -> Sequence[tuple[int, str]]:
        status, body = ask(worker.url, f"/agents/{agent}/windows/{entity}")
        assert status == 200, body
        return [(entry["offset"], entry["event"]["id"]) for entry in body["events"]]

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return dict(zip(entities, pool.map(window, entities), strict=True))


def windows_due(memory: Memory, timelines: Mapping[str, Sequence[Logged]]) -> Windows:
    """The same by the definition of a window, from the whole timeline."""
    return {
        entity: [(past.offset, past.event[1]) for past in window]
        for entity, window in windows_of(memory, timelines[memory.timeline]).items()
    }


def lag(kafka: str, group: str, topics: Sequence[str]) -> int:
    """How many records of these topics the group has not committed, by the broker's own numbers."""
    return asyncio.run(_lag(kafka, group, topics))


async def _lag(kafka: str, group: str, topics: Sequence[str]) -> int:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka)
    await admin.start()
    await consumer.start()
    try:
        described = await admin.describe_topics(list(topics))
        places = [TopicPartition(each["topic"], one["partition"]) for each in described for one in each["partitions"]]
        ends = await consumer.end_offsets(places)
        committed = await admin.list_consumer_group_offsets(group, partitions=places)
    finally:
        await admin.close()
        await consumer.stop()
    return sum(end - max(committed[place].offset, 0) for place, end in ends.items())


def add_partitions(kafka: str, topic: str, total: int) -> None:
    """What `kafka-topics.sh --alter --partitions` does."""

    async def add() -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
        await admin.start()
        try:
            answer = await admin.create_partitions({topic: NewPartitions(total_count=total)})
        finally:
            await admin.close()
        assert [code for _, code, *_ in answer.topic_errors] == [0], answer

    asyncio.run(add())


def topics_of(kafka: str) -> Sequence[str]:
    """The names of all topics."""

    async def ask() -> Sequence[str]:
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
        await admin.start()
        try:
            return sorted(await admin.list_topics())
        finally:
            await admin.close()

    return asyncio.run(ask())


def delete(kafka: str, topics: Sequence[str], groups: Sequence[str]) -> None:
    """What `kafka-topics.sh --delete` and `kafka-consumer-groups.sh --delete` do; returns when nothing is left."""
    asyncio.run(_delete(kafka, topics, groups))


async def _delete(kafka: str, topics: Sequence[str], groups: Sequence[str]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        answer = await admin.delete_topics(list(topics))
        assert [code for _, code, *_ in answer.topic_error_codes] == [0] * len(topics), answer
        for group in groups:
            coordinator = await admin.find_coordinator(group)
            deleted = await admin._client.send(coordinator, DeleteGroupsRequest([group]))  # noqa: SLF001 - no API
            assert [code for _, code in deleted.results] == [0], deleted
        async with asyncio.timeout(PATIENCE_SECONDS):
            while set(topics) & set(await admin.list_topics()):  # noqa: ASYNC110 - only asking tells
                await asyncio.sleep(0.1)
    finally:
        await admin.close()
