"""A process is waited for as long as it moves, and no longer than anything takes."""

from __future__ import annotations

import subprocess
import sys
from itertools import count
from pathlib import Path

from waiting import eventually

from app.sandbox.patience import MOST_SECONDS, STILL_SECONDS, Patience, signs_of


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def waited(patience: Patience, clock: Clock) -> tuple[float, str]:
    """How long it is waited, a look every second, and why no longer."""
    for seconds in range(10_000):
        clock.now = 1000.0 + seconds
        if lost := patience.lost():
            return seconds, lost
    raise AssertionError("it is waited for ever")


def test_what_stands_still_is_given_up() -> None:
    clock = Clock()

    assert waited(Patience(lambda: "asleep", now=clock), clock) == (STILL_SECONDS + 1, "and stood still for 60 s")


def test_what_moves_is_waited_for_much_longer() -> None:
    clock, moves = Clock(), count()

    assert waited(Patience(lambda: next(moves), now=clock), clock) == (MOST_SECONDS + 1, "in 300 s")


def test_every_move_begins_the_minute_anew() -> None:
    clock = Clock()
    patience = Patience(lambda: clock.now >= 1059, now=clock)

    assert waited(patience, clock) == (59 + STILL_SECONDS + 1, "and stood still for 60 s")


def test_a_process_that_computes_and_one_that_prints_both_move(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.touch()
    busy = "import sys; print(flush=True)\nwhile True: pass"
    with subprocess.Popen([sys.executable, "-c", busy], stdout=subprocess.PIPE, start_new_session=True) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            before = signs_of(process.pid, log)
            computed = eventually(lambda: signs_of(process.pid, log), lambda signs: signs != before)
        finally:
            process.kill()
    assert computed[0] > before[0]
    assert computed[1] == before[1] == 0

    log.write_bytes(b"ready")
    assert signs_of(process.pid, log)[1] == 5


def test_a_process_that_is_gone_and_a_log_that_is_not_there_are_no_errors(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""], start_new_session=True) as process:
        process.wait()

    assert signs_of(process.pid, tmp_path / "none") == (0, 0)
