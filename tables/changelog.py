"""Changelog: sends what was written to the windows of one table to Kafka, as batches.

Of one partition one batch is under way at a time, and what comes meanwhile makes up the next one: so the changelog has
the entries in the order they were written, whatever is tried again, and a busy worker sends few and large batches.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from aiokafka.errors import MessageSizeTooLargeError

from tables.lapse import Lapse

if TYPE_CHECKING:
    from aiokafka import AIOKafkaProducer

#: A slot's key and what it holds now.
Write = tuple[bytes, bytes]
#: A slot's key and what is removed from it.
Removal = tuple[bytes, Lapse]

#: What is to be sent, and who waits for it.
_Waiting = tuple[Sequence[Write] | Sequence[Removal], asyncio.Future[None]]

#: The most records of one batch: with events of some hundred bytes it stays well below 1 MiB, the largest batch that
#: brokers take by default.
BATCH_RECORDS: Final = 1000


class Changelog:
    """The changelog topic of one table.

    `producer` gives aiokafka's producer that is used now. `on_stored` is told the partition, the offset of the first
    record and the number of records of each batch that Kafka has.
    """

    def __init__(
        self,
        topic: Callable[[], str],
        producer: Callable[[], AIOKafkaProducer],
        *,
        on_stored: Callable[[int, int, int], None],
    ) -> None:
        self._topic = topic
        self._producer = producer
        self._on_stored = on_stored
        self._waiting: dict[int, list[_Waiting]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._most = BATCH_RECORDS

    def send(self, partition: int, writes: Sequence[Write] | Sequence[Removal]) -> asyncio.Future[None]:
        """Send these behind all before; done when Kafka has them, failed when it never will."""
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.get(partition)
        if waiting is not None:
            waiting.append((writes, stored))
            return stored
        self._waiting[partition] = [(writes, stored)]
        task = asyncio.create_task(self._run(partition), name=f"changelog {partition}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return stored

    async def _run(self, partition: int) -> None:
        try:
            while waiting := self._waiting[partition]:
                self._waiting[partition] = []
                error = await self._failure(partition, [write for writes, _ in waiting for write in writes])
                _settle(waiting, error)
                if isinstance(error, asyncio.CancelledError) and _is_being_cancelled():
                    raise error
        finally:
            _settle(self._waiting.pop(partition), asyncio.CancelledError())

    async def _failure(self, partition: int, writes: Sequence[Write | Removal]) -> BaseException | None:
        """What kept these from being stored; aiokafka lets out cancellations of its own as well."""
        try:
            await self._store(partition, writes)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - it belongs to those who wait
            return error
        return None

    async def _store(self, partition: int, writes: Sequence[Write | Removal]) -> None:
        start = 0
        while start < len(writes):
            producer = self._producer()
            batch, count = self._fill(producer.create_batch(), writes[start : start + self._most])
            try:
                sent = await (await producer.send_batch(batch, self._topic(), partition=partition))
            except MessageSizeTooLargeError:
                if count == 1:
                    raise
                # This broker takes less than others: it is told again in smaller pieces.
                self._most = count // 2
                continue
            self._on_stored(partition, sent.offset, count)
            start += count

    @staticmethod
    def _fill(batch: Any, writes: Sequence[Write | Removal]) -> tuple[Any, int]:
        """As many as the batch takes: the first one always."""
        count = 0
        for key, value in writes:
            if value.__class__ is Lapse:
                added = batch.append(timestamp=None, key=key, value=None, headers=value.headers)
            else:
                added = batch.append(timestamp=None, key=key, value=value)
            if added is None:
                break
            count += 1
        batch.close()
        return batch, count


def _settle(
    waiting: Sequence[tuple[Sequence[Write] | Sequence[Removal], asyncio.Future[None]]], error: BaseException | None
) -> None:
    for _, stored in waiting:
        if stored.done():
            continue
        if error is None:
            stored.set_result(None)
        elif isinstance(error, asyncio.CancelledError):
            stored.cancel()
        else:
            stored.set_exception(error)


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
