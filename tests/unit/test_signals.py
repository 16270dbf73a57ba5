"""Signals: a program that hangs ends all the same."""

from __future__ import annotations

import subprocess
import sys

from waiting import PATIENCE_SECONDS


def test_a_program_that_hangs_ends_with_an_error() -> None:
    hanging = "import threading; from app.signals import end_after; end_after(0.1); threading.Event().wait()"

    assert subprocess.run([sys.executable, "-c", hanging], timeout=PATIENCE_SECONDS, check=False).returncode == 1


def test_a_program_that_ends_by_itself_is_not_held_up() -> None:
    ending = "from app.signals import end_after; end_after(3600)"

    assert subprocess.run([sys.executable, "-c", ending], timeout=PATIENCE_SECONDS, check=False).returncode == 0
