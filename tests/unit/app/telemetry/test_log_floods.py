"""What is said again and again does not flood the log, and what else is said stays."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from app.telemetry.logs.floods import FloodFilter


@dataclass
class Log:
    """A logger with two handlers behind one dam, as a worker with a log file may have them."""

    logger: logging.Logger
    seconds: float = 0.0
    first: io.StringIO = field(default_factory=io.StringIO)
    second: io.StringIO = field(default_factory=io.StringIO)

    @property
    def lines(self) -> list[str]:
        """What was written."""
        assert self.first.getvalue() == self.second.getvalue()
        return self.first.getvalue().splitlines()


@pytest.fixture
def log(request: pytest.FixtureRequest) -> Iterator[Log]:
    made = Log(logging.getLogger(f"innervate.floods.{request.node.name}"))
    dam = FloodFilter(lambda: made.seconds)
    made.logger.propagate = False
    made.logger.setLevel(logging.INFO)
    for stream in (made.first, made.second):
        handler = logging.StreamHandler(stream)
        handler.addFilter(dam)
        made.logger.addHandler(handler)
    yield made
    made.logger.handlers.clear()


def test_of_one_kind_thirty_are_written_in_a_minute_and_the_last_one_says_so(log: Log) -> None:
    for number in range(10_000):
        log.logger.warning("no broker at %d", number)
    assert log.lines == [
        *(f"no broker at {number}" for number in range(29)),
        "no broker at 29 (more of this kind are left out for up to a minute)",
    ]


def test_a_minute_later_it_is_said_again_with_how_many_were_left_out(log: Log) -> None:
    for number in range(100):
        log.logger.warning("no broker at %d", number)
    log.seconds = 60.0
    log.logger.warning("no broker at %d", 100)
    log.logger.warning("no broker at %d", 101)
    assert log.lines[30:] == ["no broker at 100 (70 more of this kind were left out)", "no broker at 101"]


def test_what_is_rare_is_written_whole_however_long_it_goes_on(log: Log) -> None:
    for number in range(60):
        log.seconds = number * 2.0
        log.logger.warning("no broker at %d", number)
    assert log.lines == [
        *(f"no broker at {number}" for number in range(29)),
        "no broker at 29 (more of this kind are left out for up to a minute)",
        *(f"no broker at {number}" for number in range(30, 59)),
        "no broker at 59 (more of this kind are left out for up to a minute)",
    ]


def test_a_flood_leaves_out_nothing_of_another_kind(log: Log) -> None:
    for _ in range(100):
        log.logger.warning("no broker")
    log.logger.error("no broker")
    log.logger.warning("dead letter")
    assert log.lines[30:] == ["no broker", "dead letter"]


def test_what_is_critical_is_always_written(log: Log) -> None:
    for _ in range(100):
        log.logger.critical("this is the end")
    assert log.lines == ["this is the end"] * 100
