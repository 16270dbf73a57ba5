"""Processes of the machine: who descends from whom, what still runs, who listens."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from pathlib import Path

from waiting import PATIENCE_SECONDS


def children(pid: int) -> set[int]:
    """Every process that descends from `pid`."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # It has just ended.
    found, newest = set(), {pid}
    while newest:
        newest = {child for child, parent in parents.items() if parent in newest}
        found |= newest
    return found


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def is_open(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def end(process: subprocess.Popen[bytes], number: signal.Signals, *, services: set[int]) -> tuple[int, set[int]]:
    """Send the signal; returns the exit code and which of the services still run."""
    process.send_signal(number)
    code = process.wait(PATIENCE_SECONDS)
    return code, {pid for pid in services if is_running(pid)}
