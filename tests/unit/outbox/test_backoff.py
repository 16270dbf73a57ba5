"""Waiting between attempts: longer each time, up to a cap, never the same for everybody."""

from __future__ import annotations

from outbox.backoff import Backoff


def test_the_ceiling_doubles_with_each_attempt_up_to_the_cap() -> None:
    backoff = Backoff(first_seconds=1, cap_seconds=10)
    for ceiling in (1, 2, 4, 8, 10, 10, 10):
        assert ceiling / 2 <= backoff.next_seconds() <= ceiling


def test_no_number_of_attempts_overflows_or_exceeds_the_cap() -> None:
    backoff = Backoff(first_seconds=0.05, cap_seconds=5, attempts=10_000)
    assert 2.5 <= backoff.next_seconds() <= 5
    assert backoff.attempts == 10_001


def test_a_success_starts_again_from_the_first_wait() -> None:
    backoff = Backoff(first_seconds=1, cap_seconds=100)
    for _ in range(5):
        backoff.next_seconds()
    backoff.reset()
    assert backoff.next_seconds() <= 1


def test_those_who_fail_together_do_not_come_back_together() -> None:
    waits = [Backoff(first_seconds=1).next_seconds() for _ in range(100)]
    assert len(set(waits)) > 90
    assert max(waits) - min(waits) > 0.25


async def test_waiting_counts_an_attempt() -> None:
    backoff = Backoff(first_seconds=0)
    await backoff.wait()
    assert backoff.attempts == 1
