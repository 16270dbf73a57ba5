"""Undecided: an entity is counted from its oldest event on that is not done."""

from __future__ import annotations

from agents.engine.undecided import Undecided


def test_what_is_newer_than_an_event_that_is_not_done_counts_although_it_is_done() -> None:
    undecided = Undecided()
    first, second, third = (undecided.add("ada") for _ in range(3))
    undecided.done(second)
    assert undecided.count("ada") == 3
    undecided.done(first)
    assert undecided.count("ada") == 1
    undecided.done(third)
    assert undecided.count("ada") == 0


def test_entities_are_counted_apart() -> None:
    undecided = Undecided()
    undecided.add("ada")
    undecided.done(undecided.add("bob"))
    assert (undecided.count("ada"), undecided.count("bob"), undecided.count("cyd")) == (1, 0, 0)
