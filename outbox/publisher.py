"""Publisher: sends a batch to Kafka and says of each message whether Kafka has it.

An own idempotent producer (`acks=all`): Faust's is not idempotent, and its batches may be lost with a failed broker.
An idempotent batch never expires by itself, so every batch is bounded here; after a time-out or a producer error the
producer is replaced, because its sequence numbers can no longer be trusted (aiokafka issue 1017). Messages whose fate
is unknown then are sent again: at least once, with the same id.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    IllegalStateError,
    InvalidTopicError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
)

from outbox.errors import Permanent, Transient
from outbox.records import Message

log = logging.getLogger(__name__)

#: What Kafka will refuse however often it is asked.
_REFUSED = (
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    InvalidTopicError,
    TopicAuthorizationFailedError,
)


class NotPublished(Transient):
    """Kafka did not acknowledge in time; whether it has the message is unknown."""


class Refused(Permanent):
    """Kafka will never take this message."""


class Publisher:
    """Owns one idempotent producer.

    `options` are aiokafka's (brokers, security). `timeout_seconds` bounds each batch from send to acknowledgement.
    """

    def __init__(self, options: Mapping[str, Any], *, timeout_seconds: float = 20.0) -> None:
        self._options = options
        self._timeout_seconds = timeout_seconds
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()

    async def publish(self, messages: Sequence[Message]) -> list[NotPublished | Refused | None]:
        """Send in order and wait for every acknowledgement.

        Returns one outcome per message: None (Kafka has it) or the error. Never raises for a single message.
        """
        outcomes: list[NotPublished | Refused | None] = [NotPublished("not sent")] * len(messages)
        try:
            async with asyncio.timeout(self._timeout_seconds):
                producer = await self._ready()
                await _send(producer, messages, outcomes)
        except (TimeoutError, KafkaError, OSError) as error:
            log.warning("publishing failed, the producer is replaced: %r", error)
        if any(isinstance(outcome, NotPublished) for outcome in outcomes):
            await self._replace()
        return outcomes

    async def stop(self) -> None:
        """Close the producer; batches under way are given up."""
        await self._replace()

    async def _ready(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._producer is None:
                producer = AIOKafkaProducer(**{"acks": "all", "enable_idempotence": True, **self._options})
                try:
                    await producer.start()
                except BaseException:
                    await producer.stop()
                    raise
                self._producer = producer
            return self._producer

    async def _replace(self) -> None:
        producer, self._producer = self._producer, None
        if producer is None:
            return
        try:
            async with asyncio.timeout(2.0):
                await producer.stop()
        except (TimeoutError, KafkaError, OSError, IllegalStateError) as error:
            log.info("the old producer did not stop cleanly: %r", error)


async def _send(
    producer: AIOKafkaProducer, messages: Sequence[Message], outcomes: list[NotPublished | Refused | None]
) -> None:
    """Queue all, then wait for all; `outcomes` is filled as they arrive, so a time-out keeps what is known."""
    sent: dict[asyncio.Future[Any], int] = {}
    for position, message in enumerate(messages):
        try:
            future = await producer.send(
                message.topic, key=message.key, value=message.value, headers=list(message.headers)
            )
        except _REFUSED as error:
            outcomes[position] = Refused(f"{type(error).__name__}: {error}")
        else:
            sent[future] = position
    pending = set(sent)
    while pending:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for future in done:
            outcomes[sent[future]] = _outcome(future)


def _outcome(future: asyncio.Future[Any]) -> NotPublished | Refused | None:
    error = future.exception()
    if error is None:
        return None
    if isinstance(error, _REFUSED):
        return Refused(f"{type(error).__name__}: {error}")
    return NotPublished(f"{type(error).__name__}: {error}")
