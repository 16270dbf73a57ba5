"""`make hooks`: what a commit is checked with is installed already, and a commit that is not in order is refused."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from waiting import PATIENCE_SECONDS

ROOT = Path(__file__).parents[3]
#: Nothing can be downloaded through it.
NOWHERE = "http://127.0.0.1:9"
IN_ORDER = '"""A module."""\n'


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with the project's hooks and tools, and no commit."""
    for name in (".pre-commit-config.yaml", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / ".gitignore").write_text("/.venv\n/home\n")
    git(tmp_path, "init", "--quiet")
    done = run(tmp_path, ".venv/bin/pre-commit", "install")
    assert done.returncode == 0, done.stdout
    return tmp_path


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run to the end, without the caller's settings of git and without a way to the network."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "PRE_COMMIT"))}
    environment = own | {"HOME": str(folder / "home"), "http_proxy": NOWHERE, "https_proxy": NOWHERE}
    # The checks of all packages take minutes on an empty cache, and this repository has none of them.
    environment["SKIP"] = "mypy,mypy-tests,lint-imports"
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run(folder, "git", "-c", "user.name=Ada", "-c", "user.email=ada@example.invalid", *arguments)


def commit(folder: Path, content: str) -> subprocess.CompletedProcess[str]:
    (folder / "module.py").write_text(content)
    git(folder, "add", ".")
    return git(folder, "commit", "--message", "A module")


def test_a_commit_in_order_is_made_without_a_network(checkout: Path) -> None:
    done = commit(checkout, IN_ORDER)

    assert done.returncode == 0, done.stdout
    assert git(checkout, "log", "--format=%s").stdout == "A module\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [(f"{IN_ORDER}import os\n", "F401"), (f"{IN_ORDER}ANSWER = ( 42 )\n", "files were modified by this hook")],
)
def test_a_commit_that_is_not_in_order_is_refused_and_says_why(checkout: Path, content: str, said: str) -> None:
    done = commit(checkout, content)

    assert done.returncode != 0
    assert said in done.stdout
    assert git(checkout, "log", "--format=%s").returncode != 0  # no commit yet
