"""What is new, told to many by one who asks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack

import pytest
from waiting import until

from app.page.live import BUFFERED, Broadcaster, Message, Subscription
from outbox.errors import DatabaseUnavailable

#: Longer than anything here takes on a slow machine.
LONG_SECONDS = 60.0


class Readings:
    """Answers of the database, one after another; the last one again and again."""

    def __init__(self, answers: Iterable[str | Exception]) -> None:
        self._answers = list(answers)
        self.asked = 0

    async def __call__(self) -> Message:
        self.asked += 1
        answer = self._answers[0] if len(self._answers) == 1 else self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return Message("now", answer)


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as entered:
        yield entered


async def listen(stack: AsyncExitStack, broadcaster: Broadcaster, count: int = 1) -> list[Subscription]:
    return [await stack.enter_async_context(broadcaster.subscribed()) for _ in range(count)]


async def test_however_many_listen_one_asks(stack: AsyncExitStack) -> None:
    readings = Readings(["1", "2", "3"])
    broadcaster = Broadcaster(readings, every_seconds=0.01)

    readers = await listen(stack, broadcaster, 20)
    heard = [[await reader.next(LONG_SECONDS) for _ in range(3)] for reader in readers]

    assert heard == [[b"event: now\ndata: %d\n\n" % n for n in (1, 2, 3)]] * 20
    assert readings.asked < 20


async def test_nobody_asks_while_nobody_listens() -> None:
    readings = Readings(["1"])
    broadcaster = Broadcaster(readings, every_seconds=0.01)

    async with broadcaster.subscribed() as reader:
        assert await reader.next(LONG_SECONDS) == b"event: now\ndata: 1\n\n"
        assert broadcaster.is_asking

    assert (broadcaster.is_asking, len(broadcaster)) == (False, 0)
    asked = readings.asked
    await asyncio.sleep(0.1)
    assert readings.asked == asked


async def test_who_comes_later_hears_at_once_what_is_known(stack: AsyncExitStack) -> None:
    broadcaster = Broadcaster(Readings(["1"]), every_seconds=3600)
    [first] = await listen(stack, broadcaster)
    await first.next(LONG_SECONDS)

    [late] = await listen(stack, broadcaster)

    assert await late.next(LONG_SECONDS) == b"event: now\ndata: 1\n\n"


async def test_what_has_not_changed_is_not_told_again(stack: AsyncExitStack) -> None:
    readings = Readings(["1"])
    broadcaster = Broadcaster(readings, every_seconds=0.001)
    [reader] = await listen(stack, broadcaster)
    await reader.next(LONG_SECONDS)

    await until(lambda: readings.asked > 10, what="ten more questions")

    assert await reader.next(0.01) == b""


async def test_a_database_that_is_away_is_told_and_asked_again(stack: AsyncExitStack) -> None:
    broadcaster = Broadcaster(Readings([DatabaseUnavailable("away"), "1"]), every_seconds=0.01)
    [reader] = await listen(stack, broadcaster)

    assert [await reader.next(LONG_SECONDS) for _ in range(2)] == [
        b"event: away\ndata: {}\n\n",
        b"event: now\ndata: 1\n\n",
    ]


async def test_who_does_not_keep_up_is_let_go_and_holds_up_nobody(stack: AsyncExitStack) -> None:
    answers = [str(n) for n in range(BUFFERED * 3)]
    broadcaster = Broadcaster(Readings(answers), every_seconds=0.001)
    slow, quick = await listen(stack, broadcaster, 2)

    heard = [await quick.next(LONG_SECONDS) for _ in answers]

    assert heard[-1] == f"event: now\ndata: {answers[-1]}\n\n".encode()
    assert slow.is_over
    assert await slow.next(LONG_SECONDS) is None


async def test_every_stream_ends_with_the_worker(stack: AsyncExitStack) -> None:
    broadcaster = Broadcaster(Readings(["1"]), every_seconds=3600)
    [reader] = await listen(stack, broadcaster)
    await reader.next(LONG_SECONDS)

    await broadcaster.close()
    [late] = await listen(stack, broadcaster)

    assert (await reader.next(LONG_SECONDS), await late.next(LONG_SECONDS)) == (None, None)
    assert not broadcaster.is_asking
