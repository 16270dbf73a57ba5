"""A rebalance that comes just as a recovery ends begins the next one, and nothing of the old one is done any more."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from faust.tables.recovery import RebalanceAgain
from faust.types import TP

from tables.recovery import WindowRecovery

STANDBY = TP("windows-changelog", 0)


class Consumer:
    def __init__(self) -> None:
        self.sought: list[dict[TP, int]] = []

    async def seek_wait(self, offsets: dict[TP, int]) -> None:
        self.sought.append(offsets)


@pytest.fixture
def recovery() -> Any:
    made: Any = WindowRecovery.__new__(WindowRecovery)
    made._signal_recovery_start = asyncio.Event()  # noqa: SLF001 - as Faust makes it
    return made


async def test_what_is_not_known_yet_is_not_sought(recovery: Any) -> None:
    consumer, offsets = Consumer(), Counter({STANDBY: None})
    recovery.signal_recovery_start.set()

    with pytest.raises(RebalanceAgain):
        await recovery._seek_offsets(consumer, {STANDBY}, offsets, "standby")  # noqa: SLF001 - as Faust calls it

    assert consumer.sought == []


async def test_without_a_rebalance_it_is_sought_where_faust_says(recovery: Any) -> None:
    consumer = Consumer()

    await recovery._seek_offsets(consumer, {STANDBY}, Counter({STANDBY: 7}), "standby")  # noqa: SLF001

    assert consumer.sought == [{STANDBY: 7}]


async def test_a_step_of_a_recovery_that_is_outdated_is_not_begun(recovery: Any) -> None:
    begun: list[str] = []

    async def step() -> None:
        begun.append("step")

    recovery.signal_recovery_start.set()
    with pytest.raises(RebalanceAgain):
        await recovery._wait(step())  # noqa: SLF001

    assert begun == []
