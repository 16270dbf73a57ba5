"""The broker gathers while a few records come at a time, and answers at once when none came before."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from agents.engine.gathering import FEW_RECORDS, GATHER_MS, GATHERED_BYTES, Gathering

#: As the options of a consumer say.
USUAL = (500, 1)


class Later:
    """A loop whose timers the test lets run."""

    def __init__(self) -> None:
        self.due: list[Callable[[], None]] = []

    def call_later(self, _seconds: float, call: Callable[..., None], *arguments: object) -> None:
        self.due.append(lambda: call(*arguments))

    def pass_by(self) -> None:
        due, self.due = self.due, []
        for call in due:
            call()


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Later:
    loop = Later()
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: loop)
    return loop


def consumer() -> SimpleNamespace:
    return SimpleNamespace(_fetcher=SimpleNamespace(_fetch_max_wait_ms=USUAL[0], _fetch_min_bytes=USUAL[1]))


def asked(of: SimpleNamespace) -> tuple[int, int]:
    return of._fetcher._fetch_max_wait_ms, of._fetcher._fetch_min_bytes  # noqa: SLF001


def test_behind_a_few_records_one_fetch_gathers_and_the_next_is_as_ever(later: Later) -> None:
    reading = consumer()
    gathering = Gathering(reading)

    gathering.fetched(1)
    assert asked(reading) == (GATHER_MS, GATHERED_BYTES)
    later.pass_by()
    assert asked(reading) == USUAL


@pytest.mark.parametrize("records", [0, FEW_RECORDS])
@pytest.mark.usefixtures("later")
def test_behind_none_and_behind_many_nothing_gathers(records: int) -> None:
    reading = consumer()

    Gathering(reading).fetched(records)

    assert asked(reading) == USUAL


def test_what_is_usual_stays_so_when_fetches_follow_each_other(later: Later) -> None:
    reading = consumer()
    gathering = Gathering(reading)

    gathering.fetched(1)
    gathering.fetched(2)
    assert asked(reading) == (GATHER_MS, GATHERED_BYTES)
    later.pass_by()
    assert asked(reading) == USUAL


def test_a_consumer_that_was_stopped_is_asked_nothing(later: Later) -> None:
    reading = consumer()
    Gathering(reading).fetched(1)
    reading._fetcher = None  # noqa: SLF001

    later.pass_by()

    assert later.due == []
