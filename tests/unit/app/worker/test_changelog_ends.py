# ruff: noqa: SLF001 - the seams of Faust are private
"""Changelog ends: what is committed is read before them, and marks behind the last record are not waited for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
from faust.tables.recovery import Recovery
from faust.types import TP

from tables.recovery import WindowRecovery

ZERO, ONE = TP("windows-changelog", 0), TP("windows-changelog", 1)


class Consumer:
    """Says of each partition that was read to its end which record was the last one."""

    def __init__(self, last: Mapping[TP, int]) -> None:
        self.last = last
        self.asked: list[Mapping[TP, int]] = []

    async def last_before(self, ends: Mapping[TP, int]) -> Mapping[TP, int]:
        self.asked.append(ends)
        return {tp: self.last[tp] for tp in ends.keys() & self.last.keys()}


def recovery(
    last: Mapping[TP, int], *, waits_for: Mapping[TP, int], recovered: Mapping[TP, int | None]
) -> tuple[WindowRecovery, Consumer]:
    made: Any = WindowRecovery.__new__(WindowRecovery)
    consumer = Consumer(last)
    made.app = type("App", (), {"consumer": consumer})()
    made.active_highwaters, made.active_offsets = Counter(waits_for), Counter(recovered)
    return made, consumer


async def test_what_is_not_read_to_its_end_or_is_recovered_is_waited_for_as_before() -> None:
    found, consumer = recovery({}, waits_for={ZERO: 9, ONE: 4}, recovered={ZERO: 3, ONE: 4})
    await found.end_at_last_records()
    assert found.active_highwaters == {ZERO: 9, ONE: 4}
    assert consumer.asked == [{ZERO: 10}]


async def test_the_last_record_that_was_read_is_still_waited_for() -> None:
    found, _ = recovery({ZERO: 7}, waits_for={ZERO: 9}, recovered={ZERO: 3})
    await found.end_at_last_records()
    assert found.active_highwaters == {ZERO: 7}
    assert found.need_recovery()


async def test_a_database_that_knows_the_last_record_waits_for_nothing() -> None:
    for recovered in (3, -1, None):
        found, _ = recovery({ZERO: -1}, waits_for={ZERO: 9}, recovered={ZERO: recovered})
        await found.end_at_last_records()
        assert found.active_highwaters == {ZERO: -1 if recovered is None else recovered}
        assert not found.need_recovery()


async def test_what_was_built_anew_meanwhile_is_left_alone() -> None:
    found, consumer = recovery({ZERO: 7}, waits_for={ZERO: 9}, recovered={ZERO: 3})
    answer = consumer.last_before

    async def last_before(ends: Mapping[TP, int]) -> Mapping[TP, int]:
        found.active_highwaters[ZERO] = 12
        return await answer(ends)

    consumer.last_before = last_before  # type: ignore[method-assign]
    await found.end_at_last_records()
    assert found.active_highwaters == {ZERO: 12}


async def test_what_is_committed_is_read_before_the_ends_of_the_changelogs_that_are_recovered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The other way round, streams would begin further than the windows reach when somebody else went on in between.
    found, _ = recovery({}, waits_for={}, recovered={})
    found.standby_highwaters = Counter()
    asked: list[str] = []

    class Asked:
        async def hold_committed(self) -> None:
            asked.append("committed")

    async def build_highwaters(_: Any, __: Any, ___: set[TP], ____: Counter[TP], title: str) -> None:
        asked.append(f"ends of {title}")

    monkeypatch.setattr(Recovery, "_build_highwaters", build_highwaters)
    consumer: Any = Asked()
    await found._build_highwaters(consumer, {ZERO}, found.active_highwaters, "active")
    await found._build_highwaters(consumer, {ONE}, found.standby_highwaters, "standby")

    assert asked == ["committed", "ends of active", "ends of standby"]
