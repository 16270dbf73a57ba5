"""A replay that is interrupted goes on: the same report as one that was not, and never another replay's."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from fakes import paid
from replaying import record_of
from shop_catalogue import TYPES

from agents.replay.deciders import RulesDecider
from agents.replay.records import TimelineRecord
from agents.replay.sources import MemoryDecisions, MemoryTimeline
from agents.replay.span import Span
from agents.shop.fraud.rules import fraud
from app.timemachine.replay_log import Plan, replay_log, summary
from app.timemachine.state import DIFFERENCES, ReplayState, StateUnusable, replay_state
from tables.event import to_json

EVENTS = 100
PLAN = Plan(agents=(fraud,), decider=RulesDecider(), span=Span(), types=TYPES)
ARGUMENTS = {"decide": "rules", "agents": ("fraud",)}


class Killed(Exception):
    """Stands for the end of the process."""


def log() -> list[TimelineRecord]:
    events = [paid(f"e{number}", timedelta(minutes=EVENTS - number)) for number in range(EVENTS)]
    return [record_of(to_json(event), "ada", offset, partition=offset % 2) for offset, event in enumerate(events)]


class Dying(MemoryTimeline):
    """Ends the replay at an offset."""

    def __init__(self, records: list[TimelineRecord], last: int, how: Any) -> None:
        super().__init__(records)
        self._last = last
        self._how = how

    async def read(self, partition: int, start: int, end: int) -> AsyncIterator[TimelineRecord]:
        async for record in super().read(partition, start, end):
            if record.offset == self._last:
                self._how()
            yield record


async def run(state: ReplayState, timeline: MemoryTimeline) -> dict[str, Any]:
    # Each fold is more than memory should hold, so there is a checkpoint at every record.
    state.windows._dirty_bytes = 1  # noqa: SLF001
    await replay_log(PLAN, state, timelines={"customer": timeline}, decisions=MemoryDecisions([]))
    return {**summary(state, ARGUMENTS), "differences": [orjson.loads(line) for line in state.differences()]}


async def undisturbed() -> dict[str, Any]:
    with replay_state(None, ARGUMENTS) as state:
        return await run(state, MemoryTimeline(log()))


def die() -> None:
    raise Killed


async def test_a_replay_goes_on_where_it_was_interrupted(tmp_path: Path) -> None:
    with pytest.raises(Killed), replay_state(tmp_path, ARGUMENTS) as state:
        await run(state, Dying(log(), 71, die))
    with replay_state(tmp_path, ARGUMENTS) as state:
        assert [(part.partition, part.start) for part in state.parts] == [(0, 99), (1, 70)]
        went_on = await run(state, MemoryTimeline(log()))

    assert went_on == await undisturbed()
    assert went_on["decisions"] == EVENTS


async def test_a_replay_that_was_killed_goes_on(tmp_path: Path) -> None:
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    killed = await asyncio.create_subprocess_exec(sys.executable, __file__, str(tmp_path), env=paths)
    assert await killed.wait() == -signal.SIGKILL
    with (tmp_path / DIFFERENCES).open("ab") as file:
        file.write(b'{"half a li')

    with replay_state(tmp_path, ARGUMENTS) as state:
        assert state.parts[1].start > 1
        went_on = await run(state, MemoryTimeline(log()))

    assert went_on == await undisturbed()


async def test_a_replay_that_is_over_says_the_same_again(tmp_path: Path) -> None:
    with replay_state(tmp_path, ARGUMENTS) as state:
        once = await run(state, MemoryTimeline(log()))
    with replay_state(tmp_path, ARGUMENTS) as state:
        again = await run(state, Dying(log(), 0, die))

    assert once == again


async def test_what_was_written_to_the_log_meanwhile_is_another_replays(tmp_path: Path) -> None:
    with pytest.raises(Killed), replay_state(tmp_path, ARGUMENTS) as state:
        await run(state, Dying(log(), 71, die))
    more = [*log(), record_of(to_json(paid("more")), "ada", EVENTS)]
    with replay_state(tmp_path, ARGUMENTS) as state:
        assert (await run(state, MemoryTimeline(more)))["decisions"] == EVENTS


async def test_other_arguments_are_refused_by_name(tmp_path: Path) -> None:
    with replay_state(tmp_path, ARGUMENTS) as state:
        await run(state, MemoryTimeline(log()))

    with (
        pytest.raises(StateUnusable, match=r"holds a replay with other arguments: decide$"),
        replay_state(tmp_path, {**ARGUMENTS, "decide": "recorded"}),
    ):
        pass


async def test_what_kafka_has_dropped_meanwhile_cannot_be_gone_on_with(tmp_path: Path) -> None:
    with pytest.raises(Killed), replay_state(tmp_path, ARGUMENTS) as state:
        await run(state, Dying(log(), 71, die))
    kept = [record for record in log() if record.offset > 80]

    with (
        replay_state(tmp_path, ARGUMENTS) as state,
        pytest.raises(StateUnusable, match=r"timeline-customer\[1\] begins at offset 81 by now"),
    ):
        await run(state, MemoryTimeline(kept))


async def test_a_state_that_is_in_use_is_refused(tmp_path: Path) -> None:
    with (
        replay_state(tmp_path, ARGUMENTS),
        pytest.raises(StateUnusable, match="is open in another process"),
        replay_state(tmp_path, ARGUMENTS),
    ):
        pass


async def test_where_nothing_is_compared_nothing_is_the_same() -> None:
    with replay_state(None, ARGUMENTS) as state:
        found = await run(state, MemoryTimeline([replace(log()[0], value=None)]))

    assert (found["decisions"], found["different"], found["same"]) == (0, 0, False)


if __name__ == "__main__":
    with replay_state(Path(sys.argv[1]), ARGUMENTS) as begun:
        asyncio.run(run(begun, Dying(log(), 71, lambda: os.kill(os.getpid(), signal.SIGKILL))))
