"""Lanes: one after another for a key, side by side for different keys."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from fakes import idle

from agents.engine.lanes import Lanes

Job = Callable[[], Awaitable[None]]


class Jobs:
    """Jobs that end when the test says so."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.gates: dict[str, asyncio.Event] = {}

    def job(self, name: str) -> Job:
        gate = self.gates[name] = asyncio.Event()

        async def run() -> None:
            self.log.append(f"{name} begins")
            await gate.wait()
            self.log.append(f"{name} ends")

        return run

    async def end(self, name: str) -> None:
        self.gates[name].set()
        await idle()


@pytest.fixture
async def lanes() -> AsyncIterator[Lanes]:
    lanes = Lanes()
    yield lanes
    await lanes.cancel()


@pytest.fixture
def jobs() -> Jobs:
    return Jobs()


async def test_jobs_of_one_key_run_one_after_another_in_the_order_they_came(lanes: Lanes, jobs: Jobs) -> None:
    for name in ("a1", "a2", "a3"):
        lanes.submit("a", jobs.job(name))
    await jobs.end("a2")
    assert jobs.log == ["a1 begins"]
    await jobs.end("a1")
    assert jobs.log == ["a1 begins", "a1 ends", "a2 begins", "a2 ends", "a3 begins"]


async def test_jobs_of_different_keys_run_side_by_side(lanes: Lanes, jobs: Jobs) -> None:
    lanes.submit("a", jobs.job("a1"))
    lanes.submit("b", jobs.job("b1"))
    await jobs.end("b1")
    assert jobs.log == ["a1 begins", "b1 begins", "b1 ends"]


async def test_a_lane_that_ran_empty_can_be_used_again(lanes: Lanes, jobs: Jobs) -> None:
    for name in ("a1", "a2"):
        lanes.submit("a", jobs.job(name))
        await jobs.end(name)
        assert lanes.depth("a") == 0
    assert jobs.log == ["a1 begins", "a1 ends", "a2 begins", "a2 ends"]


async def test_depths_are_of_all_lanes_and_of_the_fullest_one(lanes: Lanes, jobs: Jobs) -> None:
    assert lanes.depths() == (0, 0, 0)
    for key, name in (("a", "a1"), ("a", "a2"), ("a", "a3"), ("b", "b1")):
        lanes.submit(key, jobs.job(name))
    await idle()
    assert lanes.depths() == (2, 4, 3)
    await jobs.end("b1")
    assert lanes.depths() == (1, 3, 3)


async def test_a_job_counts_until_it_has_ended(lanes: Lanes, jobs: Jobs) -> None:
    lanes.submit("a", jobs.job("a1"))
    lanes.submit("a", jobs.job("a2"))
    await idle()
    assert (lanes.depth("a"), lanes.depth("b")) == (2, 0)
    await jobs.end("a1")
    assert lanes.depth("a") == 1


async def test_cancelling_stops_every_lane_where_it_stands(lanes: Lanes, jobs: Jobs) -> None:
    for key, name in (("a", "a1"), ("a", "a2"), ("b", "b1")):
        lanes.submit(key, jobs.job(name))
    await idle()
    await lanes.cancel()
    for name in ("a1", "a2", "b1"):
        await jobs.end(name)
    assert jobs.log == ["a1 begins", "b1 begins"]


async def test_it_is_crowded_when_more_than_the_bound_wait_behind_the_job_that_runs(lanes: Lanes, jobs: Jobs) -> None:
    lanes.submit("a", jobs.job("a1"))
    crowded = lanes.crowded("a", 2)
    lanes.submit("a", jobs.job("a2"))
    lanes.submit("b", jobs.job("b1"))
    assert not crowded.is_set()
    lanes.submit("a", jobs.job("a3"))
    assert crowded.is_set()


async def test_it_is_crowded_at_once_when_enough_wait_already(lanes: Lanes, jobs: Jobs) -> None:
    for name in ("a1", "a2"):
        lanes.submit("a", jobs.job(name))
    assert lanes.crowded("a", 1).is_set()
    assert not lanes.crowded("a", 2).is_set()


async def test_who_has_ended_is_not_told_any_more(lanes: Lanes, jobs: Jobs) -> None:
    lanes.submit("a", jobs.job("a1"))
    crowded = lanes.crowded("a", 1)
    await jobs.end("a1")
    for name in ("a2", "a3"):
        lanes.submit("a", jobs.job(name))
    assert not crowded.is_set()
