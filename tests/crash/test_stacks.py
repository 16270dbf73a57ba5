"""A worker of the crash suite that stands still says where: each thread, and what each task waits for."""

from __future__ import annotations

import signal
import subprocess
import sys

from conftest import POINTS
from waiting import PATIENCE_SECONDS

_STANDS_STILL = """
import asyncio
from stacks import print_on_sigquit

async def waits_for_nothing():
    await asyncio.get_running_loop().create_future()

async def main():
    print_on_sigquit()
    asyncio.create_task(waits_for_nothing(), name="the one that hangs")
    # Said once this task waits as well.
    asyncio.get_running_loop().call_soon(print, "ready")
    await outer()

async def outer():
    await waits_for_nothing()

asyncio.run(main())
"""


def test_a_process_that_stands_still_prints_what_its_tasks_wait_for_and_goes_on() -> None:
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", _STANDS_STILL],
        env={"PYTHONPATH": str(POINTS)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGQUIT)
        told: list[str] = []
        while not told or told[-1] != "--- end of the tasks\n":
            told.append(process.stderr.readline())
            assert told[-1], f"it ended: {told}"
        goes_on = process.poll() is None
    finally:
        process.kill()
        process.communicate(timeout=PATIENCE_SECONDS)

    text = "".join(told)
    assert goes_on
    assert "Current thread" in text
    assert "--- 2 tasks" in text
    hanging = text.partition("task the one that hangs\n")[2].partition("task ")[0]
    assert " waits_for_nothing: " in hanging
    outermost_first = text.index(" main: "), text.index(" outer: ")
    assert list(outermost_first) == sorted(outermost_first)
