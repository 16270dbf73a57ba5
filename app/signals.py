"""Signals: how a program that holds a sandbox ends in order, whoever started it."""

from __future__ import annotations

import signal
import sys

#: What a shell reports for a process that SIGTERM ended.
TERMINATED = 128 + signal.SIGTERM


def end_in_order() -> None:
    """Turn SIGTERM into SystemExit and SIGINT into KeyboardInterrupt.

    Python leaves SIGINT ignored when it was started that way, as a script's background jobs are; then nothing could
    stop the services but SIGTERM.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    signal.signal(signal.SIGINT, signal.default_int_handler)
