"""Shops of the simulator, played in memory and judged by its own books."""

from __future__ import annotations

import orjson
import pytest
from choreography import Choreography
from fakes import NOON

from app.demo.judgment import WRONG, judge
from app.simulator import simulate
from app.simulator.unusual import TALES


@pytest.mark.parametrize("seed", [6101, 6102])
def test_never_more_goes_back_than_is_owed_and_nobody_in_doubt_is_left_alone(seed: int) -> None:
    story = simulate(seed=seed, orders=300, failures=60, start=NOON)

    judgment = judge(story, map(orjson.loads, Choreography().run(story.records).log))

    assert judgment.over_refunds == 0, judgment.wrong
    assert judgment.unescalated == 0, judgment.wrong
    assert judgment.verdicts.top1 >= 0.95, judgment.wrong
    assert judgment.verdicts.false_confidence <= 0.01, judgment.wrong
    assert judgment.fraud.honest_blocked == 0, judgment.wrong
    assert judgment.tone_violations == 0, judgment.wrong


@pytest.mark.parametrize("seed", [6103, 6104])
def test_of_unusual_orders_nothing_goes_back_that_is_not_owed_and_a_person_hears_where_nothing_is_right(
    seed: int,
) -> None:
    """Split tender, chargebacks, amendments, storms, late causes, wrong clocks, forged verdicts: each kind once."""
    story = simulate(seed=seed, orders=300, failures=60, start=NOON, unusual=len(TALES))

    judgment = judge(story, map(orjson.loads, Choreography().run(story.records).log))

    assert judgment.over_refunds == 0, judgment.wrong
    assert judgment.unescalated == 0, judgment.wrong
    assert {kind for kind, counts in judgment.recovery.items() if counts.get(WRONG)} == set(), judgment.wrong
    assert (judgment.packed_unpaid, judgment.tone_violations) == (0, 0), judgment.wrong
    assert judgment.fraud.honest_blocked == 0, judgment.wrong
    assert judgment.verdicts.top1 >= 0.95, judgment.wrong
    assert judgment.verdicts.false_confidence <= 0.01, judgment.wrong
    # Of each incident of the service once, and of the two orders each that failed before it could be told from chance.
    assert 1 <= judgment.wave_escalations <= 6
