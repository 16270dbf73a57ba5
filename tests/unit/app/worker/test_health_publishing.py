"""Readiness names the topics that Kafka takes nothing for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from app.worker.readiness import STUCK_AFTER_SECONDS, publishing_check
from outbox.pauses import Waiting

NOON = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)


def test_a_topic_that_needs_somebody_is_said_at_once_with_its_reason_and_since_when() -> None:
    waiting = {"payments": Waiting(reason="no right to WRITE", since=NOON, needs_operator=True)}

    assert publishing_check(waiting, now=NOON) == "payments waits since 2024-05-01T12:00:00+00:00: no right to WRITE"


def test_a_broker_that_is_away_for_a_moment_is_no_matter() -> None:
    waiting = {"payments": Waiting(reason="away", since=NOON, needs_operator=False)}

    assert publishing_check(waiting, now=NOON + timedelta(seconds=STUCK_AFTER_SECONDS)) == "ok"
    assert publishing_check(waiting, now=NOON + timedelta(seconds=STUCK_AFTER_SECONDS + 1)).startswith("payments waits")


def test_nothing_that_waits_is_ok() -> None:
    assert publishing_check({}, now=NOON) == "ok"
