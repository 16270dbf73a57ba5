"""Batching: calls that arrive while one batch is under way form the next batch.

A lone call never waits for company, and a busy caller pays for one batch what it would pay for one call. Nothing is
lost in between: a call returns its own outcome or raises its own error, and is cancelled when the batcher stops.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, TypeVar

from outbox.errors import Transient
from outbox.supervision import is_being_cancelled

Item = TypeVar("Item")
Result = TypeVar("Result")


#: How long a batch that was cancelled may take to end before it is cancelled again, in seconds.
CANCEL_SECONDS: Final = 0.5


class GivenUp(Transient):
    """A library gave the batch up, and nobody here had asked for it."""


class Batcher(Generic[Item, Result]):
    """Processes submitted items in their order, at most `limit` at a time and one batch at a time.

    `process` returns one outcome per item; an outcome that is an exception is raised where the item was submitted.
    What `process` itself raises is raised for every item of the batch. The number of waiting items is bounded by
    their submitters: each waits for its own. A batch that is not full
    begins no sooner than `pace_seconds` after the one before: a busy caller has fewer and fuller ones.
    """

    def __init__(
        self,
        process: Callable[[Sequence[Item]], Awaitable[Sequence[Result | Exception]]],
        *,
        limit: int,
        name: str,
        pace_seconds: float = 0.0,
    ) -> None:
        self._process = process
        self._limit = limit
        self._name = name
        self._pace_seconds = pace_seconds
        self._waiting: asyncio.Queue[tuple[Item, asyncio.Future[Result]]] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def stop(self) -> None:
        """Give up what is waiting or under way: whoever waits for it is cancelled."""
        if self._task is None:
            return
        while not self._task.done():
            # Again and again: libraries lose a cancellation that meets the end of what they wait for.
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=CANCEL_SECONDS)
        self._task = None
        while not self._waiting.empty():
            self._waiting.get_nowait()[1].cancel()

    async def submit(self, item: Item) -> Result:
        """Wait for the outcome of one item; the first one begins the processing."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name=self._name)
        outcome: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.put_nowait((item, outcome))
        return await outcome

    async def _run(self) -> None:
        began_at = -self._pace_seconds
        settled: list[tuple[tuple[Item, asyncio.Future[Result]], Result | Exception]]
        while True:
            batch = [await self._waiting.get()]
            try:
                early_seconds = began_at + self._pace_seconds - time.monotonic()
                if early_seconds > 0 and self._waiting.qsize() < self._limit - 1:
                    await asyncio.sleep(early_seconds)
                began_at = time.monotonic()
                while len(batch) < self._limit and not self._waiting.empty():
                    batch.append(self._waiting.get_nowait())
                outcomes = await self._process([item for item, _ in batch])
                settled = list(zip(batch, outcomes, strict=True))
            except asyncio.CancelledError as error:
                if is_being_cancelled():
                    for _, waiting in batch:
                        waiting.cancel()
                    raise
                settled = [(one, GivenUp(f"{self._name}: {error!r}")) for one in batch]
            except Exception as error:  # noqa: BLE001 - it belongs to those who wait
                settled = [(one, error) for one in batch]
            for (_, waiting), outcome in settled:
                _settle(waiting, outcome)


def _settle(waiting: asyncio.Future[Result], outcome: Result | Exception) -> None:
    if waiting.done():
        return
    if isinstance(outcome, Exception):
        waiting.set_exception(outcome)
    else:
        waiting.set_result(outcome)
