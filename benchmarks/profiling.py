"""Profiling: samples a process with py-spy while it works; where its time goes, as folded stacks."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_SAMPLES_A_SECOND: Final = 200
_WRITES_SECONDS: Final = 60.0


@contextlib.contextmanager
def sampled(pid: int, stacks: Path | None) -> Iterator[None]:
    """Sample the process within the block and write its folded stacks; with no file do nothing."""
    if stacks is None:
        yield
        return
    beside = Path(sys.executable).with_name("py-spy")
    program = str(beside) if beside.exists() else shutil.which("py-spy")
    if program is None:
        raise SystemExit("py-spy is not installed: pip install 'innervate[bench]'")
    options = ["--pid", str(pid), "--format", "raw", "--rate", str(_SAMPLES_A_SECOND), "--duration", "3600"]
    command = [program, "record", *options, "--nonblocking", "--threads", "--output", str(stacks)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=_WRITES_SECONDS)
        if not stacks.exists():
            print(f"py-spy wrote nothing: {told.decode().strip()}", file=sys.stderr)
