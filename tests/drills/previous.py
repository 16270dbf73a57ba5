"""The release before this one: its wheel, built from git, in an environment of its own.

`previous-release` holds its commit, renewed with each release. Nothing is fetched: a clone without that commit fails.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

from arena import CrashWorker
from waiting import PATIENCE_SECONDS
from wheels import ROOT, build_wheel

from app.sandbox import Sandbox
from app.sandbox.process import clean_environment

SETTINGS = """
import json
from app.settings import Settings
print(json.dumps([name.upper() for name in Settings.model_fields]))
"""

COMMIT = Path(__file__).with_name("previous-release").read_text(encoding="utf-8").strip()


@dataclass(frozen=True)
class Release:
    """An installed release."""

    environment: Path

    @property
    def innervate(self) -> Path:
        """Its command."""
        return self.environment / "bin" / "innervate"

    @cached_property
    def settings(self) -> Collection[str]:
        """The names of the settings that it has."""
        return frozenset(json.loads(self.run(SETTINGS)))

    def run(self, code: str) -> str:
        """What a piece of Python prints that imports the release."""
        return _run([self.environment / "bin" / "python", "-I", "-c", code])

    def migrate(self, database_url: str) -> None:
        """Bring a database to its schema."""
        _run(
            [self.innervate, "migrate"], cwd=self.environment, env={**clean_environment(), "DATABASE_URL": database_url}
        )


class WorkerBefore(CrashWorker):
    """A worker of that release, as it is installed."""

    def __init__(self, sandbox: Sandbox, directory: Path, release: Release) -> None:
        super().__init__(sandbox, directory, {})
        # It refuses a setting that came later.
        self._settings = {name: value for name, value in self._settings.items() if name in release.settings}
        self._installed = release

    def command(self) -> list[str]:
        worker = ["worker", "-l", "info", "--web-port", str(self.port)]
        return [str(self._installed.innervate), "--datadir", str(self.tables), *worker]

    def working_directory(self) -> Path:
        """Not the checkout, whose packages would come first."""
        return self._installed.environment


def install(folder: Path) -> Release:
    """Build and install the release before this one."""
    source = folder / "checkout"
    unpack(source)
    (folder / "wheel").mkdir()
    wheel = build_wheel(folder / "wheel", source)
    environment = folder / "environment"
    _run([sys.executable, "-m", "venv", "--without-pip", str(environment)])
    pip = [sys.executable, "-m", "pip", "--python", str(environment / "bin" / "python"), "--quiet"]
    pip += ["--disable-pip-version-check", "install"]
    lock = source / "deploy" / "requirements.lock"
    if all(_is_installed(line) for line in _pins(lock)):
        # What it depends on is here already: nothing has to be installed twice.
        [site] = environment.glob("lib/python*/site-packages")
        (site / "shared.pth").write_text(f"{sysconfig.get_paths()['purelib']}\n", encoding="utf-8")
    else:
        _run([*pip, "--require-hashes", "-r", str(lock)])
    _run([*pip, "--no-deps", "--no-index", str(wheel)])
    return Release(environment)


def unpack(folder: Path) -> None:
    """The files of that commit."""
    # Whoever checks out may be somebody else than who runs the tests.
    git = ["git", "-c", "safe.directory=*", "-C", str(ROOT)]
    there = subprocess.run([*git, "cat-file", "-e", f"{COMMIT}^{{commit}}"], capture_output=True, check=False)
    assert there.returncode == 0, (
        f"this clone does not have {COMMIT}, the release before (tests/drills/previous-release): git fetch --unshallow"
    )
    archive = subprocess.run([*git, "archive", COMMIT], capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(folder, filter="data")


def _pins(lock: Path) -> Sequence[str]:
    return [line for line in lock.read_text(encoding="utf-8").splitlines() if line[:1].isalnum()]


def _is_installed(pin: str) -> bool:
    """Whether this environment has exactly what a line of a lock asks for, or the line is for another platform."""
    name, _, rest = pin.partition("==")
    try:
        return metadata.version(name.partition("[")[0]) == rest.split()[0]
    except metadata.PackageNotFoundError:
        return ";" in pin


def _run(command: Sequence[str | Path], **options: Any) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    printed: str = done.stdout
    return printed
