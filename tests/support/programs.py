"""A folder of programs that stands for a machine, and a script that is run on it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path

from waiting import PATIENCE_SECONDS

CI = Path(__file__).parents[2] / ".ci"


def machine(folder: Path, tools: Iterable[str]) -> Path:
    """A machine that has these tools of ours, and nothing else."""
    for tool in tools:
        (folder / tool).symlink_to(f"/usr/bin/{tool}")
    return folder


def add(folder: Path, name: str, lines: str = "") -> None:
    """One more program: a shell script of these lines."""
    (folder / name).write_text(f"#!/bin/sh\n{lines}\n")
    (folder / name).chmod(0o755)


def add_apt_get(folder: Path, package: str, installing: str) -> None:
    """An apt-get that writes down what it is told in `asked`, and runs this to install the package."""
    lines = f'echo "$DEBIAN_FRONTEND $*" >>{folder}/asked; case "$*" in *{package}*) {installing};; esac'
    add(folder, "apt-get", lines)


def run(program: Path, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a script with the machine's programs alone, and these variables."""
    return subprocess.run(
        [str(program)],
        env={"PATH": str(folder), **more},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
