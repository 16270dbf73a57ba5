"""Places: how many requests a worker has under way at a time, whatever models they ask; a bounded queue before them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from agents.model.errors import BrainUnavailable, Unavailable


class Places:
    """`concurrency` places, for which `queue` requests may wait. Raises `BrainUnavailable` (busy)."""

    def __init__(self, *, concurrency: int, queue: int) -> None:
        self._places = asyncio.Semaphore(concurrency)
        self._queue = queue
        self._waiting = 0

    def check(self) -> None:
        """Raise when no place is free and too many wait for one."""
        if self._places.locked() and self._waiting >= self._queue:
            raise BrainUnavailable(Unavailable.BUSY, "too many wait for a place")

    @asynccontextmanager
    async def place(self, until: float) -> AsyncIterator[None]:
        """One of the places, when it becomes free before `until` (monotonic)."""
        self._waiting += 1
        try:
            async with asyncio.timeout(until - time.monotonic()):
                await self._places.acquire()
        except TimeoutError:
            raise BrainUnavailable(Unavailable.BUSY, "no place became free in time") from None
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._places.release()
