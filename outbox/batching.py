"""Batching: calls that arrive while one batch is under way form the next batch.

A lone call never waits for company, and a busy caller pays for one batch what it would pay for one call. Nothing is
lost in between: a call returns its own outcome or raises its own error, and is cancelled when the batcher stops.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, TypeVar, cast

from outbox.errors import Transient
from outbox.supervision import is_being_cancelled

Item = TypeVar("Item")
Result = TypeVar("Result")


#: Items of a batch behind which the next one waits for the whole pace; behind one of fewer items so much less of it.
#: Own choice: what comes one by one does not wait, and what comes ten at a time is many batches if nobody does.
PACED_ITEMS: Final = 10

#: How long a batch that was cancelled may take to end before it is cancelled again, in seconds.
CANCEL_SECONDS: Final = 0.5


class GivenUp(Transient):
    """A library gave the batch up, and nobody here had asked for it."""


class _Call(Generic[Result]):
    """Items submitted together, and what became of each; `done` as soon as that is known of all."""

    def __init__(self, length: int) -> None:
        self.outcomes: list[Result | Exception | None] = [None] * length
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._open = length

    def settle(self, position: int, outcome: Result | Exception) -> None:
        """Note an outcome; of a call whose caller has gone as well."""
        self.outcomes[position] = outcome
        self._open -= 1
        if not self._open and not self.done.done():
            self.done.set_result(None)


#: An item, its call and its position there.
_Waiting = tuple[Item, _Call[Result], int]


class Batcher(Generic[Item, Result]):
    """Processes submitted items in their order, at most `limit` at a time and one batch at a time.

    `process` returns one outcome per item; what it raises itself is the outcome of every item of the batch. The number
    of waiting items is bounded by their submitters: each waits for its own. A batch that is not full begins no sooner
    than `pace_seconds` after one of `PACED_ITEMS` or more, and sooner after a smaller one: a busy caller has fewer and
    fuller ones, and nobody else waits longer than for what is under way.
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
        self._waiting: deque[_Waiting[Item, Result]] = deque()
        self._arrived = asyncio.Event()
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
        while self._waiting:
            self._waiting.popleft()[1].done.cancel()

    async def submit(self, item: Item) -> Result:
        """Wait for the outcome of one item; one that is an exception is raised."""
        [outcome] = await self.submit_all([item])
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def submit_all(self, items: Sequence[Item]) -> Sequence[Result | Exception]:
        """Wait for the outcomes of items, in their order; the first ones begin the processing."""
        if not items:
            return []
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name=self._name)
        call: _Call[Result] = _Call(len(items))
        self._waiting.extend((item, call, position) for position, item in enumerate(items))
        self._arrived.set()
        await call.done
        return cast("list[Result | Exception]", call.outcomes)

    async def _run(self) -> None:
        not_before = 0.0
        settled: list[tuple[_Waiting[Item, Result], Result | Exception]]
        while True:
            await self._arrived.wait()
            early_seconds = not_before - time.monotonic()
            if early_seconds > 0 and len(self._waiting) < self._limit:
                await asyncio.sleep(early_seconds)
            batch = [self._waiting.popleft() for _ in range(min(self._limit, len(self._waiting)))]
            not_before = time.monotonic() + self._pace_seconds * min(1.0, len(batch) / PACED_ITEMS)
            if not self._waiting:
                self._arrived.clear()
            try:
                settled = list(zip(batch, await self._process([item for item, _, _ in batch]), strict=True))
            except asyncio.CancelledError as error:
                if is_being_cancelled():
                    for _, call, _ in batch:
                        call.done.cancel()
                    raise
                settled = [(one, GivenUp(f"{self._name}: {error!r}")) for one in batch]
            except Exception as error:  # noqa: BLE001 - it belongs to those who wait
                settled = [(one, error) for one in batch]
            for (_, call, position), outcome in settled:
                call.settle(position, outcome)
