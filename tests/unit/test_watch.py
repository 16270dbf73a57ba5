"""Watch: a lane whose first message stays is stuck; one that moves is not, however old what is left is."""

from __future__ import annotations

from outbox.watch import Pending, PendingLane


def first(lane: int, seq: int, age_seconds: float, owner: str | None = "a") -> PendingLane:
    return PendingLane(lane, seq, age_seconds, owner)


def test_what_was_pending_before_the_first_look_counts_from_its_commit() -> None:
    pending = Pending()
    pending.observe([first(7, 1, 300.0)], now=1000.0)
    assert pending.unmoved_seconds(now=1010.0) == {7: 310.0}


def test_a_first_message_that_stays_ages() -> None:
    pending = Pending()
    pending.observe([], now=1000.0)
    pending.observe([first(7, 1, 2.0)], now=1005.0)
    pending.observe([first(7, 1, 62.0)], now=1065.0)
    assert pending.unmoved_seconds(now=1070.0) == {7: 65.0}


def test_a_backlog_that_moves_is_not_stuck() -> None:
    pending = Pending()
    pending.observe([first(7, 1, 300.0)], now=1000.0)
    pending.observe([first(7, 500, 290.0)], now=1005.0)
    assert pending.unmoved_seconds(now=1010.0) == {7: 5.0}


def test_an_old_message_that_was_put_back_is_not_stuck() -> None:
    pending = Pending()
    pending.observe([], now=1000.0)
    pending.observe([first(7, 9, 86400.0)], now=1005.0)
    assert pending.unmoved_seconds(now=1010.0) == {7: 5.0}


def test_a_lane_that_was_emptied_is_forgotten() -> None:
    pending = Pending()
    pending.observe([first(7, 1, 300.0)], now=1000.0)
    pending.observe([], now=1005.0)
    assert pending.unmoved_seconds(now=1010.0) == {}
