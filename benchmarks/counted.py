"""Counted: runs a worker whose calls of Python functions can be counted, instead of timed.

    python -m benchmarks.counted FILE -A app worker -l info

`SIGNAL` begins the counting, the next one ends it and writes the counts to the file, one line for each function. Only
the main thread is counted, where everything but fetching runs.
"""

from __future__ import annotations

import cProfile
import runpy
import signal
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

#: Faust has its own uses for SIGUSR1 and SIGUSR2.
SIGNAL: Final = signal.SIGRTMIN + 1


class CallCounter:
    """Counts from one signal to the next."""

    def __init__(self, told_in: Path) -> None:
        self._told_in = told_in
        self._profile: cProfile.Profile | None = None

    def toggle(self, *_: Any) -> None:
        """Begin, or end and tell."""
        if self._profile is None:
            self._profile = cProfile.Profile(builtins=False, subcalls=False)
            self._profile.enable()
            return
        self._profile.disable()
        counts = {_name(entry.code): entry.callcount for entry in self._profile.getstats()}
        self._profile = None
        unfinished = self._told_in.with_suffix(".tmp")
        unfinished.write_text("".join(f"{count} {name}\n" for name, count in counts.items()))
        unfinished.rename(self._told_in)


def _name(code: Any) -> str:
    if isinstance(code, str):
        return code
    return f"{code.co_qualname} ({'/'.join(Path(code.co_filename).parts[-2:])})"


def read(told_in: Path) -> Mapping[str, int]:
    """How often each function was called."""
    counts: Counter[str] = Counter()
    for line in told_in.read_text().splitlines():
        count, _, name = line.partition(" ")
        counts[name] += int(count)
    return counts


def main() -> None:
    """Run Faust's command line."""
    told_in, *arguments = sys.argv[1:]
    signal.signal(SIGNAL, CallCounter(Path(told_in)).toggle)
    sys.argv = ["faust", *arguments]
    runpy.run_module("faust", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
