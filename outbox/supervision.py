"""Supervision: what is meant to run in the background for ever, does.

A task that ends is started again, whether it raised, returned, or was cancelled by nobody here (libraries let such
cancellations out). Each kind of failure is logged once a minute at most, and for a while it can be asked for
(`failing`), so that readiness names it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from outbox.backoff import Backoff
from outbox.errors import Transient
from outbox.troubles import WELL_SECONDS, Troubles, described

log = logging.getLogger(__name__)

#: How often the same failure of a task is logged, in seconds.
LOG_SECONDS: Final = 60.0
#: How long a task that was cancelled may take to end before it is cancelled again, in seconds: longer than what it has
#: to clean up takes while everything answers (own choice).
CANCEL_SECONDS: Final = 5.0


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
        running = set(tasks)
        while running:
            # Again and again: libraries lose a cancellation that meets the end of what they wait for.
            for task in running:
                task.cancel()
            _, running = await asyncio.wait(running, timeout=CANCEL_SECONDS)

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
    return cancellations() > 0


def cancellations() -> int:
    """How often somebody has cancelled the current task."""
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()


def raise_newer(before: int) -> None:
    """Raise a cancellation that came since there were so many: a library has lost it.

    `asyncio.wait_for` of Python 3.11 returns as if nothing had been asked when what it waits for ends at that moment.
    """
    if cancellations() > before:
        raise asyncio.CancelledError


@contextmanager
def keeping_cancellations() -> Iterator[None]:
    """Raise a cancellation that comes in the block and that a library loses in it."""
    before = cancellations()
    yield
    raise_newer(before)
