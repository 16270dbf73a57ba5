"""The plan of faults is chance that can be repeated."""

from __future__ import annotations

import itertools

from faults import KINDS, plan


def test_the_same_seed_gives_the_same_faults() -> None:
    assert plan(7, 50) == plan(7, 50)
    assert plan(7, 50) != plan(8, 50)


def test_a_longer_plan_begins_with_the_shorter_one() -> None:
    assert plan(7, 200)[:50] == plan(7, 50)


def test_a_long_plan_has_every_kind_in_it() -> None:
    assert {fault.kind for fault in plan(7, 200)} == set(KINDS)


def test_a_fault_lasts_as_long_as_its_kind_may() -> None:
    for fault in plan(7, 500):
        _, _, shortest, longest = KINDS[fault.kind]
        assert shortest <= fault.lasts_seconds <= longest


def test_what_takes_several_steps_waits_for_all_that_was_before() -> None:
    poisoned = [fault for fault in plan(7, 2000) if fault.kind == "poison a changelog"]
    assert len(poisoned) > 10
    assert not any(fault.overlapping for fault in poisoned)


def test_only_faults_that_hit_different_things_overlap() -> None:
    faults = plan(7, 500)
    overlapping = [(before, after) for before, after in itertools.pairwise(faults) if after.overlapping]
    assert len(overlapping) > 20
    for before, after in overlapping:
        assert before.lasts_seconds > 0
        assert not before.overlapping
        assert after.pause_seconds < before.lasts_seconds
        assert KINDS[before.kind][1] != KINDS[after.kind][1] or before.worker != after.worker
