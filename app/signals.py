"""Signals: how a program ends, in order or at all."""

from __future__ import annotations

import os
import signal
import sys
import threading

#: What a shell reports for a process that SIGTERM ended.
TERMINATED = 128 + signal.SIGTERM


def end_in_order() -> None:
    """Turn SIGTERM into SystemExit and SIGINT into KeyboardInterrupt.

    Python leaves SIGINT ignored when it was started that way, as a script's background jobs are; then nothing could
    stop the services but SIGTERM.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    signal.signal(signal.SIGINT, signal.default_int_handler)


def end_after(seconds: float) -> None:
    """End this process with exit code 1 after so long, whatever still hangs in it. Nothing is cleaned up."""
    timer = threading.Timer(seconds, os._exit, (1,))
    timer.daemon = True
    timer.start()
