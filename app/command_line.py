"""`innervate …` is `faust -A app …`, whatever lies in the current folder.

Faust looks for its app in the current folder first: an `app.py` or a folder `outbox` there would silently be taken for
ours. Here everything of ours is imported before the current folder can be looked into, and the current folder comes
last: a domain or an agent of your own in it is found, and nothing in it takes the place of anything installed.
"""

from __future__ import annotations

import sys
from pathlib import Path

from faust.cli.faust import cli

# All four, so that none is looked for later on; with the first comes whatever the app is built from.
import agents
import app.composition
import outbox
import tables

__all__ = ["agents", "app", "main", "outbox", "tables"]


def main() -> None:
    """Run the command line of the process; ends it with the command's exit code."""
    sys.path.append(str(Path.cwd()))
    sys.argv[1:1] = ["-A", "app"]
    cli()
