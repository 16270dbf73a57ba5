"""`make pythons`: what ran is named, what is not there is named, and nothing passes in silence."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest
from waiting import PATIENCE_SECONDS

PROGRAM = Path(__file__).parents[3] / ".ci" / "pythons"
VERSION = platform.python_version()


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A PATH with a python3.90 that runs, and shims that do not: of pyenv for python3.91, and one alone."""
    programs = {
        # As a shim of pyenv does when no version is chosen that has the program.
        "python3.91": "echo 'pyenv: python3.91: command not found' >&2; exit 127",
        "python3.92": "exit 127",
        "pyenv": f'case "$1 $PYENV_VERSION" in "versions ") printf "3.9\\n3.91.1\\n3.91.0\\n";; "which 3.91.1") '
        f"echo {sys.executable};; *) exit 1;; esac",
        "make": f'echo "$@" >> {tmp_path}/made; [ ! -e {tmp_path}/broken ]',
    }
    for name, lines in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{lines}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "python3.90").symlink_to(sys.executable)
    return tmp_path


def run(machine: Path, wanted: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(PROGRAM)],
        env={"PATH": f"{machine}:/usr/bin:/bin", "PYTHONS": wanted, **more},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def test_each_python_that_is_there_is_run_and_each_that_is_not_is_named(machine: Path) -> None:
    done = run(machine, "python3.90 python3.91 python3.92 python3.93")

    assert done.returncode == 0
    assert (machine / "made").read_text().splitlines() == [
        f"unit-on PYTHON={machine}/python3.90",
        f"unit-on PYTHON={sys.executable}",  # the newest of pyenv's
    ]
    assert done.stdout.splitlines() == [
        f"unit tests passed on: {VERSION} {VERSION}",
        "unit tests FAILED on: none",
        "not on this machine: python3.92 python3.93",
    ]


def test_one_that_fails_fails_the_run_after_the_others_ran(machine: Path) -> None:
    (machine / "broken").touch()

    done = run(machine, "python3.90 python3.91")

    assert done.returncode == 1
    assert len((machine / "made").read_text().splitlines()) == 2
    assert f"unit tests FAILED on: {VERSION} {VERSION}" in done.stdout


def test_a_run_in_which_nothing_ran_fails(machine: Path) -> None:
    done = run(machine, "python3.92 python3.93")

    assert done.returncode == 1
    assert "unit tests passed on: none" in done.stdout


def test_one_that_ran_before_is_not_run_again_and_named(machine: Path) -> None:
    done = run(machine, "python3.90 python3.91", RUN_ALREADY="3.90")

    assert done.returncode == 0
    assert f"unit tests passed on: 3.90 (before) {VERSION}" in done.stdout
    assert len((machine / "made").read_text().splitlines()) == 1
