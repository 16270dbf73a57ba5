"""A tally tells a bounded number of words apart, and no number that was read goes down."""

from __future__ import annotations

from outbox.tally import Tally


def test_what_was_done_is_counted_by_its_words() -> None:
    tally = Tally()
    tally.add([("fraud", "approve"), ("fraud", "approve"), ("fraud", "block")])
    tally.add_amount(("fraud", "block"), 5)

    assert tally.counts() == {("fraud", "approve"): 2, ("fraud", "block"): 6}


def test_words_beyond_the_bound_are_counted_together_and_those_seen_first_stay() -> None:
    tally = Tally(most=2)
    tally.add([("a", "1"), ("a", "2")])
    before = tally.counts()
    tally.add([("a", str(number)) for number in range(1, 100)])
    tally.add_amount(("b", "1"), 7)

    after = tally.counts()
    assert after == {("a", "1"): 2, ("a", "2"): 2, ("other", "other"): 97 + 7}
    assert all(after[words] >= number for words, number in before.items())


def test_what_is_handed_out_does_not_change_any_more() -> None:
    tally = Tally()
    tally.add([("a",)])
    counts = tally.counts()
    tally.add([("a",)])

    assert counts == {("a",): 1}
