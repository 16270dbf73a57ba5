"""A worker that dies before its first commit of offsets loses nothing, although Kafka knows of no place to go on from.

While windows are recovered nothing of the streams may be fetched: Faust would drop it, and without a committed offset
nobody would go back. Everything waits here before the first worker reads anything, that one dies within a second, and
its successor is slow where a fetch could slip in.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from arena import KILLED, Arena, CrashWorker, Seat
from audit import audit
from conftest import at_point, worker_settings, wrapped
from evidence import Disturbance
from group import dismiss_members
from load import Load
from settling import settle
from trades import TRADES, Trade
from waiting import eventually
from witness import gather

pytestmark = pytest.mark.apache


@pytest.mark.parametrize("trade", TRADES, indirect=True, scope="module")
def test_a_worker_that_dies_before_its_first_commit_loses_nothing(
    make_arena: Callable[[int], Arena],
    trade: Trade,
    loaded: Mapping[str, str],
    tmp_path: Path,
    seed: int,
    *,
    fenced: bool,
) -> None:
    arena = make_arena(1)
    sandbox = arena.sandbox
    arena.start(0)
    eventually(lambda: arena.ready(0), what="the topics to be there")
    arena.leave(0)
    with Load(sandbox.kafka, seed=seed, name="fresh", trade=trade, per_second=1000, limit=2000) as load:
        load.wait()
    began_at = time.time()
    settings = {**loaded, **worker_settings(sandbox, arena.proxy, fenced=fenced)}
    doomed = CrashWorker(sandbox, tmp_path / "doomed", at_point(settings, "after_changelog", 20), module="crashing")
    doomed.launch()
    try:
        eventually(lambda: doomed.exit_code is not None, what="the worker to die")
        assert doomed.exit_code == KILLED, doomed.last_words()
    finally:
        doomed.release()
    dismiss_members(sandbox.kafka)
    arena.disturbances.append(Disturbance("killed before its first commit", began_at, time.time()))

    slow = CrashWorker(sandbox, tmp_path / "slow", wrapped(settings), module="slow")
    arena.seats.append(Seat(slow))
    arena.start(1)
    settle(arena, load)
    arena.stop_workers()

    evidence = gather(sandbox.kafka, sandbox.database_url, [load.acknowledged], trade)
    findings = audit(evidence, [*arena.disturbances, *arena.troubles()], fenced=fenced)
    assert findings.broken() == {}, findings.details[:10]
    assert [one.last_words for one in arena.exits] == []
