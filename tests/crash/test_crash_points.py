"""A worker that dies exactly here loses nothing and doubles nothing: its successor takes up where it stood.

Each test kills one worker at one point under load, starts it again on the same data, and has everything audited. The
points are reached by wrapping the product from outside (`points/crashing.py`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from arena import KILLED, Arena, CrashWorker, Seat
from audit import audit
from conftest import at_point, worker_settings
from evidence import Disturbance
from group import dismiss_members
from load import Acknowledged, Load
from proxy import Proxy
from settling import settle
from waiting import eventually
from witness import gather

from app.sandbox import Sandbox

#: Six seconds long, because the worker needs some to start.
SALES = 300
#: Enough passings for a window, a decision and a message to lie behind the worker when it dies.
PASSINGS = {
    "before_fold": 60,
    "after_put": 60,
    "after_changelog": 60,
    "before_commit": 5,
    "after_commit": 5,
    "mid_refund": 3,
    "before_refund_commit": 3,
    "after_refund_commit": 3,
    "after_publish": 10,
    "mid_lease": 2,
}

pytestmark = [pytest.mark.apache]


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sandbox, Proxy]]:
    with (
        Sandbox(tmp_path_factory.mktemp("sandbox"), "apache") as sandbox,
        Proxy(sandbox.postgres.port) as proxy,
    ):
        yield sandbox, proxy


@pytest.fixture(scope="module")
def sent() -> list[Acknowledged]:
    """What was sent so far."""
    return []


@pytest.fixture(scope="module")
def disturbances() -> list[Disturbance]:
    return []


@pytest.fixture(scope="module")
def found_before() -> set[str]:
    """What an earlier point is to blame for: every audit looks at the whole log."""
    return set()


@pytest.mark.parametrize("point", PASSINGS)
def test_a_worker_killed_at_this_point_is_succeeded_without_loss_or_double(
    services: tuple[Sandbox, Proxy],
    tmp_path: Path,
    sent: list[Acknowledged],
    disturbances: list[Disturbance],
    found_before: set[str],
    fenced: bool,
    seed: int,
    point: str,
) -> None:
    sandbox, proxy = services
    settings = worker_settings(sandbox, proxy, fenced=fenced)
    crashing = settings | at_point(point, PASSINGS[point])
    doomed = CrashWorker(sandbox, tmp_path / "worker", crashing, module="crashing")
    successor = CrashWorker(sandbox, tmp_path / "worker", settings)
    arena = Arena(sandbox, proxy, [Seat(successor)])
    began_at = time.time()
    doomed.launch()
    try:
        with Load(sandbox.kafka, seed=seed, name=point.replace("_", "-"), limit=SALES) as load:
            eventually(lambda: doomed.exit_code is not None, what=f"the worker to reach {point}")
            assert doomed.exit_code == KILLED, doomed.last_words()
            dismiss_members(sandbox.kafka)
            disturbances.append(Disturbance(f"killed {point}", began_at, time.time()))
            arena.start(0)
            load.wait()
            settle(arena, load)
        arena.stop_workers()
        disturbances += arena.troubles()
    finally:
        doomed.begin_release()
        arena.release()
    sent.append(load.acknowledged)
    evidence = gather(sandbox.kafka, sandbox.database_url, sent)

    findings = audit(evidence, disturbances, fenced=fenced)
    new = {name: found for name, all_found in findings.broken().items() if (found := set(all_found) - found_before)}
    found_before.update(*new.values())

    assert new == {}, findings.details
    assert [one.last_words for one in arena.exits] == []
