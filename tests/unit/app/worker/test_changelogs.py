# ruff: noqa: SLF001 - the seams of Faust are private
"""Changelogs: what was fetched of them goes to the recovery, and the streams get the rest."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP

from app.worker.changelogs import ChangelogConsumer

CHANGELOG, OTHER, TIMELINE = TP("windows-changelog", 0), TP("windows-changelog", 1), TP("timeline-order", 0)


class Recovery:
    """Writes down what it is given and asks whether that is wanted, before and after what happens meanwhile."""

    def __init__(self) -> None:
        self.taken: dict[TP, Sequence[Any]] = {}
        self.wanted: list[bool] = []
        self.meanwhile: Callable[[], None] = lambda: None

    async def take(self, tp: TP, records: Sequence[Any], *, is_wanted: Callable[[], bool]) -> None:
        self.taken[tp] = records
        self.wanted.append(is_wanted())
        self.meanwhile()
        self.wanted.append(is_wanted())


@pytest.fixture
def recovery() -> Recovery:
    return Recovery()


@pytest.fixture
def ends() -> dict[TP, int]:
    """The ends of partitions that the monitor was told."""
    return {}


@pytest.fixture
def consumer(recovery: Recovery, ends: dict[TP, int]) -> Any:
    made: Any = ChangelogConsumer.__new__(ChangelogConsumer)
    made.app = SimpleNamespace(
        client_only=False,
        tables=SimpleNamespace(changelog_topics={"windows-changelog"}, recovery=recovery),
        monitor=SimpleNamespace(track_tp_end_offset=ends.__setitem__),
    )
    made.flow_active, made.not_waiting_next_records = True, asyncio.Event()
    made._active_partitions, made._paused_partitions = {CHANGELOG, OTHER, TIMELINE}, set()
    made.highwater = {CHANGELOG: 7, OTHER: 8}.__getitem__
    return made


def fetched(consumer: Any, records: Mapping[TP, list[int]]) -> None:
    async def getmany(active_partitions: set[TP], timeout: float) -> Mapping[TP, list[int]]:  # noqa: ASYNC109
        return records

    consumer._getmany = getmany


async def test_changelogs_are_recovered_as_they_were_fetched_and_streams_get_the_rest(
    consumer: Any, recovery: Recovery, ends: dict[TP, int]
) -> None:
    fetched(consumer, {CHANGELOG: [1, 2, 3], TIMELINE: [4], OTHER: [5]})

    records, active = await consumer._wait_next_records(1.0)

    assert recovery.taken == {CHANGELOG: [1, 2, 3], OTHER: [5]}
    assert records == {TIMELINE: [4]}
    assert active == {CHANGELOG, OTHER, TIMELINE}
    assert all(recovery.wanted)
    assert ends == {CHANGELOG: 7, OTHER: 8}


async def test_a_fetch_without_changelogs_is_handed_on_as_it_is(consumer: Any, recovery: Recovery) -> None:
    fetched(consumer, {TIMELINE: [4]})
    assert (await consumer._wait_next_records(1.0))[0] == {TIMELINE: [4]}
    assert recovery.taken == {}


async def test_a_rebalance_while_it_is_recovered_ends_that_and_nothing_else_is_handed_on(
    consumer: Any, recovery: Recovery
) -> None:
    def rebalance() -> None:
        consumer._epoch += 1

    recovery.meanwhile = rebalance
    fetched(consumer, {CHANGELOG: [1, 2, 3], TIMELINE: [4]})

    records, _ = await consumer._wait_next_records(1.0)

    assert recovery.wanted == [True, False]
    assert records == {}


@pytest.mark.parametrize("by", ["a flow that stops", "a pause"])
async def test_what_was_fetched_is_wanted_no_more_after(consumer: Any, recovery: Recovery, by: str) -> None:
    def stop() -> None:
        if by == "a pause":
            consumer.pause_partitions({CHANGELOG})
        else:
            consumer.flow_active = False

    recovery.meanwhile = stop
    fetched(consumer, {CHANGELOG: [1, 2, 3]})
    await consumer._wait_next_records(1.0)
    assert recovery.wanted == [True, False]
