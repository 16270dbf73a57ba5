"""`innervate …` is `faust -A app …`, whatever lies in the current folder.

Faust looks for its app in the current folder first: an `app.py` or a folder `outbox` there would silently be taken for
ours. Here everything of ours is imported before the current folder can be looked into, and the current folder comes
last: a domain or an agent of your own in it is found, and nothing in it takes the place of anything installed.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from pathlib import Path

from app.worker.signals import TERMINATED

#: All four, so that none is looked for later on; with the second comes whatever the app is built from.
_OURS = ("agents", "app.composition", "outbox", "tables")
#: The process id of whatever a container runs.
_FIRST = 1


def main() -> None:
    """Run the command line of the process; ends it with the command's exit code."""
    if os.getpid() == _FIRST:
        # Linux gives the first process no signal that it does not ask for. A worker asks when it has begun to start.
        signal.signal(signal.SIGTERM, lambda *_: os._exit(TERMINATED))
    from faust.cli.faust import cli  # noqa: PLC0415 - what takes a second

    for name in _OURS:
        importlib.import_module(name)
    sys.path.append(str(Path.cwd()))
    sys.argv[1:1] = ["-A", "app"]
    cli()
