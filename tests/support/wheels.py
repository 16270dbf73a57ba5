"""The wheel of the checkout, as it would be installed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from waiting import PATIENCE_SECONDS

ROOT = Path(__file__).parents[2]
PACKAGES = ("agents", "app", "outbox", "tables")


def build_wheel(folder: Path, root: Path = ROOT) -> Path:
    """Build a checkout's in the folder, from a copy: a build leaves folders behind that a later one would pack."""
    source = folder / "source"
    source.mkdir()
    for name in (*PACKAGES, "tests"):
        shutil.copytree(root / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(root / name, source / name)
    quietly = ["--quiet", "--disable-pip-version-check", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", *quietly, "--wheel-dir", folder, source],
        check=True,
        timeout=PATIENCE_SECONDS,
    )
    [built] = folder.glob("*.whl")
    return built
