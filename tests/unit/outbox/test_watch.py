"""Watch: a lane whose first message stays is stuck; one that moves is not, however old what is left is."""

from __future__ import annotations

from outbox.watch import Floors, Pending, PendingLane

#: The floor behind which every seq lies.
EVERYTHING = -9_223_372_036_854_775_808


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


def test_a_look_begins_behind_what_was_drawn_long_ago_and_is_gone() -> None:
    floors = Floors()
    assert set(floors.of_all_lanes(now=1000.0).values()) == {EVERYTHING}
    floors.observe({}, 500, now=1000.0)
    assert set(floors.of_all_lanes(now=1059.0).values()) == {EVERYTHING}
    floors.observe({7: 300, 8: 700}, 900, now=1060.0)
    found = floors.of_all_lanes(now=1061.0)
    assert (found[7], found[8], found[9]) == (299, 500, 500)


def test_everything_is_looked_at_again_after_a_while() -> None:
    floors = Floors()
    floors.of_all_lanes(now=1000.0)
    floors.observe({}, 500, now=1000.0)
    floors.observe({}, 500, now=1100.0)
    assert set(floors.of_all_lanes(now=1299.0).values()) == {500}
    assert set(floors.of_all_lanes(now=1300.0).values()) == {EVERYTHING}


def test_a_role_that_must_not_know_what_was_drawn_looks_at_everything() -> None:
    floors = Floors()
    floors.of_all_lanes(now=1000.0)
    floors.observe({7: 300}, None, now=1000.0)
    floors.observe({7: 300}, None, now=1100.0)
    assert set(floors.of_all_lanes(now=1101.0).values()) == {EVERYTHING}
