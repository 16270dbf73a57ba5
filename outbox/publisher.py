"""Publisher: sends a batch to Kafka and says of each message whether Kafka has it.

An own idempotent producer (`acks=all`): Faust's is not idempotent, and its batches may be lost with a failed broker.
An idempotent batch never expires by itself, so every call is bounded here; after a time-out or a producer error the
producer is replaced, because its sequence numbers can no longer be trusted (aiokafka issue 1017). Calls still under way
on the old one end by themselves. Messages whose fate is unknown then are sent again: at least once, with the same id.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

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


#: The longest a call takes from send to acknowledgement, in seconds.
PUBLISH_SECONDS: Final = 8.0
#: How long a producer may take to close, in seconds, and then once more to give up what it waits for.
CLOSE_SECONDS: Final = 2.0


class NotPublished(Transient):
    """Kafka did not acknowledge in time; whether it has the message is unknown."""


class Refused(Permanent):
    """Kafka will never take this message."""


#: None: Kafka has it.
Outcome = NotPublished | Refused | None


class Publisher:
    """Owns one idempotent producer, shared by concurrent calls. `options` are aiokafka's (brokers, security)."""

    def __init__(self, options: Mapping[str, Any], *, timeout_seconds: float = PUBLISH_SECONDS) -> None:
        self._options = {"acks": "all", "enable_idempotence": True, **options}
        self._timeout_seconds = timeout_seconds
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()
        self._calls: defaultdict[AIOKafkaProducer, set[asyncio.Future[None]]] = defaultdict(set)
        self._retiring: set[asyncio.Task[None]] = set()

    async def publish(self, messages: Sequence[Message]) -> list[Outcome]:
        """Send in order and wait for every acknowledgement, `timeout_seconds` at most.

        Returns one outcome per message and never raises for a single message.
        """
        outcomes: list[Outcome] = [NotPublished("not sent")] * len(messages)
        try:
            async with asyncio.timeout(self._timeout_seconds):
                producer = await self._ready()
                with self._under_way(producer):
                    await send(producer, messages, outcomes)
        except (TimeoutError, KafkaError, OSError) as error:
            log.warning("publishing failed: %r", error)
        if any(isinstance(outcome, NotPublished) for outcome in outcomes):
            self._retire()
        return outcomes

    async def publish_lane(self, _lane: int, _epoch: int, batch: Mapping[int, Message]) -> Mapping[int, Outcome]:
        """Send a lane's batch; see `outbox.relay.LanePublisher`."""
        return dict(zip(batch, await self.publish(list(batch.values())), strict=True))

    async def stop(self) -> None:
        """Close the producer once nothing is under way on it."""
        self._retire()
        await asyncio.gather(*self._retiring)

    async def _ready(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._producer is None:
                producer = AIOKafkaProducer(**self._options)
                try:
                    await producer.start()
                except BaseException:
                    await producer.stop()
                    raise
                self._producer = producer
            return self._producer

    @contextmanager
    def _under_way(self, producer: AIOKafkaProducer) -> Iterator[None]:
        """Keep the producer from being closed meanwhile."""
        call: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._calls[producer].add(call)
        try:
            yield
        finally:
            self._calls[producer].discard(call)
            call.set_result(None)

    def _retire(self) -> None:
        """Use the producer no more, and close it when nothing is under way on it."""
        producer, self._producer = self._producer, None
        if producer is not None:
            task = asyncio.create_task(self._close_when_idle(producer), name="producer retirement")
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)

    async def _close_when_idle(self, producer: AIOKafkaProducer) -> None:
        await asyncio.gather(*self._calls[producer])
        del self._calls[producer]
        await close(producer)


async def close(producer: AIOKafkaProducer) -> None:
    """Close a producer, whatever state it is in; what it has not sent within `CLOSE_SECONDS` it never sends.

    aiokafka's `stop` waits for ever for batches Kafka does not take, and leaves its tasks behind when it is
    interrupted: they would publish on their own once the broker is back.
    """
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await producer.stop()
    except (TimeoutError, KafkaError, OSError, IllegalStateError) as error:
        log.info("a producer did not close cleanly: %r", error)
        # Cancelled once, the sender waits for its requests; one of a transaction looks for its coordinator for ever.
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await producer._sender.close()  # noqa: SLF001
        await producer.client.close()


async def send(
    producer: AIOKafkaProducer, messages: Sequence[Message], outcomes: list[NotPublished | Refused | None]
) -> None:
    """Send the messages of each topic in order; a topic that is not there holds up no other.

    `outcomes` is filled as they arrive, so a time-out keeps what is known.
    """
    by_topic: dict[str, list[int]] = {}
    for position, message in enumerate(messages):
        by_topic.setdefault(message.topic, []).append(position)
    async with asyncio.TaskGroup() as topics:
        for positions in by_topic.values():
            topics.create_task(_send_topic(producer, messages, positions, outcomes))


async def _send_topic(
    producer: AIOKafkaProducer,
    messages: Sequence[Message],
    positions: Sequence[int],
    outcomes: list[NotPublished | Refused | None],
) -> None:
    """Queue all, then wait for all."""
    sent: dict[asyncio.Future[Any], int] = {}
    for position in positions:
        message = messages[position]
        try:
            future = await producer.send(
                message.topic, key=message.key, value=message.value, headers=list(message.headers)
            )
        except _REFUSED as error:
            outcomes[position] = Refused(f"{type(error).__name__}: {error}")
        except (KafkaError, OSError) as error:
            # Nothing behind it may overtake it.
            outcomes[position] = NotPublished(f"{type(error).__name__}: {error}")
            break
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
