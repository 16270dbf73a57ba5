"""Counting lines of code run and functions called: what something costs on any machine."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from types import FrameType
from typing import Any


def lines_run(call: Callable[[], object], *, of: str = "", but: Collection[str] = ()) -> int:
    """How many lines a call runs, of files with `of` in their paths and none of `but`.

    Whoever traced before (a measurement of coverage does) goes on afterwards.
    """
    lines = 0

    def count(frame: FrameType, _: str, __: Any) -> Callable[..., Any] | None:
        nonlocal lines
        file = frame.f_code.co_filename
        if of not in file or any(each in file for each in but):
            return None
        lines += 1
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        call()
    finally:
        sys.settrace(before)
    return lines


def calls_made(call: Callable[[], object]) -> int:
    """How many functions of Python a call runs, comprehensions and properties among them.

    Whoever profiled before goes on afterwards.
    """
    calls = 0

    def count(_: FrameType, event: str, __: Any) -> None:
        nonlocal calls
        calls += event == "call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        call()
    finally:
        sys.setprofile(before)
    return calls
