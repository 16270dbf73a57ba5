"""A worker that is frozen exactly here stops nobody: the others decide and publish all of it, and it may wake up.

Each test freezes one worker at one point under load, for longer than its session and its leases last: until another
worker has decided everything and the outbox is empty. Then it is thawed, everything settles, and all is audited.
"""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import pytest
from arena import Arena, CrashWorker, Seat
from conftest import at_point, worker_settings
from evidence import Disturbance
from inquest import examined
from load import Load
from scene import SALES, Scene
from settling import decided, settle
from test_crash_points import PASSINGS
from trades import TRADES
from waiting import eventually
from witness import rows

PENDING = "SELECT count(*) FROM outbox_messages"

pytestmark = [pytest.mark.apache]


def started_again(arena: Arena) -> bool:
    """Whether the worker that was frozen is ready, after it was started again should it have ended."""
    arena.supervise()
    return arena.ready(0)


@pytest.mark.parametrize("point", PASSINGS)
@pytest.mark.parametrize("trade", TRADES, indirect=True, scope="module")
def test_a_worker_frozen_at_this_point_holds_up_nobody_and_doubles_nothing_when_it_wakes_up(
    scene: Scene, tmp_path: Path, kept: Path, seed: int, point: str
) -> None:
    sandbox, url = scene.sandbox, scene.sandbox.database_url
    settings = {**scene.loaded, **worker_settings(sandbox, scene.proxy, fenced=scene.fenced)}
    freezing = at_point(settings, point, PASSINGS[point], "SIGSTOP")
    frozen = CrashWorker(sandbox, tmp_path / "frozen", freezing, module="crashing")
    other = CrashWorker(sandbox, tmp_path / "other", settings)
    arena = Arena(sandbox, scene.proxy, [Seat(frozen), Seat(other)], scene.trade)
    began_at = time.time()
    try:
        name = f"f-{point.replace('_', '-')}"
        with examined(arena, kept), Load(sandbox.kafka, seed=seed, name=name, trade=scene.trade, limit=SALES) as load:
            arena.start(0)
            eventually(lambda: frozen.is_stopped, what=f"the worker to freeze at {point}")
            arena.seats[0].frozen = True
            arena.start(1)
            load.wait()
            eventually(
                lambda: load.acknowledged.due - decided(url),
                lambda missing: not missing,
                what="the other worker to decide everything beside a frozen one",
            )
            eventually(lambda: rows(url, PENDING), lambda left: left == [(0,)], what="the other worker to publish all")
            arena.thaw(0)
            scene.disturbances.append(Disturbance(f"frozen {point}", began_at, time.time()))
            settle(arena, load)
            eventually(partial(started_again, arena), what="the worker that was frozen to be ready again")
        arena.stop_workers()
    finally:
        arena.release()

    scene.assert_promises_kept(arena, load)
