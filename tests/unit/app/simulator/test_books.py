"""The simulator's books, held against stories written by hand; all amounts in cents."""

from __future__ import annotations

from fakes import NOON

from app.simulator.books import Books
from app.simulator.truth import Capture


def books(*amounts: int, worth: int = 1000) -> Books:
    kept = Books(worth)
    for number, minor in enumerate(amounts, 1):
        kept.captures.append(
            Capture(payment_id=f"p-{number}", order_id="o-1", amount_minor=minor, currency="EUR", at=NOON)
        )
    return kept


def test_what_pays_for_an_order_that_can_be_delivered_is_not_owed() -> None:
    assert books(1000).owed_minor == 0
    assert books(600, 400).owed_minor == 0
    assert books(400).owed_minor == 0


def test_what_was_taken_beyond_the_worth_is_owed() -> None:
    assert books(1000, 1000).owed_minor == 1000
    assert books(100, 1000).owed_minor == 100
    assert books(1000, worth=700).owed_minor == 300


def test_everything_is_owed_when_pieces_are_missing_and_nothing_when_they_turn_up() -> None:
    kept = books(1000)
    kept.short = {"mug"}
    assert kept.owed_minor == 1000
    kept.short = set()
    assert kept.owed_minor == 0


def test_everything_is_owed_when_nobody_wants_the_order_unless_the_customer_has_it() -> None:
    kept = books(1000)
    kept.is_off = True
    assert kept.owed_minor == 1000
    kept.is_shipped = True
    assert kept.owed_minor == 0


def test_what_anybody_gave_back_is_owed_no_longer() -> None:
    kept = books(1000, 1000)
    kept.give_back("p-2", 400)
    assert (kept.owed_minor, kept.left_minor) == (600, {"p-1": 1000, "p-2": 600})
    kept.give_back("p-2", 600)
    assert kept.owed_minor == 0
    kept.give_back("p-1", 1000)
    assert kept.owed_minor == 0


def test_stolen_money_is_owed_to_whom_it_was_stolen_from_even_when_the_parcel_left() -> None:
    kept = books(1000)
    kept.is_stolen = kept.is_shipped = True
    assert kept.owed_minor == 1000


def test_only_events_that_change_the_account_are_written_down() -> None:
    kept = Books(1000)
    kept.note("placed")
    kept.note("reserved")
    kept.captures.append(Capture(payment_id="p-1", order_id="o-1", amount_minor=1000, currency="EUR", at=NOON))
    kept.note("paid")
    kept.short.add("mug")
    kept.note("short")
    assert [(each.event_id, each.owed_minor, dict(each.left_minor)) for each in kept.moments] == [
        ("placed", 0, {}),
        ("paid", 0, {"p-1": 1000}),
        ("short", 1000, {"p-1": 1000}),
    ]
