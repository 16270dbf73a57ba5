"""Supervision: what is meant to run for ever does, and what fails is known."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import pytest

from outbox.supervision import Supervisor, keeping_cancellations


@pytest.fixture
async def supervisor() -> AsyncIterator[Supervisor]:
    running = Supervisor()
    yield running
    await running.stop()


class Task:
    """Ends as often as it is told how, then runs for ever."""

    def __init__(self, *ends: BaseException | None) -> None:
        self._ends = list(ends)
        self.well = asyncio.Event()

    async def run(self) -> None:
        if self._ends:
            end = self._ends.pop(0)
            if end is not None:
                raise end
            return
        self.well.set()
        await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("end", "why"),
    [
        (ZeroDivisionError("by hand"), "ZeroDivisionError: by hand"),
        (None, "EndedItself: it ended, and nobody had asked it to"),
        (asyncio.CancelledError(), "CancelledError"),
    ],
    ids=["raises", "returns", "is cancelled by nobody"],
)
async def test_a_task_that_ends_is_started_again_and_named(
    supervisor: Supervisor, end: BaseException | None, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    task = Task(end)
    supervisor.start("leases", task.run)

    await asyncio.wait_for(task.well.wait(), 20)

    assert supervisor.failing() == {"leases": why}
    assert [record.getMessage() for record in caplog.records] == [f"leases failed and starts again: {why}"]


async def test_the_same_failure_again_and_again_is_one_line(
    supervisor: Supervisor, caplog: pytest.LogCaptureFixture
) -> None:
    task = Task(ZeroDivisionError(), ZeroDivisionError(), KeyError("lane"), KeyError("lane"))
    supervisor.start("leases", task.run)

    await asyncio.wait_for(task.well.wait(), 20)

    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.ERROR, "leases failed and starts again: ZeroDivisionError"),
        (logging.ERROR, "leases failed and starts again (and 1 times since the last line): KeyError: 'lane'"),
    ]


async def test_what_never_failed_is_not_named(supervisor: Supervisor) -> None:
    task = Task()
    supervisor.start("leases", task.run)

    await asyncio.wait_for(task.well.wait(), 20)

    assert supervisor.failing() == {}


async def test_an_action_that_fails_is_tried_again(supervisor: Supervisor) -> None:
    done = asyncio.Event()
    ends: list[Exception] = [ZeroDivisionError()]

    async def act() -> None:
        if ends:
            raise ends.pop()
        done.set()

    supervisor.every(0.01, "timer", act)

    await asyncio.wait_for(done.wait(), 20)
    assert supervisor.failing() == {"timer": "ZeroDivisionError"}


async def test_stopping_ends_every_task_also_one_that_waits_for_its_next_attempt() -> None:
    supervisor = Supervisor()
    well, ill = Task(), Task(*[ZeroDivisionError()] * 1000)
    supervisor.start("well", well.run)
    supervisor.start("ill", ill.run)
    await asyncio.wait_for(well.well.wait(), 20)

    await asyncio.wait_for(supervisor.stop(), 20)

    assert not supervisor.is_running
    assert {task.get_name() for task in asyncio.all_tasks()}.isdisjoint({"well", "ill"})


async def test_a_task_whose_cancellation_a_library_loses_is_ended_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("outbox.supervision.CANCEL_SECONDS", 0.01)
    waits, ended = asyncio.Event(), asyncio.Event()

    async def loses_one() -> None:
        waits.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    supervisor = Supervisor()
    supervisor.start("relay", loses_one)
    await waits.wait()

    await asyncio.wait_for(supervisor.stop(), 20)

    assert ended.is_set()


async def ends_when_cancelled(end: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
    """Cancel a task at the moment at which what it waits for ends."""
    going_on = asyncio.get_running_loop().create_future()

    async def run() -> None:
        with keeping_cancellations():
            await asyncio.wait_for(going_on, 20)
        await end()

    task = asyncio.create_task(run())
    await asyncio.sleep(0)
    going_on.set_result(None)
    task.cancel()
    await asyncio.wait({task}, timeout=20)
    return task


async def test_a_cancellation_that_meets_the_end_of_what_is_waited_for_is_kept() -> None:
    went_on = []

    async def end() -> None:
        went_on.append("went on")

    task = await ends_when_cancelled(end)

    assert task.cancelled()
    assert went_on == []


async def test_an_older_cancellation_is_not_raised_again() -> None:
    async def clean_up() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            with keeping_cancellations():
                await asyncio.sleep(0)
            return "cleaned up"
        return ""

    task = asyncio.create_task(clean_up())
    await asyncio.sleep(0)
    task.cancel()

    assert await asyncio.wait_for(task, 20) == "cleaned up"
