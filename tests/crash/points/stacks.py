"""Stacks: what every thread and every task of this process does, printed to its log on SIGQUIT.

Threads come first, by `faulthandler`, which works whatever holds the interpreter; tasks follow as soon as the main
thread runs Python again.
"""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import signal
import sys
import traceback
from collections.abc import Iterator
from types import FrameType
from typing import Any


def print_on_sigquit() -> None:
    """Print them whenever the signal comes. Call it in the main thread."""
    signal.signal(signal.SIGQUIT, _print_tasks)
    faulthandler.register(signal.SIGQUIT, all_threads=True, chain=True)


def waits(awaited: Any) -> Iterator[FrameType]:
    """The frames of a coroutine and of what it waits for, the outermost first; nothing of one that runs or has ended.

    A task itself tells of its outermost frame only.
    """
    while awaited is not None:
        frame = next((found for name in _FRAMES if (found := getattr(awaited, name, None)) is not None), None)
        if frame is not None:
            yield frame
        awaited = next((found for name in _AWAITED if (found := getattr(awaited, name, None)) is not None), None)


#: Of coroutines, generators and asynchronous generators.
_FRAMES = ("cr_frame", "gi_frame", "ag_frame")
_AWAITED = ("cr_await", "gi_yieldfrom", "ag_await")


def _print_tasks(_number: int, _frame: FrameType | None) -> None:
    # Those of every event loop: the consumer fetches in one of its own.
    tasks = [one for one in gc.get_objects() if isinstance(one, asyncio.Task) and not one.done()]
    lines = [f"--- {len(tasks)} tasks"]
    for task in tasks:
        lines.append(f"task {task.get_name()}")
        for frame in waits(task.get_coro()):
            [place] = traceback.StackSummary.extract([(frame, frame.f_lineno)])
            lines.append(f"  {place.filename}:{place.lineno} {place.name}: {place.line}")
    sys.stderr.write("".join(f"{line}\n" for line in [*lines, "--- end of the tasks"]))
    sys.stderr.flush()
