"""Topics: creates those that are missing and refuses to run on timelines of the wrong shape.

Existing domain topics are taken as they are. Timelines and changelogs must have exactly `TOPIC_PARTITIONS` partitions,
because a window lives in the partition of its timeline.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
    for_code,
)

from agents.engine.routing import MAX_PAYLOAD_BYTES, timeline
from app.kafka.credentials import client_options, why_unreachable
from app.kafka.partitions import TopicsUnusable, check_numbers, check_places
from app.kafka.topic_ids import KnownTopics, known_topics
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


async def ensure_topics(settings: Settings, changelogs: Collection[str]) -> KnownTopics:
    """Create the domain topics, timelines, dead letters and changelogs that do not exist.

    Returns the ids of timelines and changelogs. Raises `TopicsUnusable`.

    Returns when the broker knows all of them: Faust takes a changelog that it has just created itself, and does not see
    yet, for one with no partitions, and crashes.
    """
    admin = AIOKafkaAdminClient(**client_options(settings))
    try:
        await admin.start()
        existing = set(await admin.list_topics())
        missing = [topic for topic in _wanted(settings, changelogs) if topic.name not in existing]
        if missing:
            await _create(admin, missing)
            await _wait_for(admin, {topic.name for topic in missing})
        required = dict.fromkeys([*timelines_of(settings), *changelogs], settings.topic_partitions)
        check_numbers(await admin.describe_topics(list(required)), required)
        await check_places(client_options(settings), changelogs, settings.topic_partitions)
        return await known_topics(admin, list(required))
    except (KafkaError, OSError, TimeoutError) as error:
        why = await why_unreachable(settings) if isinstance(error, KafkaConnectionError) else ""
        raise TopicsUnusable(f"Kafka at {','.join(settings.kafka_broker)}: {why or error}") from error
    finally:
        await admin.close()


def timelines_of(settings: Settings) -> Sequence[str]:
    """The topics that windows are filled from."""
    return [timeline(entity) for entity in settings.catalogue.entities]


async def create_changelog_again(settings: Settings, name: str) -> None:
    """Delete a changelog with all it holds and create it, empty and with another id. Raises `TopicsUnusable`."""
    admin = AIOKafkaAdminClient(**client_options(settings))
    try:
        await admin.start()
        if name in await admin.list_topics():
            response = await admin.delete_topics([name])
            for _, code, *_ in response.topic_error_codes:
                if code and for_code(code) is not UnknownTopicOrPartitionError:
                    raise TopicsUnusable(f"topic {name} cannot be deleted: {for_code(code).__name__}")
        async with asyncio.timeout(CREATION_SECONDS):
            while name in await admin.list_topics():  # noqa: ASYNC110 - only asking tells
                await asyncio.sleep(0.1)
            # Some brokers go on knowing it for a moment after they have ceased to name it.
            while not await _create(admin, [_changelog(name, settings)]):  # noqa: ASYNC110 - only asking tells
                await asyncio.sleep(0.1)
        await _wait_for(admin, {name})
    except (KafkaError, OSError, TimeoutError) as error:
        raise TopicsUnusable(f"topic {name} cannot be deleted and created again: {error!r}") from error
    finally:
        await admin.close()


def _wanted(settings: Settings, changelogs: Iterable[str]) -> Iterable[NewTopic]:
    large = {"max.message.bytes": str(LARGEST_MESSAGE_BYTES)}
    for name in (*settings.event_topics, DEAD_LETTERS):
        yield _topic(name, settings, large)
    for name in timelines_of(settings):
        yield _topic(name, settings, _bounded(settings.max_event_bytes))
    for name in changelogs:
        yield _changelog(name, settings)


def _changelog(name: str, settings: Settings) -> NewTopic:
    return _topic(name, settings, {**_bounded(MAX_PAYLOAD_BYTES), "cleanup.policy": "compact"})


def _bounded(event_bytes: int) -> Mapping[str, str]:
    return {"max.message.bytes": str(event_bytes + OVERHEAD_BYTES)}


def _topic(name: str, settings: Settings, config: Mapping[str, str]) -> NewTopic:
    # The embedded broker refuses topics with a configuration of this kind.
    allowed = {} if settings.kafka_profile == "tansu" else dict(config)
    return NewTopic(name, settings.topic_partitions, settings.topic_replication_factor, topic_configs=allowed)


async def _create(admin: AIOKafkaAdminClient, topics: list[NewTopic]) -> bool:
    """Whether all of them are new: another worker that starts at the same time may have been faster."""
    are_new = True
    response = await admin.create_topics(topics)
    for name, code, *message in response.topic_errors:
        error = for_code(code)
        if error is TopicAlreadyExistsError:
            are_new = False
        elif error is TopicAuthorizationFailedError:
            # Kafka does not tell the one from the other to whom it tells of neither.
            raise TopicsUnusable(f"topic {name}: it or the right to it is missing, and so is the right to create it")
        elif code:
            raise TopicsUnusable(f"topic {name} cannot be created: {error.__name__} {message}")
        else:
            log.info("topic created", extra={"topic": name})
    return are_new


async def _wait_for(admin: AIOKafkaAdminClient, names: Collection[str]) -> None:
    async with asyncio.timeout(CREATION_SECONDS):
        while not set(names) <= set(await admin.list_topics()):  # noqa: ASYNC110 - only asking tells
            await asyncio.sleep(0.1)
