"""Gathering: a lone call goes at once, a busy caller shares batches, and nobody is forgotten."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

import pytest
from waiting import PATIENCE_SECONDS

from outbox.batching import Batcher, GivenUp


class Batches:
    """Keeps what was processed together."""

    def __init__(self) -> None:
        self.seen: list[list[int]] = []

    async def process(self, items: Sequence[int]) -> Sequence[int]:
        self.seen.append(list(items))
        return [10 * item for item in items]


async def test_a_lone_call_does_not_wait_for_the_pace() -> None:
    batches = Batches()
    batcher = Batcher(batches.process, limit=10, name="test", pace_seconds=3600)
    assert await asyncio.wait_for(batcher.submit(1), timeout=PATIENCE_SECONDS) == 10
    await batcher.stop()


async def test_what_comes_within_the_pace_is_one_batch() -> None:
    batches = Batches()
    batcher = Batcher(batches.process, limit=10, name="test", pace_seconds=2)
    await batcher.submit(0)
    calls = []
    for number in (1, 2, 3):
        calls.append(asyncio.create_task(batcher.submit(number)))
        await asyncio.sleep(0)
    assert await asyncio.gather(*calls) == [10, 20, 30]
    assert batches.seen == [[0], [1, 2, 3]]
    await batcher.stop()


async def test_the_pace_behind_a_small_batch_is_a_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr("outbox.batching.asyncio.sleep", sleep)
    batcher = Batcher(Batches().process, limit=100, name="test", pace_seconds=10_000)
    for items in ([1], range(5), range(10), range(20), [2]):
        await batcher.submit_all(list(items))
    await batcher.stop()

    assert waits == pytest.approx([1_000, 5_000, 10_000, 10_000], abs=PATIENCE_SECONDS)


async def test_a_full_batch_does_not_wait_for_the_pace() -> None:
    batches = Batches()
    batcher = Batcher(batches.process, limit=3, name="test", pace_seconds=3600)
    await batcher.submit(0)
    calls = [asyncio.create_task(batcher.submit(number)) for number in (1, 2, 3)]
    assert await asyncio.wait_for(asyncio.gather(*calls), timeout=PATIENCE_SECONDS) == [10, 20, 30]
    await batcher.stop()


async def test_who_waits_for_the_pace_is_cancelled_when_it_stops() -> None:
    batches = Batches()
    batcher = Batcher(batches.process, limit=10, name="test", pace_seconds=3600)
    await batcher.submit(0)
    waiting = [asyncio.create_task(batcher.submit(number)) for number in (1, 2)]
    await asyncio.sleep(0.01)
    await batcher.stop()
    for call in waiting:
        with pytest.raises(asyncio.CancelledError):
            await call
    assert batches.seen == [[0]]


async def test_a_batch_that_a_library_cancels_fails_for_those_who_wait_and_the_next_goes_on() -> None:
    cancelled = [True]

    async def process(items: Sequence[int]) -> Sequence[int]:
        if cancelled:
            cancelled.pop()
            raise asyncio.CancelledError
        return items

    batcher = Batcher(process, limit=10, name="test")
    with pytest.raises(GivenUp, match="test: CancelledError"):
        await asyncio.wait_for(batcher.submit(1), timeout=10)
    assert await asyncio.wait_for(batcher.submit(2), timeout=10) == 2
    await batcher.stop()


async def test_a_batch_with_too_few_outcomes_fails_for_those_who_wait_and_the_next_goes_on() -> None:
    async def process(items: Sequence[int]) -> Sequence[int]:
        return items if items == [2] else []

    batcher = Batcher(process, limit=10, name="test")
    with pytest.raises(ValueError, match="shorter"):
        await asyncio.wait_for(batcher.submit(1), timeout=10)
    assert await asyncio.wait_for(batcher.submit(2), timeout=10) == 2
    await batcher.stop()


async def test_a_batch_whose_cancellation_is_lost_ends_all_the_same() -> None:
    begun = asyncio.Event()

    async def deaf(items: Sequence[int]) -> Sequence[int]:
        begun.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return items

    batcher = Batcher(deaf, limit=1, name="test")
    call = asyncio.create_task(batcher.submit(1))
    await begun.wait()

    await asyncio.wait_for(batcher.stop(), timeout=PATIENCE_SECONDS)

    assert await call == 1


async def test_calls_share_batches_and_each_gets_its_own_outcomes_in_its_order() -> None:
    async def refuse_three(items: Sequence[int]) -> Sequence[int | Exception]:
        return [KeyError(item) if item == 3 else 10 * item for item in await batches.process(items)]

    batches = Batches()
    batcher = Batcher(refuse_three, limit=3, name="test")
    first, second = await asyncio.gather(batcher.submit_all([1, 2]), batcher.submit_all([30, 3, 4]))

    assert batches.seen == [[1, 2, 30], [3, 4]]
    assert first == [100, 200]
    assert second[0] == 3000
    assert await batcher.submit_all([]) == []
    await batcher.stop()


async def test_a_call_is_cancelled_as_one_when_the_batcher_stops() -> None:
    under_way = asyncio.Event()

    async def process(items: Sequence[int]) -> Sequence[int]:
        if items == [2]:
            under_way.set()
            await asyncio.Event().wait()
        return items

    batcher = Batcher(process, limit=1, name="test")
    call = asyncio.create_task(batcher.submit_all([1, 2, 3]))
    await asyncio.wait_for(under_way.wait(), timeout=PATIENCE_SECONDS)
    await batcher.stop()

    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(call, timeout=PATIENCE_SECONDS)
