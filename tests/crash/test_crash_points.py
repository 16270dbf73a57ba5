"""A worker that dies exactly here loses nothing and doubles nothing: its successor takes up where it stood.

Each test kills one worker at one point under load, starts it again on the same data, and has everything audited. The
points are reached by wrapping the product from outside (`points/crashing.py`).
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from arena import KILLED, Arena, CrashWorker, Seat
from conftest import at_point, worker_settings
from evidence import Disturbance
from group import dismiss_members
from inquest import examined
from load import Load
from scene import SALES, Scene
from settling import settle
from trades import TRADES
from waiting import eventually

#: Enough passings for a window, a decision and a message to lie behind the worker when it dies; and few enough for a
#: worker that is far behind: then one write, one commit and one publishing are of many events.
PASSINGS = {
    "before_fold": 60,
    "after_put": 10,
    "after_changelog": 10,
    "before_commit": 2,
    "after_commit": 2,
    # Every load has two effects, whatever its seed; many decisions lie behind the first.
    "mid_effect": 1,
    "before_effect_commit": 1,
    "after_effect_commit": 1,
    "after_publish": 4,
    "mid_lease": 2,
}

pytestmark = [pytest.mark.apache]


@pytest.mark.parametrize("point", PASSINGS)
@pytest.mark.parametrize("trade", TRADES, indirect=True, scope="module")
def test_a_worker_killed_at_this_point_is_succeeded_without_loss_or_double(
    scene: Scene, tmp_path: Path, kept: Path, seed: int, point: str
) -> None:
    sandbox = scene.sandbox
    settings = {**scene.loaded, **worker_settings(sandbox, scene.proxy, fenced=scene.fenced)}
    crashing = at_point(settings, point, PASSINGS[point])
    doomed = CrashWorker(sandbox, tmp_path / "worker", crashing, module="crashing")
    successor = CrashWorker(sandbox, tmp_path / "worker", settings)
    arena = Arena(sandbox, scene.proxy, [Seat(successor)], scene.trade)
    began_at = time.time()
    doomed.launch()
    try:
        name = point.replace("_", "-")
        with examined(arena, kept), Load(sandbox.kafka, seed=seed, name=name, trade=scene.trade, limit=SALES) as load:
            eventually(lambda: doomed.exit_code is not None, what=f"the worker to reach {point}")
            assert doomed.exit_code == KILLED, doomed.last_words()
            dismiss_members(sandbox.kafka)
            scene.disturbances.append(Disturbance(f"killed {point}", began_at, time.time()))
            arena.start(0)
            load.wait()
            settle(arena, load)
        arena.stop_workers()
    finally:
        doomed.begin_release()
        arena.release()

    scene.assert_promises_kept(arena, load)
