"""Pauses: a topic waits alone, longer each time, and is known to wait until it does not."""

from __future__ import annotations

import pytest

from outbox.outcomes import Aborted, NotPublished, Refused, Unwritable
from outbox.pauses import BACKOFF_CAP_SECONDS, UNWRITABLE_CAP_SECONDS, Pauses

DENIED = Unwritable("no right")
AWAY = NotPublished("away")
LANES = [3, 7]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pauses(clock: Clock) -> Pauses:
    return Pauses(clock=clock)


def test_what_kafka_took_waits_for_nothing(pauses: Pauses) -> None:
    assert pauses.note(3, [("payments", None), ("ledger", Refused("too large"))]) is None

    assert pauses.held_up(LANES) == []
    assert pauses.waiting == {}


def test_a_topic_that_cannot_be_written_is_held_up_in_every_lane_and_no_other_topic_is(pauses: Pauses) -> None:
    pauses.note(3, [("payments", DENIED), ("ledger", None)])

    assert pauses.held_up(LANES) == [(3, "payments"), (7, "payments")]


def test_a_broker_that_is_away_holds_up_the_topics_it_met_in_their_lane(pauses: Pauses) -> None:
    pauses.note(3, [("payments", AWAY), ("ledger", None)])

    assert pauses.held_up(LANES) == [(3, "payments")]


def test_a_pause_ends_and_the_next_one_is_longer_up_to_a_bound(pauses: Pauses, clock: Clock) -> None:
    lengths = []
    for _ in range(12):
        seconds = pauses.note(3, [("payments", AWAY)])
        assert seconds is not None
        lengths.append(seconds)
        clock.now += seconds
        assert pauses.held_up(LANES) == []

    assert lengths[0] <= 0.05
    assert max(lengths) <= BACKOFF_CAP_SECONDS
    assert min(lengths[-2:]) >= BACKOFF_CAP_SECONDS / 2


def test_lanes_that_meet_the_same_refusal_together_lengthen_the_pause_once(pauses: Pauses, clock: Clock) -> None:
    for lane in range(64):
        pauses.note(lane, [("payments", DENIED)])

    clock.now += 0.05
    assert pauses.held_up(LANES) == []


def test_an_operator_is_not_waited_for_longer_than_he_notices(pauses: Pauses, clock: Clock) -> None:
    for _ in range(20):
        clock.now += pauses.note(3, [("payments", DENIED)]) or 0.0

    clock.now += UNWRITABLE_CAP_SECONDS
    assert pauses.held_up(LANES) == []


def test_a_message_of_an_aborted_transaction_is_tried_again_at_once(pauses: Pauses) -> None:
    assert pauses.note(3, [("payments", Aborted("with another")), ("ledger", DENIED)]) == 0.0

    assert pauses.held_up([3]) == [(3, "ledger")]


def test_what_waits_says_why_since_when_and_for_whom(pauses: Pauses, clock: Clock) -> None:
    pauses.note(3, [("payments", AWAY), ("ledger", DENIED)])
    since = pauses.waiting["ledger"].since
    clock.now += 10
    pauses.note(7, [("ledger", Unwritable("still no right"))])

    assert pauses.waiting["payments"].reason == "away"
    assert not pauses.waiting["payments"].needs_operator
    assert pauses.waiting["ledger"].reason == "still no right"
    assert pauses.waiting["ledger"].needs_operator
    assert pauses.waiting["ledger"].since == since


def test_a_topic_that_is_written_again_waits_no_more_in_any_lane(pauses: Pauses) -> None:
    pauses.note(3, [("payments", DENIED)])
    pauses.note(7, [("payments", None)])

    assert pauses.waiting == {}
    assert pauses.held_up(LANES) == []


def test_what_somebody_has_deleted_waits_no_more(pauses: Pauses, clock: Clock) -> None:
    pauses.note(3, [("payments", AWAY), ("ledger", DENIED), ("orders", AWAY), ("support", DENIED)])
    clock.now += BACKOFF_CAP_SECONDS
    pauses.forget({(3, "orders"), (7, "support")})

    assert set(pauses.waiting) == {"orders", "support"}


def test_a_lane_that_went_to_another_worker_waits_there(pauses: Pauses) -> None:
    pauses.note(3, [("payments", AWAY)])

    assert pauses.held_up([7]) == []
    assert pauses.waiting == {}
