"""Signals: how a program ends, in order or at all."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from contextlib import suppress
from typing import Final

#: What a shell reports for a process that SIGTERM ended.
TERMINATED = 128 + signal.SIGTERM


def end_in_order() -> None:
    """Turn SIGTERM into SystemExit and SIGINT into KeyboardInterrupt.

    Python leaves SIGINT ignored when it was started that way, as a script's background jobs are; then nothing could
    stop the services but SIGTERM.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    signal.signal(signal.SIGINT, signal.default_int_handler)


#: What Kubernetes, systemd and people send.
STOPPING: Final = (signal.SIGTERM, signal.SIGINT)


def end_after(seconds: float) -> None:
    """End this process with exit code 1 after so long, whatever still hangs in it. Nothing is cleaned up."""
    timer = threading.Timer(seconds, os._exit, (1,))
    timer.daemon = True
    timer.start()


def bound_stop(seconds: float) -> None:
    """End this process with exit code 1 so long after the first SIGTERM or SIGINT, whatever still hangs in it.

    Call it after an event loop has installed its handlers: they go on being called.
    """
    heard, tell = os.pipe()
    os.set_blocking(tell, False)

    def watch() -> None:
        os.read(heard, 1)
        time.sleep(seconds)
        line = (
            f"innervate: told to stop and still not done after {seconds:.0f} s: ended; what was in flight comes again\n"
        )
        os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, line.encode())
        os._exit(1)

    def on_signal(_number: int, _frame: object) -> None:
        # Whatever was interrupted may hold any lock: a byte in a pipe needs none.
        with suppress(BlockingIOError):
            os.write(tell, b"!")

    threading.Thread(target=watch, name="bound of the stop", daemon=True).start()
    for number in STOPPING:
        # Unlike an event loop's own handler this one cuts system calls short, or it would not run behind a lock.
        signal.signal(number, on_signal)
