"""Publisher: sends a batch to Kafka and says of each message whether Kafka has it.

An own idempotent producer (`acks=all`): Faust's is not idempotent, and its batches may be lost with a failed broker.
An idempotent batch never expires by itself, so every call is bounded here; after a time-out or a batch that failed the
producer is replaced, because its sequence numbers can no longer be trusted (aiokafka issue 1017). Calls still under way
on the old one end by themselves. Messages whose fate is unknown then are sent again: at least once, with the same id.

Calls made at the same moment, as by the lanes of one look, share their batches; each ends when its own messages are
settled.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import IllegalStateError, KafkaError

from outbox.outcomes import NOT_SENT, NotPublished, Outcome, outcome_of
from outbox.records import Message
from outbox.sending import ANY_PARTITIONS, BatchLimits, Partitions, Sending

log = logging.getLogger(__name__)

#: The longest a call takes from send to acknowledgement, in seconds.
PUBLISH_SECONDS: Final = 8.0
#: How long a producer may take to close, in seconds, and then once more to give up what it waits for.
CLOSE_SECONDS: Final = 2.0
#: aiokafka's default of `max_request_size`, in bytes.
_DEFAULT_REQUEST_BYTES: Final = 1024 * 1024


class _Call:
    """Messages of one call, and what became of them; it ends as soon as that is known for all."""

    def __init__(self, messages: Sequence[Message]) -> None:
        self.messages = messages
        self.outcomes: list[Outcome] = [NOT_SENT] * len(messages)
        self.settled: asyncio.Future[list[Outcome]] = asyncio.get_running_loop().create_future()
        self._open = len(messages)

    def settle(self, position: int, outcome: Outcome) -> None:
        """Note an outcome; what was only not published may still be tried again."""
        self.outcomes[position] = outcome
        self._open -= type(outcome) is not NotPublished
        if not self._open:
            self._end()

    def end(self, failure: Outcome) -> None:
        """End the call, whose unsettled messages met this failure if they met no other."""
        self.outcomes = [failure if outcome is NOT_SENT else outcome for outcome in self.outcomes]
        self._end()

    def _end(self) -> None:
        if not self.settled.done():  # as it is when the caller was cancelled
            self.settled.set_result(self.outcomes)


class Publisher:
    """Owns one idempotent producer, shared by concurrent calls.

    `options` are aiokafka's (brokers, security), `partitions` those that topics must have to be written to.
    """

    def __init__(
        self,
        options: Mapping[str, Any],
        *,
        partitions: Partitions = ANY_PARTITIONS,
        timeout_seconds: float = PUBLISH_SECONDS,
    ) -> None:
        self._options = {"acks": "all", "enable_idempotence": True, **options}
        self._partitions = partitions
        self._timeout_seconds = timeout_seconds
        self._limits = limits_of(options)
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()
        self._calls: defaultdict[AIOKafkaProducer, set[asyncio.Future[None]]] = defaultdict(set)
        self._retiring: set[asyncio.Task[None]] = set()
        self._gathered: list[_Call] = []
        self._running: set[asyncio.Task[None]] = set()

    async def publish(self, messages: Sequence[Message]) -> list[Outcome]:
        """Send in order and wait for every acknowledgement, `timeout_seconds` at most.

        Returns one outcome per message and never raises for a single message.
        """
        if not messages:
            return []
        call = _Call(messages)
        self._gathered.append(call)
        if len(self._gathered) == 1:
            task = asyncio.create_task(self._publish_gathered(), name="publishing")
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return await call.settled

    async def publish_lane(self, _lane: int, _epoch: int, batch: Mapping[int, Message]) -> Mapping[int, Outcome]:
        """Send a lane's batch; see `outbox.relay.LanePublisher`."""
        return dict(zip(batch, await self.publish(list(batch.values())), strict=True))

    async def stop(self) -> None:
        """Close the producer once nothing is under way on it."""
        await asyncio.gather(*self._running)
        self._retire(self._producer)
        await asyncio.gather(*self._retiring, return_exceptions=True)

    async def _publish_gathered(self) -> None:
        calls, self._gathered = self._gathered, []
        positions = [(call, position) for call in calls for position in range(len(call.messages))]
        failure: Outcome = NOT_SENT
        try:
            async with asyncio.timeout(self._timeout_seconds):
                while await self._attempt(positions):
                    pass
        except (TimeoutError, KafkaError, OSError) as error:
            log.warning("publishing failed: %r", error)
            failure = outcome_of(error)
        finally:
            for call in calls:
                call.end(failure)

    async def _attempt(self, positions: Sequence[tuple[_Call, int]]) -> bool:
        """Send what is not settled; returns whether another attempt at the rest is worth it at once."""
        waiting = [(call, position) for call, position in positions if type(call.outcomes[position]) is NotPublished]
        if not waiting:
            return False

        def settle(indexes: Sequence[int], outcome: Outcome) -> None:
            for index in indexes:
                call, position = waiting[index]
                call.settle(position, outcome)

        producer = await self._ready()
        messages = [call.messages[position] for call, position in waiting]
        sending = Sending(producer, messages, self._limits, partitions=self._partitions, on_settled=settle)
        is_over = False
        try:
            with self._under_way(producer):
                await sending.run()
            is_over = True
        finally:
            if sending.needs_new_producer or not is_over:
                self._retire(producer)
        return sending.may_go_on

    async def _ready(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._producer is None:
                producer = AIOKafkaProducer(**self._options)
                try:
                    await producer.start()
                except BaseException:
                    await close(producer)
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

    def _retire(self, producer: AIOKafkaProducer | None) -> None:
        """Use this producer no more, and close it when nothing is under way on it."""
        if producer is None or producer is not self._producer:
            return
        self._producer = None
        task = asyncio.create_task(self._close_when_idle(producer), name="producer retirement")
        self._retiring.add(task)
        task.add_done_callback(self._retired)

    def _retired(self, task: asyncio.Task[None]) -> None:
        self._retiring.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("a producer that is not used any more did not close: %r", error)

    async def _close_when_idle(self, producer: AIOKafkaProducer) -> None:
        await asyncio.gather(*self._calls[producer])
        del self._calls[producer]
        await close(producer)


def limits_of(options: Mapping[str, Any]) -> BatchLimits:
    """What a producer with these options of aiokafka can send."""
    return BatchLimits(options.get("max_request_size", _DEFAULT_REQUEST_BYTES))


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
    finally:
        _give_up_batches(producer)


def _give_up_batches(producer: AIOKafkaProducer) -> None:
    """End the task in which aiokafka waits for batches that nobody sends any more: one more for each outage.

    What it has to say about a transaction that failed was told to whoever published; unasked for, Python would log it.
    """
    accumulator, transactions = producer._message_accumulator, producer._txn_manager  # noqa: SLF001
    for batch in [*itertools.chain(*accumulator._batches.values()), *accumulator._pending_batches]:  # noqa: SLF001
        batch.future.cancel()
    ended = None if transactions is None else transactions._transaction_waiter  # noqa: SLF001
    if ended is not None and ended.done() and not ended.cancelled():
        ended.exception()
