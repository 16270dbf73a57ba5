"""Load: a trade that goes on whatever breaks (`stream`), as producers send it.

They are idempotent: what was acknowledged is in Kafka once, and only that is counted. Batches are compressed with every
codec there is, one for each key, so that its order is kept.
"""

from __future__ import annotations

import asyncio
import threading
import time
import zlib
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from lenient import odd_writing
from sale import Failure, Sale
from stream import singles, stream
from trades import SHOP, Trade
from transactions import Transactions
from waiting import PATIENCE_SECONDS

#: All that Kafka knows.
CODECS: Final = (None, "gzip", "snappy", "lz4", "zstd")
_POLL_SECONDS: Final = 0.5


def codec_of(key: bytes) -> str | None:
    """How a batch with this key is compressed; a producer for each codec keeps the order of a key."""
    return CODECS[zlib.crc32(key) % len(CODECS)]


@dataclass
class Acknowledged:
    """What Kafka said it has."""

    #: Names of the events.
    ids: set[str] = field(default_factory=set)
    #: The decisions that have to be made on them: agent and name of the event.
    due: set[tuple[str, str]] = field(default_factory=set)
    failures: list[Failure] = field(default_factory=list)
    copies: int = 0
    broken: int = 0
    #: Sent, and nobody knows.
    unsure: int = 0

    @property
    def to_refund(self) -> dict[str, str]:
        """The orders that were made to fail, and the payment to be given back for it, as far as all of it is sent."""
        return self._to_come("refund")

    @property
    def to_quarantine(self) -> dict[str, str]:
        """The repositories that were made to fail, and the test to be quarantined, as far as all of it is sent."""
        return self._to_come("quarantine")

    def _to_come(self, effect: str) -> dict[str, str]:
        failures = [one for one in self.failures if one.effect == effect and one.events <= self.ids]
        return {one.entity_id: one.target for one in failures}


class Load:
    """Sends in a thread of its own for as long as the block lasts, or until `limit` records were sent.

    With `transactional`, transactions are committed and aborted beside it.
    """

    def __init__(
        self,
        kafka: str,
        *,
        seed: int,
        name: str,
        trade: Trade = SHOP,
        per_second: float = 50.0,
        limit: int | None = None,
        transactional: bool = False,
    ) -> None:
        self.acknowledged = Acknowledged()
        #: Records Kafka has taken or refused.
        self.answers = 0
        self._kafka = kafka
        self._sales = stream(trade.draw, trade.story, trade.topic, seed=seed, name=name, now=datetime.now(UTC))
        self._pause_seconds = 1 / per_second
        self._limit = limit
        self._pending: set[asyncio.Future[Any]] = set()
        self._stopping = threading.Event()
        self._abandoned = threading.Event()
        self._is_over = threading.Event()
        #: Events in Kafka transactions beside all others, when they are wanted.
        self.transactions: Transactions | None = None
        if transactional:
            self.transactions = Transactions(
                kafka, singles(trade.draw, seed, f"{name}-t"), seed=seed, name=name, acknowledge=self._acknowledge
            )
        # Nothing waits for it at the end of the process, whatever it waits for itself.
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            # The broker may be gone for good: what is under way is nobody's business any more.
            self._abandoned.set()
        self.stop()

    def stop(self) -> None:
        """Send nothing more and wait for what is under way; the broker must be there."""
        self._stopping.set()
        self.wait()

    def wait(self) -> None:
        """Wait until `limit` records were sent and acknowledged, for as long as any is."""
        seen, moved_at = -1, time.monotonic()
        while self._thread.is_alive():
            self._thread.join(_POLL_SECONDS)
            if self.answers != seen:
                seen, moved_at = self.answers, time.monotonic()
            assert time.monotonic() - moved_at < PATIENCE_SECONDS, (
                f"Kafka has acknowledged nothing for {PATIENCE_SECONDS:.0f} s after {seen} records,"
                f" {len(self._pending)} are under way"
            )

    def _run(self) -> None:
        with odd_writing():
            asyncio.run(self._send())

    async def _send(self) -> None:
        sent = 0
        producers: dict[str | None, AIOKafkaProducer] = {}
        transacting = asyncio.create_task(self._transact())
        while not self._stopping.is_set() and sent != self._limit:
            try:
                sale = next(self._sales)
                await self._put(await self._producer(producers, codec_of(sale.key)), sale)
                sent += 1
            except (KafkaError, OSError):
                await _close(producers)
            await asyncio.sleep(self._pause_seconds)
        self._is_over.set()
        while not self._abandoned.is_set() and (self._pending or not transacting.done()):
            await asyncio.wait(self._pending or {transacting}, timeout=_POLL_SECONDS)
        transacting.cancel()
        await asyncio.gather(transacting, return_exceptions=True)
        await _close(producers)

    async def _transact(self) -> None:
        if self.transactions is not None:
            await self.transactions.run(self._is_over.is_set)

    async def _producer(self, producers: dict[str | None, AIOKafkaProducer], codec: str | None) -> AIOKafkaProducer:
        if codec not in producers:
            options = {"acks": "all", "enable_idempotence": True, "compression_type": codec}
            producers[codec] = AIOKafkaProducer(bootstrap_servers=self._kafka, **options)
            await producers[codec].start()
        return producers[codec]

    async def _put(self, producer: AIOKafkaProducer, sale: Sale) -> None:
        self.acknowledged.unsure += 1
        future = await producer.send(
            sale.topic, key=sale.key, value=sale.value, headers=list(sale.headers), timestamp_ms=sale.stamp_ms
        )
        self._pending.add(future)
        future.add_done_callback(lambda done: self._on_answer(done, sale))

    def _on_answer(self, done: asyncio.Future[Any], sale: Sale) -> None:
        self._pending.discard(done)
        self.answers += 1
        if done.cancelled() or done.exception() is not None:
            return
        self.acknowledged.unsure -= 1
        self._acknowledge(sale)

    def _acknowledge(self, sale: Sale) -> None:
        counts = self.acknowledged
        if sale.name is None:
            counts.broken += 1
        elif sale.name in counts.ids:
            counts.copies += 1
        else:
            counts.ids.add(sale.name)
            counts.due.update((agent, sale.name) for agent in sale.deciders)
            if sale.failure is not None:
                counts.failures.append(sale.failure)


async def _close(producers: dict[str | None, AIOKafkaProducer]) -> None:
    while producers:
        _, producer = producers.popitem()
        with suppress(TimeoutError, KafkaError, OSError):
            async with asyncio.timeout(5):
                await producer.stop()
