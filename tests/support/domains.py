"""Domains of packages of their own, as workers load them: installed beside Innervate, from `tests/domains`."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from waiting import PATIENCE_SECONDS

SOURCES: Final = Path(__file__).parents[1] / "domains"
_PIP: Final = ("--quiet", "--disable-pip-version-check", "--no-deps", "--no-build-isolation", "--no-index")


def installed(name: str, folder: Path) -> Path:
    """Build the distribution and install it; returns what has to be on `PYTHONPATH`. Nothing is downloaded."""
    # A build leaves folders behind, so it is one of a copy.
    source = shutil.copytree(SOURCES / name, folder / "source", ignore=shutil.ignore_patterns("__pycache__"))
    target = folder / "site"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", *_PIP, "--target", target, source],
        check=True,
        timeout=PATIENCE_SECONDS,
    )
    return target
