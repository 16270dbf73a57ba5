"""Signals: a program that hangs ends all the same."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest
from waiting import PATIENCE_SECONDS


def test_a_program_that_hangs_ends_with_an_error() -> None:
    hanging = "import threading; from app.worker.signals import end_after; end_after(0.1); threading.Event().wait()"

    assert subprocess.run([sys.executable, "-c", hanging], timeout=PATIENCE_SECONDS, check=False).returncode == 1


def test_a_program_that_ends_by_itself_is_not_held_up() -> None:
    ending = "from app.worker.signals import end_after; end_after(3600)"

    assert subprocess.run([sys.executable, "-c", ending], timeout=PATIENCE_SECONDS, check=False).returncode == 0


def told_to_stop(program: str, number: signal.Signals) -> int:
    """The exit code of a program that gets a signal as soon as it says that it is there."""
    command = [sys.executable, "-c", f"from app.worker.signals import bound_stop\n{program}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"there\n"
            process.send_signal(number)
            return process.wait(PATIENCE_SECONDS)
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(
    "hanging",
    [
        "import threading; threading.Event().wait()",
        "while True: pass",
        "import asyncio; asyncio.run(asyncio.Event().wait())",
    ],
    ids=["lock", "busy", "loop"],
)
def test_a_program_that_does_not_stop_when_told_to_is_ended(hanging: str, number: signal.Signals) -> None:
    assert told_to_stop(f"bound_stop(0.1)\nprint('there', flush=True)\n{hanging}", number) == 1


LOOP = """
import asyncio, signal
async def main():
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    bound_stop(3600)
    print("there", flush=True)
    await stopped.wait()
asyncio.run(main())
"""


def test_a_loop_still_hears_the_signal_and_ends_by_itself() -> None:
    assert told_to_stop(LOOP, signal.SIGTERM) == 0
