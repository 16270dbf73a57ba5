"""How large a batch of a topic may be is learned from what was refused, and forgotten."""

from __future__ import annotations

import sys

import pytest

from outbox.sending import FORGET_SECONDS, BatchLimits


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_topic_that_refused_nothing_has_no_limit(clock: Clock) -> None:
    assert BatchLimits(1000, clock=clock).of("payments") == sys.maxsize


def test_a_refused_batch_halves_what_its_topic_gets_and_no_other(clock: Clock) -> None:
    limits = BatchLimits(1000, clock=clock)
    limits.halve("payments", 16_000)

    assert limits.of("payments") == 8_000
    assert limits.of("ledger") == sys.maxsize


def test_a_batch_sent_before_the_limit_was_known_does_not_raise_it(clock: Clock) -> None:
    limits = BatchLimits(1000, clock=clock)
    limits.halve("payments", 4_000)
    limits.halve("payments", 16_000)

    assert limits.of("payments") == 2_000


def test_a_limit_is_forgotten_after_a_while_because_the_topic_may_take_more_by_then(clock: Clock) -> None:
    limits = BatchLimits(1000, clock=clock)
    limits.halve("payments", 16_000)
    clock.now += FORGET_SECONDS

    assert limits.of("payments") == sys.maxsize
