"""Transactions: payments that are sent in Kafka transactions, some of which are aborted, some left hanging for a while.

What is committed counts like any other event. What is aborted is in the log for ever and must be as if it had never
been sent: nobody decides on it, remembers it or buries it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from sale import Sale

#: Between two transactions.
PAUSE_SECONDS: Final = 1.0
#: The broker aborts what hangs longer; it looks every ten seconds.
TIMEOUT_SECONDS: Final = 6.0
LONGEST_SECONDS: Final = 15.0
LARGEST: Final = 6
_CLOSE_SECONDS: Final = 5.0

COMMITTED, ABORTED, HANGING = "committed", "aborted", "hanging"
_ENDS: Final = {COMMITTED: 60, ABORTED: 34, HANGING: 6}


class Transactions:
    """One transactional producer at a time. `acknowledge` is told of each record of a committed transaction."""

    def __init__(
        self, kafka: str, sales: Iterator[Sale], *, seed: int, name: str, acknowledge: Callable[[Sale], None]
    ) -> None:
        self._kafka = kafka
        self._sales = sales
        self._chance = random.Random(seed)
        self._name = name
        self._acknowledge = acknowledge
        #: Names of the events whose transactions were aborted, and how many transactions ended how.
        self.aborted: set[str] = set()
        self.ended: dict[str, int] = {}

    async def run(self, is_over: Callable[[], bool]) -> None:
        """Send until it is over; nothing hangs any more then."""
        producer: AIOKafkaProducer | None = None
        while not is_over():
            await asyncio.sleep(PAUSE_SECONDS)
            try:
                if producer is None:
                    producer = AIOKafkaProducer(
                        bootstrap_servers=self._kafka,
                        transactional_id=f"{self._name}-shop",
                        transaction_timeout_ms=round(TIMEOUT_SECONDS * 1000),
                    )
                    await producer.start()
                if await self._transact(producer, is_over) == HANGING:
                    await _close(producer)
                    producer = None
            except (KafkaError, OSError):
                # Whether it is committed is unknown; the log will tell.
                await _close(producer)
                producer = None
        await _close(producer)

    async def _transact(self, producer: AIOKafkaProducer, is_over: Callable[[], bool]) -> str:
        end = self._chance.choices(list(_ENDS), list(_ENDS.values()))[0]
        sales = [next(self._sales) for _ in range(self._chance.randint(1, LARGEST))]
        await producer.begin_transaction()
        for sale in sales:
            await producer.send_and_wait(sale.topic, key=sale.key, value=sale.value, headers=list(sale.headers))
        if end == COMMITTED:
            await producer.commit_transaction()
            for sale in sales:
                self._acknowledge(sale)
        else:
            if end == HANGING:
                await self._hang(is_over)
            self._note_aborted(sales)
            # The broker may have done so before.
            with suppress(KafkaError):
                await producer.abort_transaction()
        self.ended[end] = self.ended.get(end, 0) + 1
        return end

    async def _hang(self, is_over: Callable[[], bool]) -> None:
        left = self._chance.uniform(1.0, LONGEST_SECONDS)
        while left > 0 and not is_over():
            await asyncio.sleep(PAUSE_SECONDS)
            left -= PAUSE_SECONDS

    def _note_aborted(self, sales: Sequence[Sale]) -> None:
        self.aborted.update(sale.name for sale in sales if sale.name is not None)


async def _close(producer: Any) -> None:
    if producer is not None:
        with suppress(TimeoutError, KafkaError, OSError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await producer.stop()
