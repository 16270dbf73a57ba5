"""Supervision: what is meant to run in the background for ever, does.

A task that ends is started again, whether it raised, returned, or was cancelled by nobody here (libraries let such
cancellations out). Each kind of failure is logged once a minute at most, and for a while it can be asked for
(`failing`), so that readiness names it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from outbox.backoff import Backoff
from outbox.errors import Transient
from outbox.troubles import WELL_SECONDS, Troubles, described

log = logging.getLogger(__name__)

#: How often the same failure of a task is logged, in seconds.
LOG_SECONDS: Final = 60.0


class EndedItself(Transient):
    """The task ended, and nobody had asked it to."""


@dataclass(slots=True)
class _Logged:
    text: str
    at: float
    unlogged: int = 0


class Supervisor:
    """Runs background tasks until it is stopped. The names are for people: the log, readiness."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []
        self._logged: dict[str, _Logged] = {}
        self._troubles = Troubles()

    def start(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Keep `run`, which is meant never to end, running. The event loop must be running."""
        self._tasks.append(asyncio.create_task(self._keep_running(name, run), name=name))

    def every(self, seconds: float, name: str, act: Callable[[], Awaitable[None]]) -> None:
        """Act again and again, so long after the time before; after a failure it acts again as well."""

        async def repeat() -> None:
            while True:
                await asyncio.sleep(seconds)
                await act()

        self.start(name, repeat)

    @property
    def is_running(self) -> bool:
        """Whether anything was started and not stopped."""
        return bool(self._tasks)

    async def stop(self) -> None:
        """Cancel every task and wait until it has ended."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def failing(self) -> Mapping[str, str]:
        """The tasks that failed lately, and why."""
        return self._troubles.current()

    async def _keep_running(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        backoff = Backoff()
        while True:
            began_at = time.monotonic()
            try:
                await run()
                self._failed(name, EndedItself("it ended, and nobody had asked it to"))
            except asyncio.CancelledError as error:
                if is_being_cancelled():
                    raise
                self._failed(name, error)
            except Exception as error:  # noqa: BLE001 - whatever it is, the task has to go on
                self._failed(name, error)
            if time.monotonic() - began_at >= WELL_SECONDS:
                backoff.reset()
            await backoff.wait()

    def _failed(self, name: str, error: BaseException) -> None:
        self._troubles.note(name, error)
        text, now = described(error), time.monotonic()
        before = self._logged.get(name)
        if before is not None and before.text == text and now - before.at < LOG_SECONDS:
            before.unlogged += 1
            return
        again = "" if before is None or not before.unlogged else f" (and {before.unlogged} times since the last line)"
        log.error("%s failed and starts again%s: %s", name, again, text, exc_info=error)
        self._logged[name] = _Logged(text, now)


def is_being_cancelled() -> bool:
    """Whether somebody has cancelled the current task; if not, a CancelledError is a library's own failure."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
