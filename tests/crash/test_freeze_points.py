"""A worker that is frozen exactly here stops nobody: the others decide and publish all of it, and it may wake up.

Each test freezes one worker at one point under load, for longer than its session and its leases last: until another
worker has decided everything and the outbox is empty. Then it is thawed, everything settles, and all is audited.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from arena import Arena, CrashWorker, Seat
from audit import audit
from conftest import at_point, worker_settings
from evidence import Disturbance
from load import Acknowledged, Load
from proxy import Proxy
from settling import decided, settle
from test_crash_points import PASSINGS
from waiting import eventually
from witness import gather, rows

from app.sandbox import Sandbox

#: Six seconds long, because the worker needs some to start.
SALES = 300
PENDING = "SELECT count(*) FROM outbox_messages"

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
def test_a_worker_frozen_at_this_point_holds_up_nobody_and_doubles_nothing_when_it_wakes_up(
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
    freezing = settings | at_point(point, PASSINGS[point], "SIGSTOP")
    frozen = CrashWorker(sandbox, tmp_path / "frozen", freezing, module="crashing")
    other = CrashWorker(sandbox, tmp_path / "other", settings)
    arena = Arena(sandbox, proxy, [Seat(frozen), Seat(other)])
    url = sandbox.database_url
    began_at = time.time()
    try:
        with Load(sandbox.kafka, seed=seed, name=f"f-{point.replace('_', '-')}", limit=SALES) as load:
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
            disturbances.append(Disturbance(f"frozen {point}", began_at, time.time()))
            settle(arena, load)
            eventually(lambda: arena.supervise() or arena.ready(0), what="the worker that was frozen to be ready again")
        arena.stop_workers()
        disturbances += arena.troubles()
    finally:
        arena.release()
    sent.append(load.acknowledged)
    evidence = gather(sandbox.kafka, url, sent)

    findings = audit(evidence, disturbances, fenced=fenced)
    new = {name: found for name, all_found in findings.broken().items() if (found := set(all_found) - found_before)}
    found_before.update(*new.values())

    assert new == {}, findings.details
    assert [one.last_words for one in arena.exits] == []
