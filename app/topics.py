"""Topics: creates those that are missing and refuses to run on timelines of the wrong shape.

Existing domain topics are taken as they are. A timeline must have exactly `TOPIC_PARTITIONS` partitions, because the
changelogs have, and a window lives in the partition of its timeline.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from agents.routing import ENTITIES, timeline
from app.settings import Settings
from outbox.parameters import DEAD_LETTERS

log = logging.getLogger(__name__)

#: So that an event that is too large reaches the router and becomes a dead letter, instead of a surprise at the
#: producer; dead letters hold it with its headers.
LARGEST_MESSAGE_BYTES: Final = 16 * 1024 * 1024
#: How long the broker may take to know the topics it has created, in seconds.
CREATION_SECONDS: Final = 30.0
#: Room for an event at its largest plus what a ring entry or a record adds.
OVERHEAD_BYTES: Final = 64 * 1024


class TopicsUnusable(Exception):
    """Kafka could not be prepared; the message says which topic and why."""


async def ensure_topics(settings: Settings, changelogs: Iterable[str]) -> None:
    """Create the domain topics, timelines, dead letters and changelogs that do not exist. Raises `TopicsUnusable`.

    Returns when the broker knows all of them: Faust takes a changelog that it has just created itself, and does not see
    yet, for one with no partitions, and crashes.
    """
    admin = AIOKafkaAdminClient(**settings.client_options())
    try:
        await admin.start()
        existing = set(await admin.list_topics())
        missing = [topic for topic in _wanted(settings, changelogs) if topic.name not in existing]
        if missing:
            await _create(admin, missing)
            await _wait_for(admin, {topic.name for topic in missing})
        await _check_timelines(admin, settings)
    except (KafkaError, OSError, TimeoutError) as error:
        raise TopicsUnusable(f"Kafka at {','.join(settings.kafka_broker)}: {error}") from error
    finally:
        await admin.close()


def _wanted(settings: Settings, changelogs: Iterable[str]) -> Iterable[NewTopic]:
    bounded = {"max.message.bytes": str(settings.max_event_bytes + OVERHEAD_BYTES)}
    large = {"max.message.bytes": str(LARGEST_MESSAGE_BYTES)}
    timelines = [timeline(entity) for entity in ENTITIES]
    for name in (*settings.event_topics, DEAD_LETTERS):
        yield _topic(name, settings, large)
    for name in timelines:
        yield _topic(name, settings, bounded)
    for name in changelogs:
        yield _topic(name, settings, {**bounded, "cleanup.policy": "compact"})


def _topic(name: str, settings: Settings, config: Mapping[str, str]) -> NewTopic:
    # The embedded broker refuses topics with a configuration of this kind.
    allowed = {} if settings.kafka_profile == "tansu" else dict(config)
    return NewTopic(name, settings.topic_partitions, settings.topic_replication_factor, topic_configs=allowed)


async def _create(admin: AIOKafkaAdminClient, topics: list[NewTopic]) -> None:
    response = await admin.create_topics(topics)
    for name, code, *message in response.topic_errors:
        error = for_code(code)
        # Another worker that starts at the same time may have been faster.
        if code and error is not TopicAlreadyExistsError:
            raise TopicsUnusable(f"topic {name} cannot be created: {error.__name__} {message}")
        log.info("topic created", extra={"topic": name})


async def _wait_for(admin: AIOKafkaAdminClient, names: Collection[str]) -> None:
    async with asyncio.timeout(CREATION_SECONDS):
        while not set(names) <= set(await admin.list_topics()):  # noqa: ASYNC110 - only asking tells
            await asyncio.sleep(0.1)


async def _check_timelines(admin: AIOKafkaAdminClient, settings: Settings) -> None:
    described = await admin.describe_topics([timeline(entity) for entity in ENTITIES])
    for topic in described:
        partitions = len(topic["partitions"])
        if partitions != settings.topic_partitions:
            raise TopicsUnusable(
                f"topic {topic['topic']} has {partitions} partitions, TOPIC_PARTITIONS is {settings.topic_partitions}"
            )
