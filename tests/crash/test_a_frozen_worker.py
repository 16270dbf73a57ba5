"""A worker that was frozen for longer than its session is succeeded, wakes up, and must not trust what it has.

On waking it still folds what it had fetched and writes that to the changelog, behind what its successor wrote.
When it becomes the successor itself, its windows must hold everything all the same. One that was frozen while it read
them back knows the ends of changelogs that have grown since.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from arena import Arena
from audit import audit
from evidence import Disturbance
from load import Load
from settling import decided, settle
from trades import TRADES, Trade
from waiting import eventually
from witness import gather

pytestmark = pytest.mark.apache

#: Events that wait when the worker starts, so that it has fetched far more than it has folded when it freezes.
BACKLOG = 4000
DECIDED_BEFORE = 300
#: Decisions of one worker that has committed most of them, at 100 events a second, and of two after that.
DECIDED_ALONE = 2000
DECIDED_BESIDE = 300


@pytest.mark.parametrize("trade", TRADES, indirect=True, scope="module")
def test_a_worker_that_wakes_up_and_takes_over_again_knows_what_its_successor_did(
    make_arena: Callable[[int], Arena],
    trade: Trade,
    seed: int,
    *,
    fenced: bool,
) -> None:
    arena = make_arena(2)
    kafka, url = arena.sandbox.kafka, arena.sandbox.database_url
    began_at = time.time()
    arena.start(0)
    eventually(lambda: arena.ready(0), what="the topics to be there")
    arena.leave(0)
    with Load(kafka, seed=seed, name="frozen", trade=trade, per_second=1000, limit=BACKLOG) as load:
        load.wait()
        arena.start(0)
        eventually(lambda: len(decided(url)) > DECIDED_BEFORE, what="the first worker to be at work")
        arena.freeze(0)
        arena.start(1)
        eventually(lambda: load.acknowledged.due <= decided(url), what="the second worker to decide all the rest")
        arena.thaw(0)
        eventually(lambda: arena.ready(0), what="the first worker to join again")
        arena.kill(1)
        arena.disturbances.append(Disturbance("frozen, then the other one killed", began_at, time.time()))
        with Load(kafka, seed=seed + 1, name="later", trade=trade, limit=BACKLOG // 4) as later:
            later.wait()
            settle(arena, later)
    arena.stop_workers()
    evidence = gather(kafka, url, [load.acknowledged, later.acknowledged], trade)

    findings = audit(evidence, [*arena.disturbances, *arena.troubles()], fenced=fenced)
    assert findings.broken() == {}, findings.details[:10]
    assert [one.last_words for one in arena.exits] == []


@pytest.mark.parametrize("trade", TRADES, indirect=True, scope="module")
def test_a_worker_that_was_frozen_while_it_recovered_decides_by_all_that_its_successor_did(
    make_arena: Callable[[int], Arena],
    trade: Trade,
    seed: int,
    *,
    fenced: bool,
) -> None:
    arena = make_arena(2)
    kafka, url = arena.sandbox.kafka, arena.sandbox.database_url
    began_at = time.time()
    arena.order(0, "in_recovery")
    arena.start(0)
    eventually(lambda: arena.seats[0].process.is_stopped, what="the first worker to freeze in its recovery")
    arena.seats[0].frozen = True
    arena.start(1)
    with Load(kafka, seed=seed, name="beside", trade=trade, per_second=100) as load:
        eventually(lambda: len(decided(url)) > DECIDED_ALONE, what="the second worker to be far ahead")
        arena.thaw(0)
        # It does not know yet that it has been left out, so both decide on what comes now.
        enough = len(decided(url)) + DECIDED_BESIDE
        eventually(lambda: len(decided(url)) > enough, what="the work to go on")
        eventually(lambda: arena.ready(0), what="the first worker to join again")
        load.stop()
        settle(arena, load)
    arena.disturbances.append(Disturbance("frozen in its recovery", began_at, time.time()))
    arena.stop_workers()
    evidence = gather(kafka, url, [load.acknowledged], trade)

    findings = audit(evidence, [*arena.disturbances, *arena.troubles()], fenced=fenced)
    assert findings.broken() == {}, findings.details[:10]
    assert [one.last_words for one in arena.exits] == []
