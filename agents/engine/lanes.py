"""Lanes: jobs of one key run one after another, jobs of different keys side by side.

A job must not raise: a lane has nobody to tell. The number of jobs is bounded by whoever submits them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import NamedTuple

Job = Callable[[], Awaitable[None]]


class Depths(NamedTuple):
    """How many lanes there are, their jobs that have not ended, and those of the fullest one."""

    lanes: int
    jobs: int
    deepest: int


class Lanes:
    """A queue and, while it is not empty, a task for each key."""

    def __init__(self) -> None:
        self._queues: dict[str, deque[Job]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._crowded: dict[str, tuple[int, asyncio.Event]] = {}

    def submit(self, key: str, job: Job) -> None:
        """Run `job` after every job submitted earlier for `key`."""
        queue = self._queues.get(key)
        if queue is not None:
            queue.append(job)
            if key in self._crowded:
                bound, crowded = self._crowded[key]
                if len(queue) > bound:
                    crowded.set()
            return
        self._queues[key] = deque([job])
        task = asyncio.create_task(self._run(key), name=f"lane {key}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def depth(self, key: str) -> int:
        """Jobs of `key` that have not ended."""
        return len(self._queues.get(key, ()))

    def depths(self) -> Depths:
        """How much waits here, in all lanes."""
        jobs = [len(queue) for queue in self._queues.values()]
        return Depths(lanes=len(jobs), jobs=sum(jobs), deepest=max(jobs, default=0))

    def crowded(self, key: str, bound: int) -> asyncio.Event:
        """For the job of `key` that runs now: set as soon as more than `bound` jobs of `key` have not ended."""
        crowded = asyncio.Event()
        self._crowded[key] = bound, crowded
        if self.depth(key) > bound:
            crowded.set()
        return crowded

    async def cancel(self) -> None:
        """Stop every lane where it stands."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self, key: str) -> None:
        queue = self._queues[key]
        while queue:
            await queue[0]()
            queue.popleft()
            self._crowded.pop(key, None)
        del self._queues[key]
